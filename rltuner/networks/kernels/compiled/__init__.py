"""What composing and learning spend their time on, compiled by numba for the CPU: arrays in, arrays out, no GIL held.

`tiles` are the products that all of it is made of; `lstm` and `output` the layers, there and back; `learning` a gradient
step's share, and `acting` a share of a composed batch, in one call each.
"""
