"""`motif`: the last few events hold a musical idea."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.rules.rule import rule

MIN_PITCHES = 3  # fewer distinct pitches than this are no motif


@rule("motif")
@dataclass(frozen=True)
class Motif:
    """`reward` for every event that ends a motif, plus `bonus` for each distinct pitch beyond three.

    Source: RL Tuner's reward_motif; its bar is 8 steps.
    """

    reward: float = 3.0
    """Reward of an event that ends a motif of three distinct pitches."""
    bonus: float = 0.3
    """Added for every further distinct pitch."""
    steps: int = 8
    """Length of a motif in steps."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"steps = {self.steps}: a motif has at least one step")

    def __call__(self, melodies: Melodies) -> Tensor:
        pitches = distinct_pitches(melodies, self.steps)
        reward = self.reward + self.bonus * (pitches - MIN_PITCHES)
        return torch.where(pitches >= MIN_PITCHES, reward, 0.0).float()


def distinct_pitches(melodies: Melodies, steps: int) -> Tensor:
    """int64 [B, T]: distinct pitches among the onsets of the last `steps` events, the event at t included.

    0 where fewer than `steps` events have been played, and on padding. A motif is 3 or more.
    """
    return melodies.once(("distinct_pitches", steps), lambda: _distinct_pitches(melodies, steps))


def _distinct_pitches(melodies: Melodies, steps: int) -> Tensor:
    events, onset = (
        melodies.events.to(torch.int16),
        melodies.is_onset,
    )  # small integers: four times less memory to move
    time = events.shape[1]
    # An onset counts once a window: where no later onset of the same pitch follows within it. So keep the distance to
    # the next onset of the same pitch, at most `steps`.
    repeats_at = torch.full_like(events, min(steps, 2**15 - 1))
    for distance in range(min(steps, time) - 1, 0, -1):
        same = onset[:, distance:] & (events[:, distance:] == events[:, :-distance])
        repeats_at[:, : time - distance].masked_fill_(same, distance)
    repeats_at.masked_fill_(~onset, 0)
    count = torch.zeros_like(events)
    for age in range(min(steps, time)):  # the event that is `age` steps old
        count[:, age:] += repeats_at[:, : time - age] > age
    count[:, : steps - 1] = 0
    return count.to(torch.int64) * melodies.valid
