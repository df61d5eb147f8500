"""Metrics as ratios of sums over melodies, and how far they would move with other melodies of the same kind.

Nearly every metric here is sum(numerator) / sum(denominator) over melodies: shares of steps, of notes, of melodies, and
means. Kept by melody, such a metric can be resampled: the bootstrap draws as many melodies as there are, with
replacement, and takes the ratio again (Efron and Tibshirani 1993, "An Introduction to the Bootstrap").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies

REPLICATES = 1_000
MOST_GROUPS = 10_000
LEVEL = 0.95
FEWEST = 5  # groups; with fewer no interval is given
BATCH = 8_192  # melodies counted at a time, so that intermediate tensors stay small enough for the caches


@dataclass(frozen=True)
class Counts:
    """A metric as one numerator and one denominator for each melody."""

    numerator: Tensor
    """float64 [B]."""
    denominator: Tensor
    """float64 [B]; 0 where the metric leaves the melody out."""

    @property
    def value(self) -> float:
        """sum(numerator) / sum(denominator); NaN where nothing is counted."""
        total = float(self.denominator.sum())
        return float(self.numerator.sum()) / total if total else math.nan

    @property
    def own(self) -> Tensor:
        """The metric of each melody alone, float64 [B]; NaN where it has nothing to count."""
        return torch.where(self.denominator != 0, self.numerator / self.denominator, math.nan)

    @property
    def left_out(self) -> int:
        """Melodies that the metric has nothing to count in."""
        return int((self.denominator == 0).sum())

    @property
    def by_melody(self) -> Tensor:
        """What each melody adds to the value, float64 [B]: a mean of B numbers whose spread is the value's own.

        value + (numerator - value x denominator) / mean(denominator): for a plain mean that is the melody's own number,
        for a ratio it is the influence of the melody (the linearisation of Taylor).
        """
        mean = self.denominator.mean()
        return self.value + (self.numerator - self.value * self.denominator) / mean


def share_of(chosen: Tensor, counted: Tensor) -> Counts:
    """Share of the counted places, bool [B, T] or [B], that are chosen as well."""
    chosen = chosen & counted
    if chosen.ndim == 2:
        return Counts(chosen.sum(dim=1).double(), counted.sum(dim=1).double())
    return Counts(chosen.double(), counted.double())


def mean_of(values: Tensor, weights: Tensor | None = None) -> Counts:
    """Mean of one number a melody [B]; melodies whose number is NaN are left out. Weights, where given, [B]."""
    known = ~values.isnan()
    weight = known.double() if weights is None else known * weights.double()
    return Counts(torch.where(known, values.double(), 0.0) * weight, weight)


def in_batches(count: Callable[[Melodies], Mapping[str, Counts]], melodies: Melodies) -> dict[str, Counts]:
    """The counts of all melodies, a batch at a time, so that any number of them takes little memory."""
    parts = [count(part) for part in batches(melodies)]
    return {
        name: Counts(
            torch.cat([part[name].numerator for part in parts]),
            torch.cat([part[name].denominator for part in parts]),
        )
        for name in parts[0]
    }


def batches(melodies: Melodies, size: int = BATCH) -> Iterator[Melodies]:
    """The melodies, `size` at a time; one empty batch where there is none."""
    if len(melodies) <= size:
        yield melodies  # whatever was computed of it before stays of use
        return
    for first in range(0, len(melodies), size):
        yield melodies[first : first + size]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval."""

    value: float
    low: float
    high: float

    def parts_from(self, other: Estimate) -> bool:
        """True where the two intervals share nothing. False where either is NaN."""
        return self.high < other.low or other.high < self.low


def interval(value: float, replicates: Tensor, level: float = LEVEL) -> Estimate:
    """The value with the percentile interval of its replicates [R], NaN ones left out.

    The interval is NaN where the value, or every replicate, is.
    """
    known = replicates[~replicates.isnan()]
    if not len(known) or math.isnan(value):
        return Estimate(value, math.nan, math.nan)
    low, high = torch.quantile(
        known, torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=known.dtype)
    ).tolist()
    return Estimate(value, low, high)


