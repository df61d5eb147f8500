"""Collections of tunes: found, parsed in guarded worker processes, cached, and divided for training.

Uses `reading`, `melody` and `storing`.
"""
