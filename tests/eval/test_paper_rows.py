"""The paper's eleven rows: the reference's counters, pooling, tunes counted by hand, and degenerate cases."""

import math

import numpy as np
import pytest
import torch
from generators import HOLD, REST, random_tunes

from rltuner.errors import InputError
from rltuner.eval import evaluate
from rltuner.eval.paper import ROW_TITLES, autocorrelations, mean_autocorrelation
from rltuner.eval.published import PUBLISHED
from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.rules.high_low_unique import has_unique_highest, has_unique_lowest
from rltuner.rules.key import is_out_of_key
from rltuner.rules.leap_up_back import DOUBLED, RESOLVED, leap_outcomes
from rltuner.rules.motif import MIN_PITCHES, distinct_pitches
from rltuner.rules.penalize_repeating import is_excessively_repeated
from rltuner.rules.repeated_motif import ends_repeated_motif

C3, G3, A3, C4, D4, E4, F4, G4, A4, C5 = 2, 9, 11, 14, 16, 18, 19, 21, 23, 26
C_SHARP4, F_SHARP4 = 15, 20
STEP_SHARES = [
    "notes_excessively_repeated",
    "notes_not_in_key",
    "notes_in_motif",
    "notes_in_repeated_motif",
]
MELODY_SHARES = [
    "compositions_starting_with_tonic",
    "compositions_with_unique_max_note",
    "compositions_with_unique_min_note",
]
CORRELATIONS = ["autocorrelation_lag1", "autocorrelation_lag2", "autocorrelation_lag3"]


def test_every_row_equals_the_reference(oracle: dict[str, np.ndarray]) -> None:
    count, time = oracle["compositions"].shape

    def total(name: str) -> int:
        return int(oracle[f"stats_{name}"].sum())

    resolved, doubled = total("num_resolved_leaps"), total("num_leap_twice")
    expected = {
        "notes_excessively_repeated": total("num_repeated_notes") / (count * time),
        "notes_not_in_key": total("notes_not_in_key") / (count * time),
        "autocorrelation_lag1": np.nanmean(oracle["stats_autocorrelation1"], dtype=np.float64),
        "autocorrelation_lag2": np.nanmean(oracle["stats_autocorrelation2"], dtype=np.float64),
        "autocorrelation_lag3": np.nanmean(oracle["stats_autocorrelation3"], dtype=np.float64),
        "compositions_starting_with_tonic": total("num_starting_tonic") / count,
        "leaps_resolved": resolved / (resolved + doubled),
        "compositions_with_unique_max_note": total("num_high_unique") / count,
        "compositions_with_unique_min_note": total("num_low_unique") / count,
        "notes_in_motif": total("notes_in_motif") / (count * time),
        "notes_in_repeated_motif": total("notes_in_repeated_motif") / (count * time),
    }
    rows = evaluate(Melodies(oracle["compositions"]))
    assert list(rows) == list(expected)
    for name, value in expected.items():
        assert rows[name] == pytest.approx(value, abs=1e-6), name


def test_every_melody_has_the_references_counts(oracle: dict[str, np.ndarray]) -> None:
    melodies = Melodies(oracle["compositions"])
    outcomes = leap_outcomes(melodies)
    counts = {
        "notes_not_in_key": is_out_of_key(melodies, Key.parse("C major")).sum(1),
        "notes_in_motif": (distinct_pitches(melodies, 8) >= MIN_PITCHES).sum(1),
        "notes_in_repeated_motif": ends_repeated_motif(melodies, 8).sum(1),
        "num_starting_tonic": melodies.events[:, 0] == C4,
        "num_repeated_notes": is_excessively_repeated(melodies).sum(1),
        "num_resolved_leaps": (outcomes == RESOLVED).sum(1),
        "num_leap_twice": (outcomes == DOUBLED).sum(1),
        "num_high_unique": has_unique_highest(melodies),
        "num_low_unique": has_unique_lowest(melodies),
        "num_seconds": (melodies.interval.abs() == 2).sum(1),
        "num_fourths": (melodies.interval.abs() == 5).sum(1),
        "num_sixths": (melodies.interval.abs() == 9).sum(1),
        "num_sevenths": (melodies.interval.abs() == 11).sum(1),
    }
    for name, count in counts.items():
        np.testing.assert_array_equal(count.numpy(), oracle[f"stats_{name}"], err_msg=name)
        assert count.any(), name
    for lag in (1, 2, 3):
        np.testing.assert_allclose(
            autocorrelations(melodies, lag), oracle[f"stats_autocorrelation{lag}"], rtol=0, atol=1e-5
        )
    assert 0 < np.isnan(oracle["stats_autocorrelation1"]).sum() < 100


