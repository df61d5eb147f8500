"""`harsh_intervals`: no melodic tritones, sevenths, or leaps beyond the octave."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.rule import rule


@rule("harsh_intervals")
@dataclass(frozen=True)
class HarshIntervals:
    """`penalty` for an interval that is hard to sing: by default tritones, sevenths and all beyond the octave.

    Source: Gauldin 1995, on intervals to avoid in a melody.
    """

    penalty: float = -1.0
    """Reward of such an interval."""
    semitones: tuple[int, ...] = (6, 10, 11)
    """Sizes that are harsh, besides those beyond the octave."""

    def __call__(self, melodies: Melodies) -> Tensor:
        size = melodies.interval.abs()
        harsh = size > 12
        for semitones in self.semitones:
            harsh |= size == semitones
        return torch.where(harsh, self.penalty, 0.0)
