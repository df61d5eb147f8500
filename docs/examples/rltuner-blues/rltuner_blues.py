"""Blues for rltuner: notes of the blues scale, a flat fifth that resolves, and a breath between phrases."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.key import Key
from rltuner.melody import NO_EVENT, Melodies
from rltuner.rules import rule

BLUES = {0, 3, 5, 6, 7, 10}  # semitones above the tonic


@rule("blues_scale")
@dataclass(frozen=True)
class BluesScale:
    """`penalty` for an onset outside the blues scale on the key's tonic, whatever the key's mode."""

    key: str = "C major"
    """Gives the tonic."""
    penalty: float = -1.0
    """Reward of an onset outside the scale."""

    def __call__(self, melodies: Melodies) -> Tensor:
        degree = (melodies.pitch - Key.parse(self.key).tonic) % 12
        outside = torch.tensor([semitone not in BLUES for semitone in range(12)])
        return (melodies.is_onset & outside.to(degree.device)[degree]).float() * self.penalty


@rule("blue_fifth")
@dataclass(frozen=True)
class BlueFifth:
    """`resolved` where a flat fifth moves on by a semitone, `stranded` where it leaps away."""

    key: str = "C major"
    """Gives the tonic."""
    resolved: float = 1.0
    """Reward of the note that follows by a semitone."""
    stranded: float = -1.0
    """Reward of any other note that follows, but a repetition."""

    def __call__(self, melodies: Melodies) -> Tensor:
        degree = (melodies.previous_pitch - Key.parse(self.key).tonic) % 12
        leaves = (degree == 6) & (melodies.interval != 0)
        return torch.where(
            leaves, torch.where(melodies.interval.abs() == 1, self.resolved, self.stranded), 0.0
        )


@rule("breath")
def breath(melodies: Melodies) -> Tensor:
    """1 for every second bar that ends without a new note on its last beat: call, and room for the response."""
    bar, beat = melodies.meter.steps_per_bar, melodies.meter.steps_per_beat
    step = torch.arange(melodies.events.shape[1], device=melodies.events.device)
    played = torch.nn.functional.pad((melodies.events != NO_EVENT).long().cumsum(dim=1), (beat, 0))
    quiet = played[:, beat:] == played[:, : played.shape[1] - beat]  # nothing new in the last beat
    return ((step % (2 * bar) == 2 * bar - 1) & quiet & melodies.valid).float()
