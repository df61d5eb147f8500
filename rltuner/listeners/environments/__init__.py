"""Environments: many listeners in lock-step on tensors, and one at a time for Gymnasium.

`grid` is a listener with a target among levels of features, `sessions` one who skips or not, `likes` one with
preferences. Each has a vector form, `vector.Listeners`; `single` has them as Gymnasium environments. Uses `music`.
"""
