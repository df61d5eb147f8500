"""`rhythm_rates`: onsets, held notes and silence in human proportions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.grid import count_in_bar, ends_bar, sounding_pitch
from rltuner.rules.rule import rule


@rule("rhythm_rates")
@dataclass(frozen=True)
class RhythmRates:
    """At the end of each bar, `penalty` where its share of onsets, or of silent steps, is outside human limits.

    The rest of the steps are held notes, so the limits keep them too. The limits are those of about 98 in 100 bars of the
    validation tunes (docs/rules.md).
    """

    penalty: float = -1.0
    """Reward of the last event of such a bar."""
    fewest: float = 0.1875
    """Share of a bar's steps that are onsets, at least; 3 of 16."""
    most: float = 0.5625
    """The same, at most; 9 of 16."""
    silence: float = 0.125
    """Share of a bar's steps that are silent, at most."""

    def __call__(self, melodies: Melodies) -> Tensor:
        size = melodies.meter.steps_per_bar
        onsets = count_in_bar(melodies.is_onset, melodies) / size
        silent = count_in_bar((sounding_pitch(melodies) < 0) & melodies.valid, melodies) / size
        outside = (onsets < self.fewest) | (onsets > self.most) | (silent > self.silence)
        return torch.where(ends_bar(melodies) & outside, self.penalty, 0.0)
