"""The RL Tuner paper's eleven rows. What the paper published in them is in `published`.

Conventions
-----------
* Every metric is a pure function of `Melodies` that returns one float; padding past a melody's length is ignored.
* Shares are fractions in [0, 1]; correlations lie in [-1, 1]. A share with nothing to count is NaN.
* "Notes" in the paper's rows are steps: rests and holds count as notes, as in the reference's own statistics.
* N melodies have sum(lengths) steps in all.

Metrics: `notes_excessively_repeated`, `notes_not_in_key`, `autocorrelation` (lags 1 to 3),
`compositions_starting_with_tonic`, `leaps_resolved`, `compositions_with_unique_max_note`,
`compositions_with_unique_min_note`, `notes_in_motif`, `notes_in_repeated_motif`; `evaluate` gives all of them, and
`row_counts` gives them by melody, for intervals.

Source: Jaques, Gu, Turner, Eck, "Tuning Recurrent Neural Networks with Reinforcement Learning" (2017), and the
counters of magenta/models/rl_tuner/rl_tuner_eval_metrics.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rltuner.eval.counts import Counts, in_batches, mean_of, share_of
from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.rules.high_low_unique import has_unique_highest, has_unique_lowest
from rltuner.rules.key import is_out_of_key
from rltuner.rules.leap_up_back import DOUBLED, RESOLVED, leap_outcomes
from rltuner.rules.motif import MIN_PITCHES, distinct_pitches
from rltuner.rules.penalize_repeating import is_excessively_repeated
from rltuner.rules.repeated_motif import ends_repeated_motif

MOTIF_STEPS = 8  # the reference's bar, whatever the metre

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
    return {name: counts.value for name, counts in row_counts(melodies, key=key).items()}


def row_counts(melodies: Melodies, *, key: str = "C major") -> dict[str, Counts]:
    """The eleven rows, as `evaluate` gives them, with numerator and denominator of each melody."""
    parsed = Key.parse(key)
    return in_batches(lambda part: _row_counts(part, parsed), melodies)


def sounding_counts(melodies: Melodies, *, key: str = "C major") -> dict[str, Counts]:
    """The paper's shares of steps as shares of sounding notes: onsets chosen / onsets, under the same names."""
    parsed = Key.parse(key)

    def count(part: Melodies) -> dict[str, Counts]:
        return {name: share_of(chosen, part.is_onset) for name, chosen in _chosen_steps(part, parsed).items()}

    return in_batches(count, melodies)


def _row_counts(melodies: Melodies, key: Key) -> dict[str, Counts]:
    valid, any_melody = melodies.valid, torch.ones(len(melodies), dtype=torch.bool)
    rows = {name: share_of(chosen, valid) for name, chosen in _chosen_steps(melodies, key).items()}
    outcomes = leap_outcomes(melodies)
    rows["leaps_resolved"] = share_of(outcomes == RESOLVED, outcomes != 0)
    rows["compositions_starting_with_tonic"] = start_counts(melodies, key.tonic_pitch)
    rows["compositions_with_unique_max_note"] = share_of(has_unique_highest(melodies), any_melody)
    rows["compositions_with_unique_min_note"] = share_of(has_unique_lowest(melodies), any_melody)
    for lag in (1, 2, 3):
        rows[f"autocorrelation_lag{lag}"] = mean_of(autocorrelations(melodies, lag))
    return {name: rows[name] for name in ROW_TITLES}


def _chosen_steps(melodies: Melodies, key: Key) -> dict[str, Tensor]:
    """bool [B, T]: the steps that the paper's shares of steps count."""
    return {
        "notes_excessively_repeated": is_excessively_repeated(melodies),
        "notes_not_in_key": is_out_of_key(melodies, key),
        "notes_in_motif": distinct_pitches(melodies, MOTIF_STEPS) >= MIN_PITCHES,
        "notes_in_repeated_motif": ends_repeated_motif(melodies, MOTIF_STEPS),
    }


def start_counts(melodies: Melodies, tonic: int | Tensor) -> Counts:
    """Share of melodies whose first event is the onset of the tonic: a MIDI pitch, or one for each melody [B]."""
    any_melody = torch.ones(len(melodies), dtype=torch.bool)
    if not melodies.events.shape[1]:
        return share_of(~any_melody, any_melody)
    return share_of(melodies.pitch[:, 0] == tonic, any_melody)


def notes_excessively_repeated(melodies: Melodies) -> float:
    """Share of steps that excessively repeat their event (`rules.penalize_repeating.is_excessively_repeated`)."""
    return share_of(is_excessively_repeated(melodies), melodies.valid).value


def notes_not_in_key(melodies: Melodies, *, key: str = "C major") -> float:
    """Share of steps with an onset outside the key; rests and holds count as in key."""
    return share_of(is_out_of_key(melodies, Key.parse(key)), melodies.valid).value


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
    return mean_of(autocorrelations(melodies, lag)).value


def compositions_starting_with_tonic(melodies: Melodies, *, key: str = "C major") -> float:
    """Share of melodies whose first event is the onset of the tonic (one pitch: MIDI 60 in C)."""
    return start_counts(melodies, Key.parse(key).tonic_pitch).value


def leaps_resolved(melodies: Melodies) -> float:
    """Resolved leaps as a share of resolved and doubled ones, pooled over melodies; open leaps are not counted.

    NaN where no leap was resolved or doubled.
    """
    outcomes = leap_outcomes(melodies)
    return share_of(outcomes == RESOLVED, (outcomes == RESOLVED) | (outcomes == DOUBLED)).value


def compositions_with_unique_max_note(melodies: Melodies) -> float:
    """Share of melodies whose largest class number occurs once (rests and holds count, as in the reference)."""
    return _share_of_melodies(has_unique_highest(melodies))


def compositions_with_unique_min_note(melodies: Melodies) -> float:
    """Share of melodies whose lowest pitch has one onset."""
    return _share_of_melodies(has_unique_lowest(melodies))


def notes_in_motif(melodies: Melodies) -> float:
    """Share of steps that end a motif: at least 3 distinct pitches in the last 8 steps."""
    return share_of(distinct_pitches(melodies, MOTIF_STEPS) >= MIN_PITCHES, melodies.valid).value


def notes_in_repeated_motif(melodies: Melodies) -> float:
    """Share of steps that end a motif of 8 steps that was played before."""
    return share_of(ends_repeated_motif(melodies, MOTIF_STEPS), melodies.valid).value


def _share_of_melodies(chosen: Tensor) -> float:
    return share_of(chosen, torch.ones_like(chosen)).value
