"""`note_repetition`: no pitch again and again, no endless note or silence."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.grid import last_where, sounding_pitch, steps
from rltuner.rules.rule import rule


@rule("note_repetition")
@dataclass(frozen=True)
class NoteRepetition:
    """`penalty` for an onset after `most` of the same pitch in a row, and for each step of a note or silence that has
    lasted `bars` bars already.

    Source: RL Tuner's reward_penalize_repeating, with limits in notes and bars instead of steps.
    """

    penalty: float = -1.0
    """Reward of an event that repeats too often or lasts too long."""
    most: int = 4
    """Notes of one pitch in a row, at most."""
    bars: float = 1.5
    """Bars that one note, or one silence, may last."""

    def __call__(self, melodies: Melodies) -> Tensor:
        if not melodies.events.numel():
            return torch.zeros(melodies.events.shape)
        onset = melodies.is_onset
        starts_run = onset & (melodies.pitch != melodies.previous_pitch)
        total = onset.long().cumsum(dim=1)
        in_run = total - torch.where(starts_run, total - 1, 0).cummax(dim=1).values
        silent = sounding_pitch(melodies) < 0
        falls_silent = silent & ~torch.nn.functional.pad(silent[:, :-1], (1, 0))
        began = last_where(onset | falls_silent)
        lasts = steps(melodies) - began.clamp(min=0)
        too_long = (lasts >= self.bars * melodies.meter.steps_per_bar) & ~onset & melodies.valid
        return torch.where((onset & (in_run > self.most)) | too_long, self.penalty, 0.0)
