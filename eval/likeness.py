"""Likeness to human music: distances between melodies, by what `rltuner.eval.texture` measures of each.

The held-out human tunes are the reference, and samples have a fixed size, so that sources compare.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rltuner.eval.counts import batches
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
    values = FEATURES[name](melodies)[:, None] if name in FEATURES else shares(HISTOGRAMS[name](melodies))
    return values[~values.isnan().any(dim=1)]


def shares(counts: Tensor) -> Tensor:
    """Each row of counts [B, bins] as shares of its sum; NaN where there is nothing."""
    return counts / counts.sum(dim=1, keepdim=True)


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
        parts.append(torch.cat([numbers, *(shares(h(part)) for h in HISTOGRAMS.values())], dim=1))
    return torch.cat(parts).numpy()


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
