"""Training a Note RNN on real tunes: windows of tunes in, a checkpoint with its card, credits and test tunes out.

Uses `corpus`, `networks`, `melody` and `storing`.
"""
