"""`motif`: the last few events hold a musical idea."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

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
    events, onset = melodies.events, melodies.is_onset
    time = events.shape[1]
    # An onset counts once a window: where no later onset of the same pitch follows within it. `last_of_its_kind`
    # after d more steps is kept up while the window grows backwards, one distance at a time.
    repeats_at = torch.full_like(
        events, steps
    )  # distance to the next onset of the same pitch, at most `steps`
    for distance in range(min(steps, time) - 1, 0, -1):
        same = onset[:, distance:] & (events[:, distance:] == events[:, :-distance])
        repeats_at[:, : time - distance] = torch.where(same, distance, repeats_at[:, : time - distance])
    count = torch.zeros_like(events)
    for age in range(min(steps, time)):  # the event that is `age` steps old
        alone = onset & (repeats_at > age)
        count += pad(alone[:, : time - age], (age, 0))
    count[:, : steps - 1] = 0
    return torch.where(melodies.valid, count, 0)
