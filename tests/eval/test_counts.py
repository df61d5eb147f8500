"""Ratios over melodies, their bootstrap intervals and effect sizes, against hand counts and textbook formulas."""

import math

import pytest
import torch
from generators import random_tunes

from rltuner.eval.counts import (
    Counts,
    Estimate,
    effect_size,
    estimates,
    in_batches,
    interval,
    mean_of,
    replicate,
    share_of,
)
from rltuner.eval.paper import ROW_TITLES, evaluate, row_counts, sounding_counts
from rltuner.melody import Melodies


def counts_of(numbers: list[float]) -> Counts:
    return mean_of(torch.tensor(numbers, dtype=torch.float64))


def test_a_ratio_pools_its_melodies() -> None:
    counts = Counts(torch.tensor([1.0, 0, 3]).double(), torch.tensor([1.0, 0, 9]).double())
    assert counts.value == 0.4  # not the mean of 1 and 1/3
    assert counts.left_out == 1
    assert math.isnan(Counts(torch.zeros(2), torch.zeros(2)).value)


def test_what_is_not_counted_is_not_chosen() -> None:
    chosen = torch.tensor([[True, True, False], [True, False, False]])
    counted = torch.tensor([[True, False, True], [False, False, False]])
    counts = share_of(chosen, counted)
    assert (counts.numerator.tolist(), counts.denominator.tolist()) == ([1, 0], [2, 0])


def test_means_leave_out_what_is_unknown_and_weigh_the_rest() -> None:
    assert counts_of([1.0, math.nan, 3.0]).value == 2.0
    assert mean_of(torch.tensor([1.0, 3.0]), torch.tensor([3, 1])).value == 1.5


def test_rows_by_melody_add_up_to_the_rows(oracle: dict) -> None:  # type: ignore[type-arg]
    melodies = Melodies(oracle["compositions"])
    counts = row_counts(melodies)
    assert list(counts) == list(ROW_TITLES)
    for name, value in evaluate(melodies).items():
        assert counts[name].value == value
    batches = in_batches(
        lambda part: row_counts(part), Melodies(melodies.events.repeat(25, 1))
    )  # 10,000: two batches
    assert batches["leaps_resolved"].value == pytest.approx(counts["leaps_resolved"].value, abs=1e-12)


def test_shares_of_sounding_notes_count_onsets_only() -> None:
    # C, held, F sharp, held: two of four steps begin a note, one of them out of key
    melodies = Melodies([[14, 1, 20, 1]])
    assert evaluate(melodies)["notes_not_in_key"] == 1 / 4
    assert sounding_counts(melodies)["notes_not_in_key"].value == 1 / 2


def test_the_interval_is_as_wide_as_the_mean_varies() -> None:
    numbers = torch.randn(400, generator=torch.Generator().manual_seed(0)).double()
    counts = {"mean": mean_of(numbers)}
    found = estimates(counts, replicate(counts, replicates=4000))["mean"]
    assert found.value == pytest.approx(float(numbers.mean()))
    expected = 1.96 * float(numbers.std()) / 20
    assert found.high - found.value == pytest.approx(expected, rel=0.08)
    assert found.value - found.low == pytest.approx(expected, rel=0.08)


def test_the_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    generator = torch.Generator().manual_seed(1)
    hits = 0
    for seed in range(200):  # a ratio: shares of melodies of different lengths
        lengths = torch.randint(1, 20, (150,), generator=generator).double()
        chosen = torch.binomial(lengths, torch.full((150,), 0.3, dtype=torch.float64), generator=generator)
        counts = {"": Counts(chosen, lengths)}
        found = estimates(counts, replicate(counts, replicates=300, seed=seed))[""]
        hits += found.low <= 0.3 <= found.high
    assert 180 <= hits <= 198


