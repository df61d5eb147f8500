"""Likeness to human music: distances between melodies, and whether a classifier can tell two sets of them apart.

Both work on `features`: what `rltuner.eval.texture` measures of each melody. Both are given the held-out human tunes as
the reference, and samples of fixed size, so that sources compare.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rltuner.eval.counts import LEVEL, Estimate, batches
from rltuner.eval.texture import FEATURES, inter_onset_histogram, interval_histogram, pitch_class_histogram
from rltuner.melody import Melodies
from rltuner.melody.tunes import Tune, windows_with_tunes

SAMPLE = 400  # melodies of each set: what the human test tunes give, with some to spare
GRID = 512  # points at which densities are compared
HISTOGRAMS = {
    "pitch_classes": pitch_class_histogram,
    "intervals": interval_histogram,
    "inter_onsets": inter_onset_histogram,
}
FOLDS = 5
RESAMPLES = 1_000


@dataclass(frozen=True)
class Overlap:
    """How alike the distances within the human melodies and those between human and other melodies are."""

    area: float
    """Overlapping area of the two densities, in [0, 1]; 1 where they are the same."""
    divergence: float
    """KL(within || between), nats; 0 where they are the same."""


def feature_overlaps(
    melodies: Melodies, human: Melodies, *, sample: int = SAMPLE, seed: int = 0
) -> dict[str, Overlap]:
    """Yang and Lerch's comparison, feature by feature.

    Distances are Euclidean: of two melodies' numbers, or of their histograms' shares. Within: all pairs of human
    melodies; between: all pairs of a human and another. Each set of distances is smoothed by a Gaussian kernel of Scott's
    width; densities are compared on a grid of 512 points. Melodies with nothing to measure are left out; NaN where fewer
    than two are left on either side.

    Args:
      melodies, human: at most `sample` of each, drawn without replacement.

    Source: Yang and Lerch 2020, "On the evaluation of generative models in music", sections 3.2 and 3.3.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen, reference = draw(melodies, sample, generator), draw(human, sample, generator)
    found = {}
    for name in (*FEATURES, *HISTOGRAMS):
        one, other = _feature(reference, name), _feature(chosen, name)
        if min(len(one), len(other)) < 2:
            found[name] = Overlap(math.nan, math.nan)
            continue
        pairs = torch.triu_indices(len(one), len(one), offset=1)
        within = torch.cdist(one, one)[pairs[0], pairs[1]]
        between = torch.cdist(one, other).flatten()
        found[name] = _overlap(within.numpy(), between.numpy())
    return found


def _feature(melodies: Melodies, name: str) -> Tensor:
    """float64 [n, 1] or [n, bins] of the melodies that have it."""
    values = FEATURES[name](melodies)[:, None] if name in FEATURES else _shares(HISTOGRAMS[name](melodies))
    return values[~values.isnan().any(dim=1)]


def _shares(counts: Tensor) -> Tensor:
    return counts / counts.sum(dim=1, keepdim=True)  # NaN where there is nothing


def _overlap(within: NDArray[np.float64], between: NDArray[np.float64]) -> Overlap:
    high = max(within.max(), between.max())
    if high == 0:
        return Overlap(1.0, 0.0)
    widths = [max(_scott(values), high / GRID) for values in (within, between)]
    grid = np.linspace(-3 * max(widths), high + 3 * max(widths), GRID)
    p, q = (_density(values, width, grid) for values, width in zip((within, between), widths, strict=True))
    step = grid[1] - grid[0]
    p, q = p / (p.sum() * step), q / (q.sum() * step)
    tiny = np.finfo(np.float64).tiny
    divergence = float((p * (np.log(p + tiny) - np.log(q + tiny))).sum() * step)
    return Overlap(float(np.minimum(p, q).sum() * step), divergence)


def _scott(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) * len(values) ** -0.2)


