"""`syncopation`: notes that start off the beat do not sound through the next one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import NO_EVENT, Melodies
from rltuner.rules.grid import last_where, sounding_pitch, steps
from rltuner.rules.rule import rule


@rule("syncopation")
@dataclass(frozen=True)
class Syncopation:
    """`penalty` at a beat that falls into a held note which started off the beat, within the beat before.

    Source: Longuet-Higgins and Lee, "The rhythmic interpretation of monophonic music" (1984).
    """

    penalty: float = -1.0
    """Reward of the beat."""

    def __call__(self, melodies: Melodies) -> Tensor:
        t, beat = steps(melodies), melodies.meter.steps_per_beat
        held = (melodies.events == NO_EVENT) & (sounding_pitch(melodies) >= 0)
        started = last_where(melodies.is_onset)
        off_beat = (started % beat != 0) & (t - started < beat)
        return torch.where((t % beat == 0) & held & off_beat, self.penalty, 0.0)