def test_windows_of_one_tune_are_drawn_together() -> None:
    tunes = torch.randn(40, generator=torch.Generator().manual_seed(2)).double()
    windows = {"": mean_of(tunes.repeat_interleave(25))}  # 25 equal windows of each tune
    groups = torch.arange(40).repeat_interleave(25)
    apart = interval(0.0, replicate(windows)[""])
    together = interval(0.0, replicate(windows, groups)[""])
    ratio = (together.high - together.low) / (apart.high - apart.low)
    assert ratio == pytest.approx(5.0, rel=0.15)  # the square root of 25: the windows tell nothing new


def test_many_melodies_are_resampled_in_groups_without_narrowing_the_interval() -> None:
    numbers = torch.randn(30_000, generator=torch.Generator().manual_seed(3)).double()
    spread = float(replicate({"": mean_of(numbers)})[""].std())
    assert spread == pytest.approx(float(numbers.std()) / 30_000**0.5, rel=0.08)


def test_nothing_gives_no_interval() -> None:
    nothing = {"": counts_of([])}
    found = estimates(nothing, replicate(nothing))[""]
    assert all(math.isnan(x) for x in (found.value, found.low, found.high))


def test_cohens_d_by_hand() -> None:
    # means 2 and 5, both with variance 1 between melodies: d = -3
    one, other = counts_of([1, 2, 3]), counts_of([4, 5, 6])
    resampled = [replicate({"": c}, seed=i)[""] for i, c in enumerate((one, other))]
    found = effect_size(one, other, resampled)
    assert found.value == pytest.approx(-3.0)
    assert found.low < -3 < found.high < 0
    assert effect_size(one, one, [resampled[0], resampled[0]]).value == 0
    assert effect_size(counts_of([1, 1]), counts_of([1, 1]), resampled) == Estimate(0, 0, 0)
    assert math.isnan(effect_size(counts_of([1, 1]), counts_of([2, 2]), resampled).value)


def test_a_ratio_is_linearised_to_numbers_of_its_own_spread() -> None:
    counts = Counts(torch.tensor([1.0, 2, 0]).double(), torch.tensor([2.0, 2, 4]).double())
    assert float(counts.by_melody.mean()) == pytest.approx(counts.value)
    plain = counts_of([3.0, 5.0])
    assert plain.by_melody.tolist() == [3.0, 5.0]


def test_the_rows_of_each_melody_are_those_of_a_batch_of_it() -> None:
    for key in ("C major", "A harmonic minor"):
        tunes = [*random_tunes(60, seed=3, longest=40), [14], [1, 1, 1]]
        rows = row_counts(Melodies.from_lists(tunes), key=key)
        for index, tune in enumerate(tunes):
            alone = evaluate(Melodies([tune]), key=key)
            assert list(rows) == list(alone)
            told = {name: counts.own[index].item() for name, counts in rows.items()}
            assert told == pytest.approx(alone, nan_ok=True, abs=1e-12), tune


def test_cohens_d_is_of_the_melodies_that_are_counted() -> None:
    generator = torch.Generator().manual_seed(4)
    one = torch.randn(4000, generator=generator).double() + 1
    other = torch.randn(4000, generator=generator).double()
    hidden = torch.rand(4000, generator=generator) < 0.9
    for left_out in (torch.zeros_like(hidden), hidden):
        counts = [mean_of(torch.where(left_out, math.nan, values)) for values in (one, other)]
        found = effect_size(*counts, [replicate({"": c}, replicates=50)[""] for c in counts])
        assert found.value == pytest.approx(1.0, abs=0.12)


def test_a_share_of_nothing_is_bounded_by_the_rule_of_three() -> None:
    never = {"": share_of(torch.zeros(300, dtype=torch.bool), torch.ones(300, dtype=torch.bool))}
    always = {"": share_of(torch.ones(300, dtype=torch.bool), torch.ones(300, dtype=torch.bool))}
    assert estimates(never, replicate(never))[""].high == pytest.approx(3 / 300, rel=0.01)
    assert estimates(always, replicate(always))[""].low == pytest.approx(1 - 3 / 300, rel=0.01)
    few = {"": counts_of([1.0, 2.0, 3.0, 4.0])}
    assert math.isnan(estimates(few, replicate(few))[""].low)
