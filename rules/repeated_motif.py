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
    events = melodies.events.to(torch.int16)
    time = events.shape[1]
    repeated = torch.zeros_like(is_motif)
    for distance in range(steps, time - steps + 1):
        # (B, ...) entry i: the `length` events from i on are those from i + distance on; doubled until it is `steps`
        same, length = events[:, distance:] == events[:, :-distance], 1
        while length < steps:
            more = min(length, steps - length)
            same, length = same[:, more:] & same[:, :-more], length + more
        repeated[:, distance + steps - 1 :] |= same
    return repeated & is_motif
