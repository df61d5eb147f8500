"""Tuning a Note RNN by Q, Psi or G learning: compose, score, keep, learn.

`finetune` is the loop, `round` one round of it, `learner` a gradient step, `backups` what an event's score should be.
Uses `eval` (the table before and after), `networks`, `rules`, `melody` and `storing`.
"""
