"""Diversity: how many melodies are distinct, and how far apart two of them are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rltuner.eval.counts import FEWEST, batches
from rltuner.melody import Melodies

PAIRS = 20_000
NEIGHBOURS = 500
CELLS = 30_000_000  # of tables of edit distances that are filled for one figure: a second or two
FACTOR = 0x5851F42D4C957F2D  # Knuth's multiplier of 64-bit linear congruential generators


def distinct_share(melodies: Melodies) -> float:
    """Distinct sequences of events among the melodies, as a share of them. NaN without melodies.

    A collapsed policy composes the same melody again and again, whatever its other figures say.
    """
    return distinct(melodies) / len(melodies) if len(melodies) else math.nan


def distinct(melodies: Melodies) -> int:
    """The number of distinct sequences of events."""
    padded = torch.cat([melodies.events, melodies.lengths[:, None]], dim=1)
    return len(padded.unique(dim=0))


def edit_distances(one: Melodies, other: Melodies) -> Tensor:
    """Levenshtein distance of the i-th melodies of two batches, divided by the longer one's length: float32 [B].

    The least number of events to insert, delete or replace; 0 for equal melodies, 1 where nothing can be kept; 0 where
    both are empty. Source: Levenshtein 1966; the row-by-row recurrence of Wagner and Fischer 1974.
    """
    columns = torch.arange(other.events.shape[1] + 1, dtype=torch.int16)
    row = columns.expand(len(one), -1).clone()  # distances of the empty prefix to every prefix of `other`
    result = row.gather(1, other.lengths[:, None])[:, 0]
    for i in range(one.events.shape[1]):
        differs = (one.events[:, i : i + 1] != other.events).to(torch.int16)
        best = torch.minimum(row[:, 1:] + 1, row[:, :-1] + differs)  # deleted, or kept or replaced
        first = torch.full_like(row[:, :1], i + 1)
        # inserted: one more than the place to the left, which a running minimum of (distance - place) gives
        row = (torch.cat([first, best], dim=1) - columns).cummin(dim=1).values + columns
        ends = one.lengths == i + 1
        result = torch.where(ends, row.gather(1, other.lengths[:, None])[:, 0], result)
    longer = torch.maximum(one.lengths, other.lengths).clamp(min=1)
    return result.float() / longer


def mean_edit_distance(melodies: Melodies, pairs: int = PAIRS, seed: int = 0) -> tuple[float, float]:
    """Mean normalised edit distance of pairs of different melodies of the batch, and its standard error.

    All pairs where there are few, else `pairs` random ones, fewer of long melodies (their cost grows with the square of
    the length). The error is that of other melodies of the same kind: of a U-statistic, 4 var(h) / N, with h(x) the
    mean distance of melody x (Hoeffding 1948), and that of drawing pairs. NaN with fewer than two melodies, the error
    with fewer than five.
    """
    count = len(melodies)
    if count < 2:
        return math.nan, math.nan
    pairs = _affordable(pairs, melodies)
    if count * (count - 1) // 2 <= pairs:
        every = torch.combinations(torch.arange(count))
        distances = edit_distances(melodies[every[:, 0]], melodies[every[:, 1]]).double()
        by_melody = torch.zeros(count, dtype=torch.float64)
        for side in (0, 1):
            by_melody.index_add_(0, every[:, side], distances)
        error = 2 * float((by_melody / (count - 1)).std()) / count**0.5
        return float(distances.mean()), error if count >= FEWEST else math.nan
    generator = torch.Generator().manual_seed(seed)
    half = max(2, pairs // 2)
    first = torch.randint(count, (half,), generator=generator)
    one, other = (
        edit_distances(
            melodies[first], melodies[(first + torch.randint(1, count, (half,), generator=generator)) % count]
        ).double()
        for _ in range(2)  # two distances of each melody drawn: their covariance is the variance of h
    )
    variance = float(((one - one.mean()) * (other - other.mean())).mean())
    drawn = float(torch.stack([one, other]).mean(dim=0).var()) / half
    return float(torch.stack([one, other]).mean()), (4 * max(variance, 0.0) / count + drawn) ** 0.5


def nearest_similarity(melodies: Melodies, sample: int = NEIGHBOURS, seed: int = 0) -> tuple[float, float]:
    """Self-similarity: 1 - normalised edit distance to the nearest other melody, its mean over a sample of melodies
    and the standard error.

    Neighbours are looked for in the sample, `sample` melodies drawn without replacement, so figures of samples of
    different size do not compare; all melodies where there are fewer, and fewer long ones. 1 where every melody has a
    copy of itself. NaN with fewer than two melodies, the error with fewer than five. After Self-BLEU (Zhu et al. 2018,
    "Texygen"), with the edit distance for BLEU.
    """
    generator = torch.Generator().manual_seed(seed)
    sample = min(sample, math.isqrt(2 * _affordable(sample**2 // 2, melodies, 10 * CELLS)))
    drawn = melodies[torch.randperm(len(melodies), generator=generator)[:sample]]
    count = len(drawn)
    if count < 2:
        return math.nan, math.nan
    pairs = torch.combinations(torch.arange(count))  # (pairs, 2)
    nearest = torch.zeros(count)
    for part in pairs.split(PAIRS):
        similarity = 1 - edit_distances(drawn[part[:, 0]], drawn[part[:, 1]])
        for side in (0, 1):
            nearest.scatter_reduce_(0, part[:, side], similarity, "amax")
    error = float(nearest.double().std()) / count**0.5 if count >= FEWEST else math.nan
    return float(nearest.double().mean()), error


def _affordable(pairs: int, melodies: Melodies, cells: int = CELLS) -> int:
    """As many pairs as `cells` cells of the distances' tables allow, at least fifty."""
    return min(pairs, max(50, cells // max(1, melodies.events.shape[1] ** 2)))


def runs_of(melodies: Melodies, n: int) -> Tensor:
    """All runs of n events within the melodies' lengths: int64 [number of them, n]."""
    if melodies.events.shape[1] < n:
        return torch.empty((0, n), dtype=torch.int64)
    windows = melodies.events.unfold(1, n, 1)  # (B, T - n + 1, n)
    inside = torch.arange(windows.shape[1]) + n <= melodies.lengths[:, None]
    return windows[inside]


def hashes(runs: Tensor) -> Tensor:
    """A 64-bit number for each run of n small integers, int64 [..., n] -> [...]; equal runs have equal numbers.

    A polynomial in an odd 64-bit constant, modulo 2^64: among a million different runs two share a number with a chance
    of about one in thirty million.
    """
    weights = torch.ones(runs.shape[-1], dtype=torch.int64)
    for place in range(1, len(weights)):
        weights[place] = weights[place - 1] * FACTOR
    mixed = (runs + 1) * -0x61C8864680B583EB  # spreads small integers over all bits
    mixed = mixed ^ (mixed >> 29)
    return (mixed * weights).sum(dim=-1)


def distinct_ngrams(melodies: Melodies, sizes: Sequence[int] = (4, 8)) -> dict[int, float]:
    """For each n, distinct runs of n events as a share of all runs of n events; NaN where there is none.

    It falls with the number of melodies, so compare sources of equal number. Source: Li et al. 2016, "A
    diversity-promoting objective function" (distinct-n).
    """
    shares = {}
    for n in sizes:
        keys = torch.cat([hashes(runs_of(part, n)) for part in batches(melodies)])
        shares[n] = len(keys.unique()) / len(keys) if len(keys) else math.nan
    return shares
