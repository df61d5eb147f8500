"""`cadence`: the melody closes by step onto the tonic."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.rules.grid import is_last, last_where
from rltuner.rules.rule import rule
from rltuner.rules.tonic_frame import last_pitch


@rule("cadence")
@dataclass(frozen=True)
class Cadence:
    """`reward` at the last event where the last note is the tonic, reached by step and on a beat.

    By step is from the second degree down or from the seventh up (2-1, 7-1): one or two semitones, from a note of the
    key. The tonic may have been repeated since; the beat is that of the first of its repetitions or of any later one.

    Source: Gauldin 1995, on melodic cadence formulas.
    """

    key: str = "C major"
    """Tonic and mode."""
    reward: float = 1.0
    """Reward of the last event."""

    def __call__(self, melodies: Melodies) -> Tensor:
        arrival = melodies.interval != 0  # the first of a note's repetitions
        reached = last_where(arrival)
        step = melodies.interval.gather(1, reached.clamp(min=0)).abs()
        on_beat = last_where(melodies.is_onset & self._is_beat(melodies))
        last, key = last_pitch(melodies), Key.parse(self.key)
        from_key = torch.zeros(12, dtype=torch.bool, device=last.device)
        from_key[sorted(key.pitch_classes)] = True
        by_step = (step <= 2) & from_key[melodies.previous_pitch.gather(1, reached.clamp(min=0)) % 12]
        closes = (last >= 0) & (last % 12 == key.tonic) & (reached >= 0) & by_step
        return (is_last(melodies) & closes & (on_beat >= reached)).float() * self.reward

    def _is_beat(self, melodies: Melodies) -> Tensor:
        t = torch.arange(melodies.events.shape[1], device=melodies.events.device)
        return t % melodies.meter.steps_per_beat == 0
