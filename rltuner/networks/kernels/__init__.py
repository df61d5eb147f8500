"""What composing and learning spend their time on, compiled by numba for the CPU. Only `rltuner.networks` comes in here.

Compiled, arrays in and arrays out, no GIL held: `tiles` are the products that all of it is made of; `lstm` and `output`
the layers, there and back; `learning` a gradient step's share and `acting` a share of a composed batch, one call each.
Their torch side, tensors in and tensors out: `recurrence`, `output_layer`, `gradients` and `actor`.
"""
