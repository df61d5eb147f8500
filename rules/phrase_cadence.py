"""`phrase_cadence`: half-way through eight bars a melody waits on the dominant, at their end it closes on the tonic."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.rules.bars import PHRASE
from rltuner.rules.grid import ends_bar, steps
from rltuner.rules.rule import rule
from rltuner.rules.tonic_frame import last_pitch

DOMINANT = (1, 4, 6)  # degrees of its chord: the second, the fifth, the seventh


@rule("phrase_cadence")
@dataclass(frozen=True)
class PhraseCadence:
    """`half` at the end of bar 4 of each eight where the last note is of the dominant chord, `full` at that of bar 8
    where it is the tonic.

    The dominant's chord is the second, fifth and seventh degree, as far as the scale has them; octaves do not count.

    Source: Caplin, Classical Form (1998), on half and authentic cadences.
    """

    key: str = "C major"
    """Tonic and mode."""
    half: float = 1.0
    """Reward of the last event of bar 4."""
    full: float = 1.0
    """Reward of the last event of bar 8."""

    def __call__(self, melodies: Melodies) -> Tensor:
        key, last = Key.parse(self.key), last_pitch(melodies)
        bar = steps(melodies) // melodies.meter.steps_per_bar % (2 * PHRASE)
        waits = (bar == PHRASE - 1) & is_degree(last, key, DOMINANT)
        closes = (bar == 2 * PHRASE - 1) & is_degree(last, key, (0,))
        return torch.where(ends_bar(melodies), waits * self.half + closes * self.full, 0.0)


def is_degree(pitch: Tensor, key: Key, wanted: tuple[int, ...]) -> Tensor:
    """bool, shaped as the pitches: whether each is one of the degrees (0 is the tonic) in any octave; False for -1."""
    classes = [(key.tonic + key.degrees[degree]) % 12 for degree in wanted if degree < len(key.degrees)]
    is_wanted = torch.zeros(12, dtype=torch.bool, device=pitch.device)
    is_wanted[classes] = True
    return (pitch >= 0) & is_wanted[pitch % 12]