def replicate(
    counts: Mapping[str, Counts],
    groups: Tensor | None = None,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Every metric's value on resampled melodies, float64 [replicates]; the same resamples for all metrics.

    Args:
      counts: of the same melodies, in the same order.
      groups: int64 [B]; melodies of one group (windows of one tune) are drawn together. Without it each melody is drawn
        by itself; more than 10,000 of them are first put into 10,000 groups as they come, which changes nothing where
        they are independent, and bounds the time.

    All NaN without melodies.
    """
    names = list(counts)
    if not names:
        return {}
    sums = torch.stack(
        [c for name in names for c in (counts[name].numerator, counts[name].denominator)], dim=1
    )
    if groups is None and len(sums) > MOST_GROUPS:
        groups = torch.arange(len(sums)) * MOST_GROUPS // len(sums)
    if groups is not None:
        _, place = groups.unique(return_inverse=True)
        table = torch.zeros(int(place.max()) + 1 if len(place) else 0, sums.shape[1], dtype=torch.float64)
        sums = table.index_add_(0, place, sums)
    count = len(sums)
    if not count:
        return dict.fromkeys(names, torch.full((replicates,), math.nan, dtype=torch.float64))
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(count, (replicates, count), generator=generator)
    times = torch.zeros(replicates, count, dtype=torch.float32)
    times.scatter_add_(1, drawn, torch.ones(1, 1).expand_as(drawn))
    totals = torch.cat([part.double() @ sums for part in times.split(100)])  # (replicates, 2 x metrics)
    numerator, denominator = totals[:, 0::2], totals[:, 1::2]
    values = torch.where(denominator != 0, numerator / denominator, math.nan)
    return {name: values[:, place] for place, name in enumerate(names)}


def estimates(
    counts: Mapping[str, Counts],
    replicates: Mapping[str, Tensor],
    groups: Tensor | None = None,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """Each metric's value with its bootstrap interval.

    No interval where fewer than five groups (melodies, without groups) are counted: they say nothing about others. A
    share of exactly 0 or 1, whose resamples are all alike, is given the bound of the rule of three: 1 - 0.05^(1/n) for
    n groups.
    """
    found = {}
    for name, entry in counts.items():
        counted = entry.denominator != 0
        size = int(counted.sum()) if groups is None else len(groups[counted].unique())
        if size < FEWEST:
            found[name] = Estimate(entry.value, math.nan, math.nan)
            continue
        found[name] = interval(entry.value, replicates[name], level)
        unseen = 1 - (1 - level) ** (1 / size)
        if bool((entry.numerator == 0).all()):
            found[name] = Estimate(0.0, 0.0, unseen)
        elif bool((entry.numerator == entry.denominator).all()):
            found[name] = Estimate(1.0, 1 - unseen, 1.0)
    return found


def effect_size(one: Counts, other: Counts, replicates: Sequence[Tensor], level: float = LEVEL) -> Estimate:
    """Cohen's d: (value of one - value of other) / their pooled standard deviation between melodies.

    Args:
      one, other: the same metric of two sources.
      replicates: the metric's replicates of the two, [R] each; the interval is that of their differences.

    Melodies that the metric leaves out are no part of it. 0 where both have the same value and no spread, NaN where the
    spread is 0 and the values differ, or either has no value. Source: Cohen 1988, "Statistical Power Analysis for the
    Behavioral Sciences".
    """
    difference = one.value - other.value
    kept = [Counts(c.numerator[c.denominator != 0], c.denominator[c.denominator != 0]) for c in (one, other)]
    squares = sum(float((c.by_melody - c.value).square().sum()) for c in kept)
    spread = math.sqrt(squares / max(1, sum(len(c.numerator) for c in kept) - 2))
    if not spread:
        return Estimate(*(3 * (0.0 if difference == 0 else math.nan,)))
    return interval(difference / spread, (replicates[0] - replicates[1]) / spread, level)
