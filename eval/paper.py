"""The RL Tuner paper's eleven rows, and what it published in them.

Conventions
-----------
* Every metric is a pure function of `Melodies` that returns one float; padding past a melody's length is ignored.
* Shares are fractions in [0, 1]; correlations lie in [-1, 1]. A share with nothing to count is NaN.
* "Notes" in the paper's rows are steps: rests and holds count as notes, as in the reference's own statistics.
* N melodies have sum(lengths) steps in all.

Metrics: `notes_excessively_repeated`, `notes_not_in_key`, `autocorrelation` (lags 1 to 3),
`compositions_starting_with_tonic`, `leaps_resolved`, `compositions_with_unique_max_note`,
`compositions_with_unique_min_note`, `notes_in_motif`, `notes_in_repeated_motif`; `evaluate` gives all of them.

Source: Jaques, Gu, Turner, Eck, "Tuning Recurrent Neural Networks with Reinforcement Learning" (2017), and the
counters of magenta/models/rl_tuner/rl_tuner_eval_metrics.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rltuner.key import Key
from rltuner.melody import Melodies
from rltuner.rules.high_low_unique import has_unique_highest, has_unique_lowest
from rltuner.rules.key import is_out_of_key
from rltuner.rules.leap_up_back import DOUBLED, RESOLVED, leap_outcomes
from rltuner.rules.motif import MIN_PITCHES, distinct_pitches
from rltuner.rules.penalize_repeating import is_excessively_repeated
from rltuner.rules.repeated_motif import ends_repeated_motif

MOTIF_STEPS = 8  # the reference's bar, whatever the metre

# Published in the paper (its results table) and in the Magenta post of 2016, for models trained on other data.
PUBLISHED: dict[str, dict[str, float]] = {
    "paper Note RNN": {
        "notes_excessively_repeated": 0.633,
        "notes_not_in_key": 0.001,
        "autocorrelation_lag1": -0.16,
        "autocorrelation_lag2": 0.14,
        "autocorrelation_lag3": -0.13,
        "compositions_starting_with_tonic": 0.009,
        "leaps_resolved": 0.772,
        "compositions_with_unique_max_note": 0.647,
        "compositions_with_unique_min_note": 0.494,
        "notes_in_motif": 0.059,
        "notes_in_repeated_motif": 0.00007,
    },
    "paper Q": {
        "notes_excessively_repeated": 0.0,
        "notes_not_in_key": 0.01,
        "autocorrelation_lag1": -0.11,
        "autocorrelation_lag2": 0.03,
        "autocorrelation_lag3": 0.03,
        "compositions_starting_with_tonic": 0.288,
        "leaps_resolved": 0.911,
        "compositions_with_unique_max_note": 0.564,
        "compositions_with_unique_min_note": 0.519,
        "notes_in_motif": 0.757,
        "notes_in_repeated_motif": 0.0011,
    },
    "paper Ψ": {
        "notes_excessively_repeated": 0.0002,
        "notes_not_in_key": 0.006,
        "autocorrelation_lag1": -0.10,
        "autocorrelation_lag2": -0.01,
        "autocorrelation_lag3": 0.01,
        "compositions_starting_with_tonic": 0.287,
        "leaps_resolved": 0.90,
        "compositions_with_unique_max_note": 0.594,
        "compositions_with_unique_min_note": 0.583,
        "notes_in_motif": 0.738,
        "notes_in_repeated_motif": 0.0009,
    },
    "paper G": {
        "notes_excessively_repeated": 0.0003,
        "notes_not_in_key": 0.287,
        "autocorrelation_lag1": 0.55,
        "autocorrelation_lag2": 0.31,
        "autocorrelation_lag3": 0.17,
        "compositions_starting_with_tonic": 0.0,
        "leaps_resolved": 0.522,
        "compositions_with_unique_max_note": 0.371,
        "compositions_with_unique_min_note": 0.565,
        "notes_in_motif": 0.693,
        "notes_in_repeated_motif": 0.0001,
    },
}

# What a person would call each row, in the order of the paper's table.
ROW_TITLES: dict[str, str] = {
    "notes_excessively_repeated": "Notes excessively repeated",
    "notes_not_in_key": "Notes not in key",
    "autocorrelation_lag1": "Autocorrelation, lag 1",
    "autocorrelation_lag2": "Autocorrelation, lag 2",
    "autocorrelation_lag3": "Autocorrelation, lag 3",
    "compositions_starting_with_tonic": "Starting with the tonic",
    "leaps_resolved": "Leaps resolved",
    "compositions_with_unique_max_note": "Unique highest note",
    "compositions_with_unique_min_note": "Unique lowest note",
    "notes_in_motif": "Notes in motif",
    "notes_in_repeated_motif": "Notes in repeated motif",
}


def evaluate(melodies: Melodies, *, key: str = "C major") -> dict[str, float]:
    """All eleven rows of the paper, in its order.

    Args:
      melodies: any number, of any lengths.
      key: judges `notes_not_in_key` and `compositions_starting_with_tonic`.

    Returns:
      The row names of `ROW_TITLES` with their values. Without melodies every value is NaN.
    """
    rows = {
        "notes_excessively_repeated": notes_excessively_repeated(melodies),
        "notes_not_in_key": notes_not_in_key(melodies, key=key),
        "compositions_starting_with_tonic": compositions_starting_with_tonic(melodies, key=key),
        "leaps_resolved": leaps_resolved(melodies),
        "compositions_with_unique_max_note": compositions_with_unique_max_note(melodies),
        "compositions_with_unique_min_note": compositions_with_unique_min_note(melodies),
        "notes_in_motif": notes_in_motif(melodies),
        "notes_in_repeated_motif": notes_in_repeated_motif(melodies),
    }
    for lag in (1, 2, 3):
        rows[f"autocorrelation_lag{lag}"] = mean_autocorrelation(melodies, lag)
    return {name: rows[name] for name in ROW_TITLES}


def notes_excessively_repeated(melodies: Melodies) -> float:
    """Share of steps that excessively repeat their event (`rules.penalize_repeating.is_excessively_repeated`)."""
    return _share_of_steps(is_excessively_repeated(melodies), melodies)


def notes_not_in_key(melodies: Melodies, *, key: str = "C major") -> float:
    """Share of steps with an onset outside the key; rests and holds count as in key."""
    return _share_of_steps(is_out_of_key(melodies, Key.parse(key)), melodies)


def autocorrelations(melodies: Melodies, lag: int) -> Tensor:
    """Autocorrelation of each melody's class numbers, float64 [B].

    sum_t (x_t - m)(x_{t+lag} - m) / (n var x) over the n events of the melody; 0 where n <= lag, NaN where the
    melody is constant or empty.
    """
    length = melodies.lengths[:, None].double()
    x = melodies.events.double()
    centred = torch.where(melodies.valid, x - (x * melodies.valid).sum(1, keepdim=True) / length, 0.0)
    shifted = centred[:, lag:] * centred[:, : max(x.shape[1] - lag, 0)]
    variance = (centred * centred).sum(dim=1)
    classes = torch.where(melodies.valid, melodies.events, melodies.events[:, :1])
    is_constant = (classes == melodies.events[:, :1]).all(dim=1)  # exact, where a rounded variance is not
    return torch.where(is_constant, math.nan, shifted.sum(dim=1) / variance)


def mean_autocorrelation(melodies: Melodies, lag: int) -> float:
    """Mean over melodies of `autocorrelations`; constant melodies are left out. NaN where none is left."""
    return float(autocorrelations(melodies, lag).nanmean())


def compositions_starting_with_tonic(melodies: Melodies, *, key: str = "C major") -> float:
    """Share of melodies whose first event is the onset of the tonic (one pitch: MIDI 60 in C)."""
    if not melodies.events.shape[1]:
        return _share_of_melodies(melodies.lengths > 0)
    return _share_of_melodies(melodies.pitch[:, 0] == Key.parse(key).tonic_pitch)


def leaps_resolved(melodies: Melodies) -> float:
    """Resolved leaps as a share of resolved and doubled ones, pooled over melodies; open leaps are not counted.

    NaN where no leap was resolved or doubled.
    """
    outcomes = leap_outcomes(melodies)
    resolved, doubled = int((outcomes == RESOLVED).sum()), int((outcomes == DOUBLED).sum())
    return resolved / (resolved + doubled) if resolved + doubled else math.nan


def compositions_with_unique_max_note(melodies: Melodies) -> float:
    """Share of melodies whose largest class number occurs once (rests and holds count, as in the reference)."""
    return _share_of_melodies(has_unique_highest(melodies))


def compositions_with_unique_min_note(melodies: Melodies) -> float:
    """Share of melodies whose lowest pitch has one onset."""
    return _share_of_melodies(has_unique_lowest(melodies))


def notes_in_motif(melodies: Melodies) -> float:
    """Share of steps that end a motif: at least 3 distinct pitches in the last 8 steps."""
    return _share_of_steps(distinct_pitches(melodies, MOTIF_STEPS) >= MIN_PITCHES, melodies)


def notes_in_repeated_motif(melodies: Melodies) -> float:
    """Share of steps that end a motif of 8 steps that was played before."""
    return _share_of_steps(ends_repeated_motif(melodies, MOTIF_STEPS), melodies)


def _share_of_steps(chosen: Tensor, melodies: Melodies) -> float:
    steps = int(melodies.lengths.sum())
    return int(chosen.sum()) / steps if steps else math.nan


def _share_of_melodies(chosen: Tensor) -> float:
    return int(chosen.sum()) / len(chosen) if len(chosen) else math.nan
