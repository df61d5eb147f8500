"""What Magenta's Melody RNN has that other Note RNNs have not: its input vectors, its repeat classes, its attention.

Uses `networks.inputs`. docs/magenta.md says which of its configurations has what.
"""
