"""Tests and agreement against hand computation and published examples; strengths against known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rltuner.study.analysis.bradley_terry import fit, strengths
from rltuner.study.analysis.statistics import (
    holm,
    krippendorff_alpha,
    kruskal_wallis,
    mann_whitney,
    ordinal,
    sign_test,
)

NONE = math.nan

# K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), example C: 4 observers, 12 units, values missing.
EXAMPLE_C = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
    [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
]
# The example of the article "Krippendorff's alpha" in Wikipedia: 3 observers, 15 units.
WIKIPEDIA = [
    [NONE, NONE, NONE, NONE, NONE, 3, 4, 1, 2, 1, 1, 3, 3, NONE, 3],
    [1, NONE, 2, 1, 3, 3, 4, 3, *[NONE] * 7],
    [NONE, NONE, 2, 1, 3, 4, 4, NONE, 2, 1, 1, 3, 3, NONE, 4],
]


def nominal(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 - np.eye(len(totals))


def interval(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.arange(len(totals), dtype=np.float64)  # of the examples: consecutive whole numbers
    return np.subtract.outer(values, values) ** 2


@pytest.mark.parametrize(
    ("ratings", "difference", "published"),
    [
        (EXAMPLE_C, nominal, 0.743),
        (EXAMPLE_C, ordinal, 0.815),
        (EXAMPLE_C, interval, 0.849),
        (WIKIPEDIA, nominal, 0.691),
        (WIKIPEDIA, interval, 0.811),
    ],
)
def test_alpha_is_the_published_one(ratings: list[list[float]], difference: object, published: float) -> None:
    found = krippendorff_alpha(np.array(ratings), difference)  # type: ignore[arg-type]
    assert found == pytest.approx(published, abs=5e-4)


def test_alpha_is_1_for_agreement_0_for_chance_and_undefined_without_variation() -> None:
    assert krippendorff_alpha(np.array([[1, 2, 5], [1, 2, 5.0]])) == 1.0
    rng = np.random.default_rng(0)
    assert krippendorff_alpha(rng.integers(1, 6, size=(4, 5000)).astype(float)) == pytest.approx(0, abs=0.02)
    assert krippendorff_alpha(np.array([[1, 5], [5, 1.0]])) < 0
    assert math.isnan(krippendorff_alpha(np.array([[3, 3], [3, 3.0]])))
    assert math.isnan(krippendorff_alpha(np.array([[1, NONE], [NONE, 2.0]])))


def test_ordinal_differences_count_the_ranks_between() -> None:
    # 2, 3 and 5 of three values: from the first to the second (2 + 3) - (2 + 3) / 2, to the third 10 - (2 + 5) / 2.
    squared = ordinal(np.array([2.0, 3.0, 5.0]))
    assert squared.tolist() == [[0, 2.5**2, 6.5**2], [2.5**2, 0, 4.0**2], [6.5**2, 4.0**2, 0]]


def test_holm_by_hand() -> None:
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and the last may not fall below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    with_gap = holm([0.02, NONE, 0.01])
    assert with_gap[::2] == pytest.approx([0.02, 0.02])
    assert math.isnan(with_gap[1])
    assert holm([]) == []


def test_the_sign_test_is_the_binomials_tail() -> None:
    assert sign_test(5, 0) == pytest.approx(2 / 32)
    assert sign_test(1, 5) == pytest.approx(2 * (1 + 6) / 64)
    assert sign_test(3, 3) == 1.0
    assert sign_test(0, 0) == 1.0


def test_rank_tests_by_hand_and_where_nothing_can_be_tested() -> None:
    low, high = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    # Rank sums 6 and 15 of n = 6: H = 12 / 42 (36 / 3 + 225 / 3) - 21 = 3.857, chi squared with 1 degree of freedom.
    assert kruskal_wallis([low, high]).statistic == pytest.approx(27 / 7)
    assert kruskal_wallis([low, high]).p == pytest.approx(math.erfc(math.sqrt(27 / 14)), rel=1e-6)
    assert mann_whitney(low, high).statistic == 0
    assert mann_whitney(high, low).statistic == 9
    same = np.array([3.0, 3.0])
    for nothing in (kruskal_wallis([same, same]), mann_whitney(same, same), mann_whitney(low, np.array([]))):
        assert math.isnan(nothing.p)


def test_strengths_of_two_sources_are_the_log_odds() -> None:
    found, tie = fit(np.array([[[30.0, 20.0, 10.0]]]), [(0, 1)], 2)
    assert found[0, 0] - found[0, 1] == pytest.approx(
        math.log(3), abs=1e-2
    )  # the prior moves it by a thousandth
    assert found[0].sum() == pytest.approx(0, abs=1e-9)
    assert math.exp(tie[0]) == pytest.approx(
        20 / math.sqrt(300), rel=1e-2
    )  # Davidson: ties / sqrt(wins losses)


def test_the_fit_is_the_maximum_and_finite_where_a_source_wins_every_time() -> None:
    rng = np.random.default_rng(1)
    contrasts = [(0, 1), (0, 2), (1, 2)]
    counts = rng.integers(0, 9, size=(20, 3, 3)).astype(float)
    counts[0] = [[9, 0, 0], [9, 0, 0], [0, 0, 9]]
    counts[1] = 0
    found, tie = fit(counts, contrasts, 3)
    assert np.isfinite(found).all()
    assert found[0].argmax() == 0
    assert not found[1].any()

    def likelihood(strength: NDArray[np.float64], log_tie: NDArray[np.float64]) -> NDArray[np.float64]:
        total = -((strength**2).sum(axis=1) + log_tie**2) / 200
        for column, (a, b) in enumerate(contrasts):
            logits = np.stack(
                [strength[:, a], log_tie + (strength[:, a] + strength[:, b]) / 2, strength[:, b]], axis=1
            )
            total += (counts[:, column] * (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))).sum(
                axis=1
            )
        return total

    best = likelihood(found, tie)
    for _ in range(50):
        nearby = likelihood(
            found + 0.02 * rng.standard_normal(found.shape), tie + 0.02 * rng.standard_normal(20)
        )
        assert (nearby < best).all()


def simulated_counts(
    rng: np.random.Generator, truth: NDArray[np.float64], listeners: int, spread: float
) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """[L, C, 3] of listeners who judge every contrast four times by Davidson's model."""
    contrasts = [(a, b) for a in range(len(truth)) for b in range(a + 1, len(truth))]
    own = truth + spread * rng.standard_normal((listeners, len(truth)))
    a, b = (own[:, list(side)] for side in zip(*contrasts, strict=True))
    chances = np.exp(np.stack([a, math.log(0.7) + (a + b) / 2, b], axis=2))
    counts = rng.multinomial(4, chances / chances.sum(axis=2, keepdims=True))
    return counts.astype(float), contrasts


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_known_strengths_lie_in_their_intervals_in_90_of_100_studies(spread: float) -> None:
    truth = np.array([-0.6, -0.3, 0.0, 0.3, 0.6])
    rng = np.random.default_rng(5)
    hits, widths = 0, []
    for study in range(100):
        counts, contrasts = simulated_counts(rng, truth, 50, spread)
        found = strengths(counts, contrasts, list("abcde"), seed=study, replicates=300)
        hits += bool(((found.low <= truth) & (truth <= found.high)).all())
        widths.append(found.high - found.low)
    assert hits >= 90
    assert np.mean(widths) < 0.6  # and the intervals say something


def test_a_listener_who_says_the_same_four_times_tells_no_more_than_once() -> None:
    """Answers of one listener hang together; a bootstrap over answers would halve the intervals here."""
    counts, contrasts = simulated_counts(np.random.default_rng(2), np.array([-0.5, 0.0, 0.5]), 40, 0.5)
    once = strengths(counts, contrasts, list("abc"), replicates=300)
    four_times = strengths(4 * counts, contrasts, list("abc"), replicates=300)
    assert four_times.low == pytest.approx(once.low, abs=1e-3)
    assert four_times.high == pytest.approx(once.high, abs=1e-3)


def test_one_listener_has_strengths_without_intervals() -> None:
    counts, contrasts = simulated_counts(np.random.default_rng(0), np.array([-1.0, 0.0, 1.0]), 1, 0.0)
    found = strengths(counts, contrasts, list("abc"))
    assert np.isfinite(found.estimate).all()
    assert np.isnan(found.low).all()
