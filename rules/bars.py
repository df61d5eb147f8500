"""Melodies cut into pieces of one size, bars or halves of them, and which are alike: what rules and metrics share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.melody.key import Key

NOWHERE = -(10**6)  # stands for "no onset" among degrees
PHRASE = 4  # bars


def pieces(steps: Tensor, size: int) -> Tensor:
    """Steps [B, T] as [B, pieces, size]; what is left at the end is left out."""
    count = steps.shape[1] // size
    return steps[:, : count * size].reshape(len(steps), count, size)


def by_bar(melodies: Melodies, steps: Tensor) -> Tensor:
    """Steps [B, T] as [B, bars, steps of a bar], without a last bar that is not full."""
    return pieces(steps, melodies.meter.steps_per_bar)


@dataclass(frozen=True)
class Shapes:
    """Pieces of melodies by rhythm and contour, the contour in degrees of a key's scale.

    So C D E and D E F have one shape, on another degree. Holds and rests are part of the rhythm.
    """

    shape: Tensor
    """int64 [B, pieces, size]: equal for pieces alike, whatever the degree of their first onset."""
    degree: Tensor
    """int64 [B, pieces]: the first onset's; arbitrary where there is none."""
    onsets: Tensor
    """int64 [B, pieces]."""
    moves: Tensor
    """bool [B, pieces]: whether there are two pitches."""

    def alike(self, index: int, other: int) -> Tensor:
        """bool [B]: whether two pieces have one shape, on whatever degree."""
        return (self.shape[:, index] == self.shape[:, other]).all(dim=1)

    def same(self, index: int, other: int) -> Tensor:
        """bool [B]: whether two pieces are alike and begin on the same degree."""
        return self.alike(index, other) & (
            (self.degree[:, index] == self.degree[:, other]) | (self.onsets[:, index] == 0)
        )


def shapes(melodies: Melodies, key: Key, size: int) -> Shapes:
    """The shapes of all whole pieces of `size` steps."""
    onset, degree = pieces(melodies.is_onset, size), pieces(_degrees(melodies, key), size)
    first = onset.long().argmax(dim=2, keepdim=True)  # the first onset, 0 where there is none
    contour = torch.where(onset, degree - degree.gather(2, first), NOWHERE)
    moves = (contour.amax(dim=2) > 0) | (torch.where(onset, contour, 0).amin(dim=2) < 0)
    shape = torch.where(onset, contour, NOWHERE - 1 - pieces(melodies.events, size))
    return Shapes(shape, degree.gather(2, first)[..., 0], onset.sum(dim=2), moves)


def _degrees(melodies: Melodies, key: Key) -> Tensor:
    """int64 [B, T]: scale degrees above the tonic of MIDI octave -1; a note between two degrees has a number of its own.

    A degree is a multiple of 12, which leaves room for the notes between; so moving a motif along the scale adds a
    constant.
    """
    table = torch.empty(12, dtype=torch.int64, device=melodies.events.device)
    for semitone in range(12):
        below = [d for d in range(len(key.degrees)) if key.degrees[d] <= semitone][-1]
        table[semitone] = 12 * below + semitone - key.degrees[below]
    above = melodies.pitch - key.tonic
    octave = torch.div(above, 12, rounding_mode="floor")
    return octave * 12 * len(key.degrees) + table[above % 12]
