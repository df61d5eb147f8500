"""`tonic_frame`: a melody begins and ends on the tonic."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.rules.grid import is_last
from rltuner.rules.rule import rule


@rule("tonic_frame")
@dataclass(frozen=True)
class TonicFrame:
    """`start` where the first note is the tonic, in any octave; `end` at the last event where the last note is.

    Source: Gauldin, A Practical Approach to 18th-Century Counterpoint (1995); RL Tuner's reward_tonic asks for one
    octave and for the fourth step from the end.
    """

    key: str = "C major"
    """Tonic and mode."""
    start: float = 1.0
    """Reward of the first note."""
    end: float = 1.0
    """Reward of the last event."""

    def __call__(self, melodies: Melodies) -> Tensor:
        tonic = Key.parse(self.key).tonic
        last = last_pitch(melodies)
        on_tonic = (last >= 0) & (last % 12 == tonic)
        first = melodies.is_onset & (melodies.previous_onset < 0)
        return (first & on_tonic) * self.start + (is_last(melodies) & on_tonic) * self.end


def last_pitch(melodies: Melodies) -> Tensor:
    """int64 [B, T]: MIDI pitch of the last onset at or before t, -1 where there is none."""
    return torch.where(melodies.is_onset, melodies.pitch, melodies.previous_pitch)
