"""Rhythm and texture of each melody: what tuned models are known to lose.

Every function gives one value a melody, float64 [B]; NaN where a melody has nothing to measure. Where MusPy has the
metric (Dong et al. 2020, "MusPy: A Toolkit for Symbolic Music Generation"), the definition is MusPy's; a melody's bars
are counted up to the end of its last event.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.grid import sounding_pitch

NAN = float("nan")
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
LONGEST = 16  # steps; longer inter-onset intervals are counted as these
WIDEST = 12  # semitones; wider intervals are counted as these


def _share(chosen: Tensor, melodies: Melodies) -> Tensor:
    """Chosen steps, bool [B, T], as a share of the steps of each melody: float64 [B]; NaN for an empty one."""
    count = (chosen & melodies.valid).sum(dim=1).double()
    return torch.where(melodies.lengths > 0, count / melodies.lengths.clamp(min=1), NAN)


def onset_rate(melodies: Melodies) -> Tensor:
    """Onsets / steps."""
    return _share(melodies.is_onset, melodies)


def hold_rate(melodies: Melodies) -> Tensor:
    """Steps on which a note is held (it sounds, and began before) / steps."""
    return _share((sounding_pitch(melodies) >= 0) & ~melodies.is_onset, melodies)


def rest_rate(melodies: Melodies) -> Tensor:
    """Silent steps / steps. Onset, hold and rest rate add up to 1."""
    return _share(sounding_pitch(melodies) < 0, melodies)


def pitch_range(melodies: Melodies) -> Tensor:
    """Semitones from the lowest to the highest note; 0 without notes, as MusPy's pitch_range."""
    if not melodies.events.numel():
        return torch.zeros(len(melodies), dtype=torch.float64)
    high = melodies.pitch.amax(dim=1)
    low = torch.where(melodies.is_onset, melodies.pitch, 128).amin(dim=1)
    return torch.where(high >= 0, high - low, 0).double()


def pitch_class_histogram(melodies: Melodies) -> Tensor:
    """Notes of each pitch class: float64 [B, 12]."""
    return _histogram(melodies.pitch % 12, melodies.is_onset, 12)


def pitch_class_entropy(melodies: Melodies) -> Tensor:
    """- sum of P log2 P over pitch classes, P their share of the notes, bits. MusPy's pitch_class_entropy."""
    counts = pitch_class_histogram(melodies)
    total = counts.sum(dim=1)
    shares = counts / total.clamp(min=1)[:, None]
    return torch.where(
        total > 0, torch.special.entr(shares).sum(dim=1) / torch.tensor(2.0).double().log(), NAN
    )


