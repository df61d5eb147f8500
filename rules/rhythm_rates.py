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
    """At the end of each bar, `penalty` where its onsets, or its share of silent steps, are outside human limits.

    The rest of the steps are held notes, so the limits keep them too. Onsets are counted by the bar, not by the step: a
    bar of 2/4 in sixteenths and one of 4/4 in eighths hold the same music. About 98 in 100 bars of the validation tunes
    in 4/4 keep the limits (docs/rules.md).
    """

    penalty: float = -1.0
    """Reward of the last event of such a bar."""
    fewest: int = 1
    """Onsets a bar, at least."""
    most: int = 9
    """Onsets a bar, at most."""
    silence: float = 0.125
    """Share of a bar's steps that are silent, at most."""

    def __call__(self, melodies: Melodies) -> Tensor:
        onsets = count_in_bar(melodies.is_onset, melodies)
        silent = count_in_bar((sounding_pitch(melodies) < 0) & melodies.valid, melodies)
        too_silent = silent > self.silence * melodies.meter.steps_per_bar
        outside = (onsets < self.fewest) | (onsets > self.most) | too_silent
        return torch.where(ends_bar(melodies) & outside, self.penalty, 0.0)
