"""Listeners whose taste is found by reinforcement learning: environments, agents, tables, and the commands over them.

`music` makes tunes rows of features; `environments` are simulated (or logged) listeners; `agents` find what they like;
`tables` compare them. docs/listeners.md says which documents they come from. Uses `study` for its pages, and
`generating`, `eval`, `networks`, `rules`, `corpus`, `reading`, `melody` and `storing`.
"""
