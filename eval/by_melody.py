"""The paper's rows of each melody of a batch: what `eval.paper` says of a batch of that one melody.

Shares and correlations are those of the melody; a row that asks a question of a melody is 1 or 0. The mean over
melodies of equal length is the batch's row, but for `leaps_resolved`, which pools the leaps, and rows with NaN in them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.eval.paper import MOTIF_STEPS, ROW_TITLES, autocorrelations
from rltuner.key import Key
from rltuner.melody import Melodies
from rltuner.rules.high_low_unique import has_unique_highest, has_unique_lowest
from rltuner.rules.key import is_out_of_key
from rltuner.rules.leap_up_back import DOUBLED, RESOLVED, leap_outcomes
from rltuner.rules.motif import MIN_PITCHES, distinct_pitches
from rltuner.rules.penalize_repeating import is_excessively_repeated
from rltuner.rules.repeated_motif import ends_repeated_motif


def rows_by_melody(melodies: Melodies, key: Key) -> dict[str, Tensor]:
    """All eleven rows of each melody, float64 [B], in the paper's order.

    NaN where there is nothing to count: no leap that was resolved or doubled, a constant melody's correlation.
    Melodies must have at least one event.
    """
    outcomes = leap_outcomes(melodies)
    resolved, doubled = (outcomes == RESOLVED).sum(dim=1), (outcomes == DOUBLED).sum(dim=1)
    rows = {
        "notes_excessively_repeated": is_excessively_repeated(melodies),
        "notes_not_in_key": is_out_of_key(melodies, key),
        "notes_in_motif": distinct_pitches(melodies, MOTIF_STEPS) >= MIN_PITCHES,
        "notes_in_repeated_motif": ends_repeated_motif(melodies, MOTIF_STEPS),
    }
    values: dict[str, Tensor] = {
        **{name: steps.sum(dim=1).double() / melodies.lengths for name, steps in rows.items()},
        "compositions_starting_with_tonic": (melodies.pitch[:, 0] == key.tonic_pitch).double(),
        "leaps_resolved": torch.where(
            resolved + doubled > 0, resolved.double() / (resolved + doubled), torch.nan
        ),
        "compositions_with_unique_max_note": has_unique_highest(melodies).double(),
        "compositions_with_unique_min_note": has_unique_lowest(melodies).double(),
        **{f"autocorrelation_lag{lag}": autocorrelations(melodies, lag) for lag in (1, 2, 3)},
    }
    return {name: values[name] for name in ROW_TITLES}
