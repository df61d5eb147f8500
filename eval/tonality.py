"""Key adherence without a declared key: how well each melody keeps to the key that it seems to be in."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from rltuner.eval.counts import Counts, batches
from rltuner.eval.texture import pitch_class_histogram
from rltuner.melody import Melodies
from rltuner.melody.key import MODES
from rltuner.rules.grid import sounding_pitch


def krumhansl_keys(melodies: Melodies) -> Tensor:
    """The key of each melody by Krumhansl and Schmuckler: int64 [B], tonic 0 to 11, plus 12 for minor; -1 where silent.

    The key whose profile correlates most with how long each pitch class sounds; profiles and result are those of
    music21's "key" analysis. Source: Krumhansl 1990, "Cognitive Foundations of Musical Pitch", chapter 4.
    """
    pitch = sounding_pitch(melodies)
    sounds = (pitch >= 0) & melodies.valid
    lengths = torch.zeros(len(melodies), 12, dtype=torch.float64)
    lengths.scatter_add_(1, torch.where(sounds, pitch % 12, 0), sounds.double())
    centred = lengths - lengths.mean(dim=1, keepdim=True)
    profiles = _profiles()
    profiles = profiles - profiles.mean(dim=1, keepdim=True)
    # The melody's own norm is the same for all keys, so it does not matter which of them is largest.
    correlation = centred @ (profiles / profiles.norm(dim=1, keepdim=True)).T  # (B, 24)
    return torch.where(sounds.any(dim=1), correlation.argmax(dim=1), -1)


def notes_in_own_key(melodies: Melodies) -> Counts:
    """Share of notes in the scale of the melody's own `krumhansl_keys`: onsets in it / onsets.

    Minor is the union of its natural, harmonic and melodic forms. Silent melodies are left out.
    """
    major, minor = MODES["major"], MODES["melodic minor"]
    scales = torch.zeros(24, 12, dtype=torch.float64)
    for tonic in range(12):
        scales[tonic, [(tonic + degree) % 12 for degree in major]] = 1
        scales[12 + tonic, [(tonic + degree) % 12 for degree in minor]] = 1
    numerators, denominators = [], []
    for part in batches(melodies):
        keys, notes = krumhansl_keys(part), pitch_class_histogram(part)
        numerators.append((scales[keys.clamp(min=0)] * notes).sum(dim=1))
        denominators.append(notes.sum(dim=1))
    return Counts(torch.cat(numerators), torch.cat(denominators))


@cache
def _profiles() -> Tensor:
    """music21's Krumhansl-Schmuckler weights of the 12 major and 12 minor keys, float64 [24, 12]."""
    from music21.analysis.discrete import KrumhanslSchmuckler

    analysis = KrumhanslSchmuckler()
    weights = [torch.tensor(analysis.getWeights(mode), dtype=torch.float64) for mode in ("major", "minor")]
    return torch.stack([weight.roll(tonic) for weight in weights for tonic in range(12)])
