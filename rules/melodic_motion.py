"""`melodic_motion`: steps and thirds, and now and then something larger."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.grid import last_where
from rltuner.rules.rule import rule


@rule("melodic_motion")
@dataclass(frozen=True)
class MelodicMotion:
    """`penalty` for an interval beyond `small` semitones that comes fewer than `spacing` small ones after another.

    So a line moves by steps and thirds, with larger intervals here and there. Unisons do not count. Small intervals are
    not rewarded, since that would pay for playing more notes.

    Source: Gauldin 1995, on conjunct motion balanced by skips.
    """

    penalty: float = -1.0
    """Reward of a larger interval that comes too soon."""
    small: int = 4
    """Semitones of the largest small interval; 4 is a major third."""
    spacing: int = 2
    """Small intervals between two larger ones, at least."""

    def __call__(self, melodies: Melodies) -> Tensor:
        if not melodies.events.numel():
            return torch.zeros(melodies.events.shape)
        size = melodies.interval.abs()
        is_small, is_large = (size > 0) & (size <= self.small), size > self.small
        total = torch.nn.functional.pad(is_small.long().cumsum(dim=1), (1, 0))  # [B, T + 1]
        before = torch.nn.functional.pad(last_where(is_large)[:, :-1], (1, 0), value=-1)
        since = total[:, :-1] - total.gather(1, before.clamp(min=0))  # small ones since the last large one
        return torch.where(is_large & (before >= 0) & (since < self.spacing), self.penalty, 0.0)
