"""Raters: what listeners with a target among levels of features would say of every position.

Conventions
-----------
* A *position* is one of L^d combinations of d features' levels (0 to L - 1), numbered with the last feature fastest.
* A listener has a *target*, a position. The distance of a position is the Manhattan distance to it, each feature weighed.
* The *rating*, 0 to 4, is given by percentiles of the distances of all positions: q[1] and below is 4, q[2] and below is
  3, and so on (numpy's linear interpolation).
* What a listener says may differ from that: raters err, and tire of what repeats.

Source: the thesis of docs/listeners.md (its section 4.2), whose listeners are the kind "deterministic"; the other kinds
are those that it asks for in its section 7.1.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rltuner.errors import InputError, suggest
from rltuner.listeners.music.space import LEVELS

MOST_POSITIONS = 20_000  # of a grid; 5 levels of 6 features have 15,625
MOST_ENTRIES = 20_000_000  # of a table of listeners and positions
TOP, HIGHEST = 4, 4.0  # rating of what is found
PERCENTILES: dict[str, tuple[float, ...]] = {
    "top_target": (0, 0.01, 15, 30, 50, 100),
    "wider_top_target": (0, 5, 15, 30, 50, 100),
}
"""Of distances: the borders of ratings 4, 3, 2, 1 and 0."""
KINDS = ("deterministic", "noisy", "unequal", "differing", "tiring")
ERRORS = 0.1  # share of a noisy rater's answers that are wrong, ratings and comparisons each
WEIGHTINGS = 8  # sets of weights that listeners with unequal features have
STRICTNESS = (0.5, 1.0, 2.0)  # factors of the percentiles of listeners who rate differently
TIRING_STEPS = 3  # a position that was heard in so many of the last steps loses a rating for each


@dataclass(frozen=True)
class Raters:
    """H listeners, one for each target and whatever else tells them apart."""

    positions: Tensor
    """Levels of each position, int64 [P, d]."""
    distance: Tensor
    """Of each position from each listener's target, float32 [H, P]."""
    rating: Tensor
    """Of each position by each listener, int64 [H, P]."""
    target: Tensor
    """Position of each listener's target, int64 [H]."""
    errors: float = 0.0
    """Share of ratings that are said one too high or too low, and of comparisons that are said the wrong way round."""
    tires: bool = False
    """Whether what repeats loses a rating for each time in the last 3 steps."""

    @property
    def centre(self) -> int:
        """The position at which every episode starts: the middle level of every feature."""
        return len(self.positions) // 2


def raters(
    dimensions: int,
    percentiles: str = "wider_top_target",
    kind: str = "deterministic",
    levels: int = LEVELS,
) -> Raters:
    """All listeners of a kind, over all targets.

    Args:
      dimensions: features, d.
      percentiles: "top_target" or "wider_top_target".
      kind: "deterministic"; "noisy", wrong one time in ten; "unequal", whose features weigh differently, by one of 8 sets
        of weights; "differing", strict or generous, whose percentiles are halved or doubled; "tiring".
      levels: of each feature, L; an odd number, so that there is a middle.

    Raises InputError for an unknown name, or a grid of more than 20,000 positions.
    """
    if percentiles not in PERCENTILES:
        raise InputError(f"unknown percentiles {percentiles!r}; {suggest(percentiles, list(PERCENTILES))}")
    if kind not in KINDS:
        raise InputError(f"unknown kind of listener {kind!r}; {suggest(kind, list(KINDS))}")
    if dimensions < 1 or levels < 3 or levels % 2 == 0 or levels**dimensions > MOST_POSITIONS:
        raise InputError(
            f"a grid of {levels} levels of {dimensions} features: an odd number of levels from 3, at least one feature "
            f"and at most {MOST_POSITIONS:,} positions"
        )
    positions = torch.cartesian_prod(*[torch.arange(levels)] * dimensions).reshape(-1, dimensions)
    weights = _weightings(dimensions) if kind == "unequal" else torch.ones(1, dimensions)
    borders = np.array([PERCENTILES[percentiles]])
    if kind == "differing":
        # The top stays: what a listener seeks is the same, only how it rates the rest differs.
        factors = np.array([[1, 1, factor, factor, factor, 1] for factor in STRICTNESS])
        borders = borders * factors
    count = len(weights) * len(borders) * len(positions)
    if count * len(positions) > MOST_ENTRIES:
        raise InputError(
            f"{kind} listeners in {dimensions} dimensions make a table of {count:,} listeners and {len(positions):,} "
            "positions; use fewer dimensions"
        )
    apart = (positions[:, None] - positions[None]).abs().float()  # (P, P, d)
    distances, ratings = [], []
    for weighting in weights:
        distance = apart @ weighting  # (P, P)
        for border in borders:
            distances.append(distance)
            ratings.append(_ratings(distance, border))
    return Raters(
        positions,
        torch.cat(distances),
        torch.cat(ratings),
        torch.arange(len(positions)).repeat(len(weights) * len(borders)),
        errors=ERRORS if kind == "noisy" else 0.0,
        tires=kind == "tiring",
    )


def _weightings(dimensions: int) -> Tensor:
    """Sets of weights, each with a mean of 1: float32 [8, d]; the same ones always."""
    drawn = np.random.default_rng(0).dirichlet(np.ones(dimensions), WEIGHTINGS) * dimensions
    return torch.from_numpy(np.round(drawn * 0.9 + 0.1, 2)).float()  # no feature is without any weight


def _ratings(distance: Tensor, border: np.ndarray) -> Tensor:
    """int64 [P, P]: of each position (column) by the listener whose target is the row."""
    values = distance.double().numpy()
    limits = np.percentile(values, np.minimum(border, 100)[1:-1], axis=1)  # (4, P)
    above = values[None] > limits[:, :, None] + 1e-6
    return torch.from_numpy(TOP - above.sum(axis=0)).long()