def test_melodies_of_different_lengths_are_pooled() -> None:
    several = random_tunes(90, seed=8)
    alone = [evaluate(Melodies(tune)) for tune in several]
    rows = evaluate(Melodies.from_lists(several))
    steps = [len(tune) for tune in several]
    assert len(set(steps)) > 20
    for name in STEP_SHARES:
        pooled = sum(row[name] * length for row, length in zip(alone, steps, strict=True)) / sum(steps)
        assert rows[name] == pytest.approx(pooled), name
    for name in MELODY_SHARES:
        assert rows[name] == pytest.approx(np.mean([row[name] for row in alone])), name
    for name in CORRELATIONS:
        assert rows[name] == pytest.approx(np.nanmean([row[name] for row in alone])), name
    outcomes = [leap_outcomes(Melodies(tune)) for tune in several]
    resolved = sum(int((o == RESOLVED).sum()) for o in outcomes)
    doubled = sum(int((o == DOUBLED).sum()) for o in outcomes)
    assert rows["leaps_resolved"] == resolved / (resolved + doubled)


def test_garbage_past_a_melodys_end_changes_no_row() -> None:
    several = random_tunes(90, seed=9)
    garbage = [(tune + [37, 2] * 40)[:80] for tune in several]
    with_garbage = Melodies(garbage, [len(tune) for tune in several])
    assert_same_rows(evaluate(with_garbage), evaluate(Melodies.from_lists(several)))


def assert_same_rows(one: dict[str, float], other: dict[str, float]) -> None:
    np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-12)


def test_autocorrelation_is_the_textbook_one() -> None:
    for tune in random_tunes(180, seed=10):
        x = np.array(tune, dtype=np.float64)
        for lag in (1, 2, 3):
            value = mean_autocorrelation(Melodies(tune), lag)
            if x.std() == 0:
                assert math.isnan(value)
            else:
                d = x - x.mean()
                expected = sum(d[t] * d[t + lag] for t in range(len(x) - lag)) / (len(x) * x.var())
                assert value == pytest.approx(expected, abs=1e-12)
                assert -1 <= value <= 1


def test_a_tune_counted_by_hand() -> None:
    tune = [C4, G4, F_SHARP4, E4, D4, C4, HOLD, REST]  # leap up, walk back: resolved; one note out of key
    rows = evaluate(Melodies(tune))
    assert rows["notes_excessively_repeated"] == 0
    assert rows["notes_not_in_key"] == 1 / 8
    assert rows["compositions_starting_with_tonic"] == 1
    assert rows["leaps_resolved"] == 1
    assert rows["compositions_with_unique_max_note"] == 1  # G4 comes once
    assert rows["compositions_with_unique_min_note"] == 0  # C4 twice
    assert rows["notes_in_motif"] == 1 / 8  # only the eighth event ends eight steps
    assert rows["notes_in_repeated_motif"] == 0


def test_leaps_are_pooled_over_melodies_and_open_ones_left_out() -> None:
    resolved = [C4, G4, F4, E4, D4, C4]
    doubled_twice = [C3, G3, D4, A4, HOLD, HOLD]
    still_open = [C4, G4, HOLD, HOLD, HOLD, HOLD]
    assert evaluate(Melodies([resolved, doubled_twice, still_open]))["leaps_resolved"] == pytest.approx(1 / 3)