def _density(values: NDArray[np.float64], width: float, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian kernel density on the grid. Distances are put into its cells first: 80,000 of them would take long."""
    step = grid[1] - grid[0]
    counts = np.bincount(np.rint((values - grid[0]) / step).astype(int), minlength=len(grid))[: len(grid)]
    offsets = grid - grid[len(grid) // 2]
    kernel = np.exp(-0.5 * (offsets / width) ** 2)
    smooth: NDArray[np.float64] = np.convolve(counts, kernel, mode="same") / (
        len(values) * kernel.sum() * step
    )
    return smooth


def features(melodies: Melodies) -> NDArray[np.float64]:
    """Everything that is measured of a melody as one row: float64 [B, 63]; NaN where there is nothing to measure."""
    parts = []
    for part in batches(melodies):
        numbers = torch.stack([feature(part) for feature in FEATURES.values()], dim=1)
        parts.append(torch.cat([numbers, *(_shares(h(part)) for h in HISTOGRAMS.values())], dim=1))
    return torch.cat(parts).numpy()


def classifier_accuracy(
    melodies: Melodies,
    human: Melodies,
    groups: Tensor | None,
    human_groups: Tensor | None,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
) -> Estimate:
    """Classifier two-sample test: how often a logistic regression tells melodies from human ones, cross-validated.

    0.5 means that it cannot, 1 that it always can. As many of each set, drawn without replacement (`sample`, or the size
    of the smaller set); standardised `features` and their squares, what cannot be measured counted as the mean; L2
    penalty of weight 1; 5 folds, in which melodies of one tune stay together. The interval is a bootstrap over tunes
    (melodies, where they are their own groups) of the held-out verdicts, 95 %.

    Args:
      groups, human_groups: int64 [B] each, or None where every melody stands by itself.

    NaN where either set has fewer than five groups. Source: Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample
    tests".
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    from threadpoolctl import threadpool_limits

    generator = torch.Generator().manual_seed(seed)
    count = min(sample, len(melodies), len(human))
    rows, labels, tunes = [], [], []
    for label, (batch, own) in enumerate(((human, human_groups), (melodies, groups))):
        chosen = torch.randperm(len(batch), generator=generator)[:count]
        rows.append(features(batch[chosen]))
        labels += [label] * count
        tunes.append((own[chosen] if own is not None else chosen) + label * (1 << 40))
    group = torch.cat(tunes).unique(return_inverse=True)[1].numpy()
    label_of = np.array(labels)
    if min(len(set(group[label_of == label])) for label in (0, 1)) < FOLDS:
        return Estimate(math.nan, math.nan, math.nan)
    table = np.concatenate(rows)
    means = np.nan_to_num(np.nanmean(np.where(np.isnan(table).all(axis=0), 0.0, table), axis=0))
    table = np.where(np.isnan(table), means, table)
    model = make_pipeline(
        StandardScaler(),
        FunctionTransformer(_with_squares),
        StandardScaler(),
        LogisticRegression(max_iter=1_000),
    )
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    with (
        warnings.catch_warnings(),
        threadpool_limits(1),
    ):  # small products: threads would only wait for each other
        warnings.simplefilter("ignore")  # of no convergence, where the sets are apart: the verdict stands
        verdicts = cross_val_predict(model, table, label_of, groups=group, cv=folds)
    return _accuracy(verdicts == label_of, group, label_of, seed)


def _with_squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([values, values**2], axis=1)


def _accuracy(
    right: NDArray[np.bool_], group: NDArray[np.int64], label: NDArray[np.int64], seed: int
) -> Estimate:
    """The mean of the two sets' shares of right verdicts, groups of each set resampled."""
    generator = np.random.default_rng(seed)
    shares, resampled = [], np.zeros(RESAMPLES)
    for side in (0, 1):
        chosen = label == side
        _, place = np.unique(group[chosen], return_inverse=True)
        hits, sizes = np.bincount(place, right[chosen]), np.bincount(place)
        drawn = generator.integers(len(sizes), size=(RESAMPLES, len(sizes)))
        shares.append(hits.sum() / sizes.sum())
        resampled += hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1) / 2
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(np.mean(shares)), float(low), float(high))


def cut(melodies: Melodies, length: int) -> tuple[Melodies, Tensor]:
    """Melodies of any lengths as windows of one, from bar lines, as human tunes are cut (`melody.tunes.windows`).

    Returns the windows and the number of the melody that each comes from; what is shorter than a window is left out.
    """
    tunes = [
        Tune("", "", "", melodies.meter, tuple(row[:size]))
        for row, size in zip(melodies.events.tolist(), melodies.lengths.tolist(), strict=True)
    ]
    return windows_with_tunes(tunes, length, melodies.meter, melodies.vocabulary)


def draw(melodies: Melodies, count: int, generator: torch.Generator) -> Melodies:
    """At most `count` of the melodies, without replacement."""
    return melodies[torch.randperm(len(melodies), generator=generator)[:count]]
