"""Tables: what agents reach, over seeds, with intervals, beside what was published and what needs no learning.

`grid`, `sessions`, `likes` and `system`, one a table; `figures` draws, `spread` has the intervals. Uses `training`.
"""