def test_no_more_than_25_of_32_events_end_a_motif() -> None:
    rows = evaluate(Melodies([C4, D4, E4, F4, G4, A4, G4, F4] * 4))
    assert rows["notes_in_motif"] == 25 / 32


def test_no_more_than_17_of_32_events_end_a_repeated_motif() -> None:
    rows = evaluate(Melodies([C4, D4, E4, HOLD] * 8))
    assert rows["notes_in_repeated_motif"] == 17 / 32


def test_the_key_moves_the_scale_and_the_tonic() -> None:
    scale_of_a_major = [A3, A3 + 2, A3 + 4, A3 + 5]  # A B C# D
    in_c, in_a, in_a_minor = (
        evaluate(Melodies(scale_of_a_major), key=key) for key in ("C major", "A major", "A minor")
    )
    assert [rows["notes_not_in_key"] for rows in (in_c, in_a, in_a_minor)] == [1 / 4, 0, 1 / 4]
    starts = [rows["compositions_starting_with_tonic"] for rows in (in_c, in_a, in_a_minor)]
    assert starts == [0, 1, 1]
    assert evaluate(Melodies([C_SHARP4, F_SHARP4]), key="F# major")["notes_not_in_key"] == 0


def test_a_tonic_in_another_octave_is_no_tonic() -> None:
    assert evaluate(Melodies([[C5], [C3], [C4], [HOLD]]))["compositions_starting_with_tonic"] == 1 / 4


def test_an_unknown_key_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"'C majr'.*did you mean 'major'"):
        evaluate(Melodies([C4]), key="C majr")


@pytest.mark.parametrize("shape", [(0, 0), (0, 1), (0, 32)])
def test_without_melodies_every_row_is_nan(shape: tuple[int, int]) -> None:
    rows = evaluate(Melodies(torch.empty(shape, dtype=torch.int64)))
    assert list(rows) == list(ROW_TITLES)
    assert all(math.isnan(value) for value in rows.values())


@pytest.mark.parametrize("time", [0, 20])
def test_empty_melodies_have_no_steps_and_no_extremes(time: int) -> None:
    rows = evaluate(Melodies(torch.full((3, time), C4), lengths=[0, 0, 0]))
    nan = {name for name, value in rows.items() if math.isnan(value)}
    assert nan == {*STEP_SHARES, *CORRELATIONS, "leaps_resolved"}
    assert [rows[name] for name in MELODY_SHARES] == [0, 0, 0]


def test_a_tune_of_rests_is_in_key_and_excessively_repeated() -> None:
    rows = evaluate(Melodies([REST] * 32))
    assert rows["notes_excessively_repeated"] == 30 / 32
    for name in (*MELODY_SHARES, "notes_not_in_key", "notes_in_motif", "notes_in_repeated_motif"):
        assert rows[name] == 0, name
    for name in (*CORRELATIONS, "leaps_resolved"):
        assert math.isnan(rows[name]), name


def test_a_single_note_is_its_own_highest_and_lowest() -> None:
    rows = evaluate(Melodies([C4]))
    for name in MELODY_SHARES:
        assert rows[name] == 1, name
    for name in STEP_SHARES:
        assert rows[name] == 0, name
    assert all(math.isnan(rows[name]) for name in CORRELATIONS)


def test_the_same_tune_many_times_over_has_the_same_rows() -> None:
    for tune in random_tunes(18, seed=11):
        assert_same_rows(evaluate(Melodies([tune] * 7)), evaluate(Melodies(tune)))


def test_published_columns_have_the_rows_of_the_table() -> None:
    for column in PUBLISHED.values():
        assert list(column) == list(ROW_TITLES)
        for name, value in column.items():
            assert (-1 if name in CORRELATIONS else 0) <= value <= 1
