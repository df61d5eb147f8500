"""A melody as a row of numbers about its tune: rhythm by place in the bar, intervals, pitch, which bars return.

For a judge that is not told what to look for (`telling.TREES`). Pitches are those of melodies in C major or A minor,
as the human tunes are.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rltuner.eval.counts import batches
from rltuner.eval.form import FORM, LAGS, returning_moved
from rltuner.eval.likeness import shares
from rltuner.eval.texture import (
    NAN,
    groove_consistency,
    inter_onset_histogram,
    interval_histogram,
    pitch_class_histogram,
)
from rltuner.melody import NOTE_OFF, Melodies
from rltuner.rules.bars import by_bar
from rltuner.rules.grid import last_where, previous_interval, sounding_pitch
from rltuner.rules.tonic_frame import last_pitch

CHORDS = ((0,), (0, 4, 7), (2, 7, 11))  # the tonic, its triad, the dominant's
STEP, LEAP = 2, 5  # semitones: at most a step, at least a leap


def tune_features(melodies: Melodies) -> NDArray[np.float64]:
    """float64 [B, K], K by the melodies' length and metre; NaN where there is nothing to measure."""
    parts = [
        torch.cat([_columns(part) for part in (_rhythm(b), _intervals(b), _pitch(b), _repetition(b))], dim=1)
        for b in batches(melodies)
    ]
    return torch.cat(parts).numpy()


def _columns(parts: list[Tensor]) -> Tensor:
    """Tensors [B] and [B, k] side by side: float64 [B, K]."""
    return torch.cat([(part if part.ndim == 2 else part[:, None]).double() for part in parts], dim=1)


def _rhythm(melodies: Melodies) -> list[Tensor]:
    """Onsets and silences by place in the bar, onsets of each bar, times from onset to onset, the last note's length."""
    onsets = by_bar(melodies, melodies.is_onset).double()
    last = last_where(melodies.is_onset)[:, -1:].double().mean(dim=1)
    return [
        onsets.mean(dim=1),
        onsets.sum(dim=2),
        by_bar(melodies, melodies.events == NOTE_OFF).double().mean(dim=1),
        shares(inter_onset_histogram(melodies)),
        groove_consistency(melodies),
        melodies.lengths - last,
    ]


def _intervals(melodies: Melodies) -> list[Tensor]:
    """Which intervals there are, and how one follows another."""
    has = melodies.is_onset & (melodies.previous_onset >= 0)
    size, before = melodies.interval, previous_interval(melodies)
    two = has & (before != 0) & (size != 0)
    onward = (size > 0) == (before > 0)
    steps = (size.abs() <= STEP) & (before.abs() <= STEP)
    thirds = (size.abs() > STEP) & (before.abs() > STEP)
    return [
        shares(interval_histogram(melodies)),
        _share(size == 0, has),
        _share(size.abs() >= LEAP, has),
        _share(~onward, two),
        _share(steps, two),
        _share(steps & onward, two),
        _share(thirds & onward, two),
        _share((before.abs() >= LEAP) & ~onward, two),
    ]


def _pitch(melodies: Melodies) -> list[Tensor]:
    """Which pitches, how high and where, on which beats; how bars and the melody begin and end."""
    onset, pitch = melodies.is_onset, melodies.pitch.double()
    known = torch.where(onset, pitch, NAN)
    high, low = pitch.amax(dim=1), torch.where(onset, pitch, 128.0).amin(dim=1)
    mean = known.nanmean(dim=1)
    last, first = last_pitch(melodies), onset.long().argmax(dim=1, keepdim=True)
    bar, beat = melodies.meter.steps_per_bar, melodies.meter.steps_per_beat
    classes = melodies.pitch % 12
    on_chords = [
        by_bar(melodies, onset & torch.isin(classes, torch.tensor(chord))).double().mean(dim=1)[:, ::beat]
        for chord in CHORDS
    ]
    return [
        shares(pitch_class_histogram(melodies)),
        mean,
        ((known - mean[:, None]) ** 2).nanmean(dim=1).sqrt(),
        high,
        low,
        melodies.pitch.argmax(dim=1) / melodies.lengths.clamp(min=1),
        (onset & (pitch == high[:, None])).sum(dim=1),
        (onset & (pitch == low[:, None])).sum(dim=1),
        melodies.pitch.gather(1, first)[:, 0],
        last[:, -1],
        last[:, bar - 1 :: bar] % 12,
        torch.where(onset, classes, -1)[:, ::bar],
        *on_chords,
    ]


def _repetition(melodies: Melodies) -> list[Tensor]:
    """How much of each bar, and of each half of one, stood before, at every distance that form knows."""
    events, onsets = by_bar(melodies, melodies.events), by_bar(melodies, melodies.is_onset)
    sounds = by_bar(melodies, sounding_pitch(melodies)).double()
    halves = by_bar(melodies, melodies.events).unflatten(2, (2, -1)) if events.shape[2] % 2 == 0 else None
    found = [*(feature(melodies) for feature in FORM.values()), returning_moved(melodies)]
    for lag in LAGS:
        if events.shape[1] <= lag:
            continue
        same = events[:, lag:] == events[:, :-lag]
        found += [
            same.double().mean(dim=2),
            same.all(dim=2).double().mean(dim=1),
            (onsets[:, lag:] == onsets[:, :-lag]).double().mean(dim=(1, 2)),
            (sounds[:, lag:] - sounds[:, :-lag]).abs().mean(dim=(1, 2)),
        ]
    if halves is not None:
        found.append((halves[:, :, 0] == halves[:, :, 1]).all(dim=2).double().mean(dim=1))
    return found


def _share(chosen: Tensor, counted: Tensor) -> Tensor:
    return (chosen & counted).sum(dim=1) / counted.sum(dim=1)  # NaN where nothing is counted
