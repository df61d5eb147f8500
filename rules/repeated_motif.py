"""`repeated_motif`: a motif comes back."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.rules.motif import MIN_PITCHES, distinct_pitches
from rltuner.rules.rule import rule


@rule("repeated_motif")
@dataclass(frozen=True)
class RepeatedMotif:
    """`reward` for every event that ends a repeated motif, plus `bonus` for each distinct pitch beyond three.

    Source: RL Tuner's reward_repeated_motif; its bar is 8 steps.
    """

    reward: float = 4.0
    """Reward of an event that ends a repeated motif of three distinct pitches."""
    bonus: float = 1.0
    """Added for every further distinct pitch."""
    steps: int = 8
    """Length of a motif in steps."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"steps = {self.steps}: a motif has at least one step")

    def __call__(self, melodies: Melodies) -> Tensor:
        pitches = distinct_pitches(melodies, self.steps)
        reward = self.reward + self.bonus * (pitches - MIN_PITCHES)
        return torch.where(ends_repeated_motif(melodies, self.steps), reward, 0.0).float()


def ends_repeated_motif(melodies: Melodies, steps: int) -> Tensor:
    """bool [B, T]: the last `steps` events are a motif, and the same events were played before without overlap.

    So it is never true before t = 2 steps - 1. Events are compared exactly: pitches, rests and holds.
    """
    is_motif = distinct_pitches(melodies, steps) >= MIN_PITCHES
    time = melodies.events.shape[1]
    if time < 2 * steps or not len(melodies):
        return torch.zeros_like(is_motif)
    windows = _window_ids(melodies.events, steps)  # [B, W], window w ends at step w + steps - 1
    # A stable sort brings equal windows together, the earliest first: its end is the one to compare with.
    ids, order = windows.sort(dim=1, stable=True)
    starts_group = torch.ones_like(ids, dtype=torch.bool)
    starts_group[:, 1:] = ids[:, 1:] != ids[:, :-1]
    places = torch.arange(ids.shape[1], device=ids.device)
    first_place = torch.where(starts_group, places, 0).cummax(dim=1).values
    earliest = torch.empty_like(order).scatter_(1, order, order.gather(1, first_place))
    repeated = torch.zeros_like(is_motif)
    repeated[:, steps - 1 :] = places - earliest >= steps
    return repeated & is_motif


def _window_ids(events: Tensor, steps: int) -> Tensor:
    """int64 [B, T - steps + 1]: a number for each window of `steps` events, equal only for equal windows.

    The number is the window written in base V. Where that would overflow, the numbers so far are replaced by
    their ranks, which keeps equality exact for windows of any length.
    """
    base = int(events.max()) + 1
    ids, largest = torch.zeros_like(events), 1
    for offset in range(steps):
        if largest * base >= 2**62:
            ids = ids.unique(return_inverse=True)[1]
            largest = int(ids.max()) + 1
        shifted = events[:, offset:]
        ids = ids[:, : shifted.shape[1]] * base + shifted
        largest *= base
    return ids
