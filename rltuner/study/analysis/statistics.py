"""Tests and agreement: the paper's Kruskal-Wallis and Mann-Whitney, sign tests by listener, Holm, Krippendorff's α."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Test:
    """A test's statistic and p value, NaN where there is nothing to test."""

    statistic: float
    p: float


def kruskal_wallis(groups: Sequence[Floats]) -> Test:
    """H, with the correction for ties, and its p value by chi squared with len(groups) - 1 degrees of freedom.

    NaN where a group is empty or all ratings are equal.
    """
    if min(map(len, groups), default=0) == 0 or len(set(np.concatenate(groups).tolist())) < 2:
        return Test(float("nan"), float("nan"))
    found = stats.kruskal(*groups)
    return Test(float(found.statistic), float(found.pvalue))


def mann_whitney(first: Floats, second: Floats) -> Test:
    """U of the first group and its two-sided p value, by the normal approximation with the correction for ties.

    NaN where a group is empty or all ratings are equal.
    """
    if min(len(first), len(second)) == 0 or len(set(np.concatenate([first, second]).tolist())) < 2:
        return Test(float("nan"), float("nan"))
    found = stats.mannwhitneyu(first, second, alternative="two-sided", method="asymptotic")
    return Test(float(found.statistic), float(found.pvalue))


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p value of so many wins against so many losses where both are equally likely; 1 without any."""
    if wins + losses == 0:
        return 1.0
    return float(stats.binomtest(wins, wins + losses).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """p values adjusted by Holm's step-down method (Scandinavian Journal of Statistics 6 (1979), 65-70).

    The smallest of m is multiplied by m, the next by m - 1, and so on; none may be less than one before it, nor more
    than 1. NaN stays NaN and does not count.
    """
    order = [i for i in np.argsort(values, kind="stable").tolist() if not np.isnan(values[i])]
    adjusted = [float("nan")] * len(values)
    least = 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * values[index]))
        adjusted[index] = least
    return adjusted


def ordinal(totals: Floats) -> Floats:
    """Krippendorff's squared difference of ordinal values, [V, V], from how often each occurs, [V]."""
    upto = np.cumsum(totals)
    between = np.abs(upto[:, None] - upto[None, :])  # the ranks between two values, with the higher one's
    higher = np.maximum(np.arange(len(totals))[:, None], np.arange(len(totals))[None, :])
    squared: Floats = (between - totals[higher] + (totals[:, None] + totals[None, :]) / 2) ** 2
    np.fill_diagonal(squared, 0.0)
    return squared


def krippendorff_alpha(ratings: Floats, difference: Callable[[Floats], Floats] = ordinal) -> float:
    """Krippendorff's α: 1 is perfect agreement, 0 what chance gives, below 0 systematic disagreement.

    α = 1 - observed / expected disagreement, from the coincidences of values within units. Units with fewer than two
    ratings do not count. K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011).

    Args:
      ratings: [observers, units], NaN where an observer did not rate a unit.
      difference: squared differences of the values [V, V] from how often each occurs [V]; values are in rising order.

    NaN where no unit has two ratings, or all values that do are equal.
    """
    values = np.unique(ratings[~np.isnan(ratings)])
    counts = (ratings[:, :, None] == values).sum(axis=0).astype(np.float64)  # (units, V)
    counts = counts[counts.sum(axis=1) >= 2]
    per_unit = counts.sum(axis=1)
    if not len(counts):
        return float("nan")
    coincidences = np.einsum("uv,uw->vw", counts / (per_unit - 1)[:, None], counts)
    coincidences -= np.diag((counts / (per_unit - 1)[:, None]).sum(axis=0))
    totals = coincidences.sum(axis=0)
    squared = difference(totals)
    expected = (np.outer(totals, totals) * squared).sum() / (totals.sum() - 1)
    if expected == 0:
        return float("nan")
    return float(1 - (coincidences * squared).sum() / expected)
