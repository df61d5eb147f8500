"""What falls while a training goes on: the share of random presses, the learning rate."""

from __future__ import annotations


def falling(ends: tuple[float, float], done: float, over: float = 1.0) -> float:
    """From the first of `ends` to the second, evenly, while the share `done` of a training goes from 0 to `over`."""
    share = min(1.0, done / over)
    return ends[0] + (ends[1] - ends[0]) * share
