"""Networks: the Note RNN, policies and the value network. They compose, and give log-probabilities and gradients.

`engine` is the door for tuning: composing, log-probabilities and gradients of whole batches, by the compiled `kernels` on
the CPU and by torch elsewhere. `compose` is the door for everyone else. Uses `rules` (particles follow a rule book),
`reading` (primers are files), `melody` and `storing`.
"""
