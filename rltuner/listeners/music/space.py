"""The space of features: principal components, levels by quantiles, and the tunes in each cell of the grid.

Columns are standardised before, so that no feature counts more for its unit. A level holds about a fifth of the tunes,
so that every level of every component is used; cells, which are combinations of levels, can still be empty.

Source: the thesis of docs/listeners.md, its section 5; quantiles in place of equal widths are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rltuner.errors import InputError
from rltuner.listeners.music.features import Rows

LEVELS = 5  # of each component
LARGEST = 8.0  # standard deviations; what is farther out counts as this


@dataclass(frozen=True)
class Space:
    """Rows of features as points of d principal components."""

    points: Rows
    """float64 [N, d], each component with a variance of its own."""
    explained: NDArray[np.float64]
    """Share of the standardised rows' variance in each component, [d]."""
    levels: NDArray[np.int64]
    """Of each tune in each component, [N, d]."""
    cells: NDArray[np.int64]
    """The position of each tune, [N]: its levels, the last component fastest."""
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    axes: Rows
    """[F, d]."""
    borders: Rows
    """Between levels, [d, levels - 1]."""
    per_feature: int = LEVELS

    def place(self, rows: Rows) -> tuple[Rows, NDArray[np.int64]]:
        """The points [M, d] and positions [M] of other rows of the same features."""
        points = _standardised(rows, self.mean, self.scale) @ self.axes
        levels = np.stack(
            [np.searchsorted(b, p, side="right") for b, p in zip(self.borders, points.T, strict=True)], 1
        )
        return points, levels @ self.per_feature ** np.arange(points.shape[1])[::-1]

    def in_cell(self, position: int) -> tuple[NDArray[np.int64], int]:
        """The tunes of a cell, and its number; of an empty cell those of the nearest one by levels that has any."""
        levels = np.array(np.unravel_index(position, (self.per_feature,) * self.points.shape[1]))
        distance = np.abs(self.levels - levels).sum(axis=1)
        nearest = self.cells[int(distance.argmin())]
        return np.flatnonzero(self.cells == nearest), int(nearest)


def space(rows: Rows, dimensions: int, per_feature: int = LEVELS) -> Space:
    """The space of some rows, float64 [N, F].

    Raises InputError where there are fewer rows or features that differ than `dimensions`.
    """
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    standard = _standardised(rows, mean, scale)
    _, singular, axes = np.linalg.svd(standard, full_matrices=False)
    if len(singular) < dimensions or singular[dimensions - 1] < 1e-9:
        raise InputError(
            f"{len(rows)} tunes do not differ in {dimensions} components; use fewer --dimensions or more tunes"
        )
    chosen = axes[:dimensions]
    # The sign of a component is arbitrary: its largest weight is made positive, so that it is always the same.
    chosen = chosen * np.sign(chosen[np.arange(dimensions), np.abs(chosen).argmax(axis=1)])[:, None]
    points = standard @ chosen.T
    borders = np.quantile(points, np.arange(1, per_feature) / per_feature, axis=0).T  # (d, levels - 1)
    levels = np.stack(
        [np.searchsorted(b, p, side="right") for b, p in zip(borders, points.T, strict=True)], axis=1
    )
    cells = levels @ per_feature ** np.arange(dimensions)[::-1]
    explained = singular[:dimensions] ** 2 / (singular**2).sum()
    return Space(points, explained, levels, cells, mean, scale, chosen.T, borders, per_feature)


def _standardised(rows: Rows, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> Rows:
    return np.clip((rows - mean) / np.where(scale > 1e-9, scale, 1.0), -LARGEST, LARGEST)


def neighbour_accuracy(points: Rows, families: list[str]) -> float:
    """The share of tunes whose nearest other tune (Euclidean) is of their own family."""
    labels = np.array(families)
    nearest = nearest_others(points)
    return float((labels[nearest] == labels).mean())


def nearest_others(points: Rows) -> NDArray[np.int64]:
    """The number of each tune's nearest other tune, int64 [N]."""
    squares = (points**2).sum(axis=1)
    result = np.empty(len(points), dtype=np.int64)
    for first in range(0, len(points), 512):
        part = points[first : first + 512]
        distance = squares[None] - 2 * part @ points.T
        distance[np.arange(len(part)), first + np.arange(len(part))] = np.inf
        result[first : first + len(part)] = distance.argmin(axis=1)
    return result


def centre_distances(points: Rows, families: list[str], names: list[str]) -> Rows:
    """Euclidean distances between the mean points of the named families, [K, K]: the thesis' Figures 29 to 31."""
    labels = np.array(families)
    centres = np.stack([points[labels == name].mean(axis=0) for name in names])
    distances: Rows = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    return distances