def scale_consistency(melodies: Melodies) -> Tensor:
    """The largest share of notes that lie in one of the 24 major and natural minor scales. MusPy's scale_consistency.

    Source: Mogren 2016, "C-RNN-GAN".
    """
    counts = pitch_class_histogram(melodies)
    scales = torch.zeros(24, 12, dtype=torch.float64)
    for index, degrees in enumerate([MAJOR, MINOR] * 12):
        scales[index, [(degree + index // 2) % 12 for degree in degrees]] = 1
    total = counts.sum(dim=1)
    return torch.where(total > 0, (counts @ scales.T).amax(dim=1) / total.clamp(min=1), NAN)


def inter_onset_histogram(melodies: Melodies) -> Tensor:
    """Onset-to-onset intervals of 1, 2, ... 16 or more steps: float64 [B, 16]."""
    steps = torch.arange(melodies.events.shape[1])
    chosen = melodies.is_onset & (melodies.previous_onset >= 0)
    return _histogram((steps - melodies.previous_onset - 1).clamp(max=LONGEST - 1), chosen, LONGEST)


def interval_histogram(melodies: Melodies) -> Tensor:
    """Melodic intervals of -12 or less, -11, ... 0 ... 12 or more semitones: float64 [B, 25]."""
    chosen = melodies.is_onset & (melodies.previous_pitch >= 0)
    return _histogram(melodies.interval.clamp(-WIDEST, WIDEST) + WIDEST, chosen, 2 * WIDEST + 1)


def mean_inter_onset(melodies: Melodies) -> Tensor:
    """Mean onset-to-onset interval, steps; NaN with fewer than two notes."""
    chosen = melodies.is_onset & (melodies.previous_onset >= 0)
    steps = torch.arange(melodies.events.shape[1])
    return mean_where((steps - melodies.previous_onset).double(), chosen)


def mean_interval(melodies: Melodies) -> Tensor:
    """Mean size of the melodic intervals, semitones; NaN with fewer than two notes."""
    return mean_where(melodies.interval.abs().double(), melodies.is_onset & (melodies.previous_pitch >= 0))


def groove_consistency(melodies: Melodies) -> Tensor:
    """1 - mean share of steps whose onsets differ between neighbouring bars; NaN with fewer than two bars.

    MusPy's groove_consistency, but for its count of bars: MusPy adds an empty one where the music ends at a bar line.
    Source: Wu and Yang 2020, "The Jazz Transformer on the Front Line".
    """
    bars = _onsets_by_bar(melodies)  # (B, bars, steps)
    count = _bars_of(melodies)
    if bars.shape[1] < 2:
        return torch.full((len(melodies),), NAN, dtype=torch.float64)
    differs = (bars[:, 1:] != bars[:, :-1]).double().mean(dim=2)  # (B, bars - 1)
    inside = torch.arange(1, bars.shape[1]) < count[:, None]
    return 1 - mean_where(differs, inside)


def empty_bar_rate(melodies: Melodies) -> Tensor:
    """Bars on no step of which a note sounds / bars; NaN for an empty melody. MusPy's empty_measure_rate.

    MusPy counts a note that ends on a bar line into the next bar too, and adds an empty bar where the music ends at a
    bar line; here neither.
    """
    size = melodies.meter.steps_per_bar
    sounds = _by_bar((sounding_pitch(melodies) >= 0) & melodies.valid, size).any(dim=2)
    inside = torch.arange(sounds.shape[1]) < _bars_of(melodies)[:, None]
    return mean_where((~sounds).double(), inside)


FEATURES: dict[str, Callable[[Melodies], Tensor]] = {
    "onset_rate": onset_rate,
    "hold_rate": hold_rate,
    "rest_rate": rest_rate,
    "mean_inter_onset": mean_inter_onset,
    "pitch_range": pitch_range,
    "pitch_class_entropy": pitch_class_entropy,
    "mean_interval": mean_interval,
    "scale_consistency": scale_consistency,
    "groove_consistency": groove_consistency,
    "empty_bar_rate": empty_bar_rate,
}
"""One number a melody each."""


def _histogram(values: Tensor, chosen: Tensor, size: int) -> Tensor:
    """How often each number below `size` is among the chosen values of a row: [B, T] -> float64 [B, size]."""
    counts = torch.zeros(len(values), size, dtype=torch.float64)
    return counts.scatter_add_(1, torch.where(chosen, values, 0), chosen.double())


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Over the chosen entries of each row; NaN where there is none."""
    count = chosen.sum(dim=1)
    return torch.where(count > 0, torch.where(chosen, values, 0.0).sum(dim=1) / count.clamp(min=1), NAN)


def _bars_of(melodies: Melodies) -> Tensor:
    """Bars, the last one perhaps not full: int64 [B]."""
    size = melodies.meter.steps_per_bar
    return (melodies.lengths + size - 1) // size


def _by_bar(steps: Tensor, size: int) -> Tensor:
    """bool [B, T] as [B, bars, size], False past the end."""
    missing = -steps.shape[1] % size
    return torch.nn.functional.pad(steps, (0, missing)).reshape(
        len(steps), (steps.shape[1] + missing) // size, size
    )


def _onsets_by_bar(melodies: Melodies) -> Tensor:
    return _by_bar(melodies.is_onset, melodies.meter.steps_per_bar)
