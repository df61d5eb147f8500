"""`rltuner listeners table system`: the whole system, section 6, Figure 32 and Table 1 of the thesis.

Of every family some tunes are targets. A finder starts at the centre of the grid and chooses cells; from each a tune is
played that was not played before, of the nearest cell with any left. The *ideal user* answers by the grid, exactly. A
*second rater* hears the tunes themselves: it rates each by percentiles of its distance from the target tune, in features
that the grid does not have (the Note RNN's hidden states where the grid has the measured features). Its answers are
stored, not fed to the finder, as in the thesis. Reported: steps until the target tune's cell was played, and the mean
absolute difference of the two ratings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rltuner.errors import InputError
from rltuner.listeners.agents.finder import Answer, Finder
from rltuner.listeners.environments.grid import STEPS
from rltuner.listeners.environments.raters import PERCENTILES, TOP, Raters
from rltuner.listeners.music.catalogue import Catalogue
from rltuner.listeners.music.features import Rows
from rltuner.listeners.music.space import Space, space
from rltuner.listeners.tables.spread import markdown, spread

TARGETS = 10  # of a family, as in the thesis
OTHER_COMPONENTS = 15  # of the second rater's features
HEADER = ("family", "targets", "steps until found", "found within 21", "|ideal - second rater|")
THESIS = "The thesis, by genre: 0.80 (hiphop) to 2.12 (classical), mean 1.39, found in three to six steps; one person."


@dataclass(frozen=True)
class Search:
    """The search for one target tune."""

    family: str
    found: int
    """Steps until a tune rated 4 was played; 22 where none was."""
    differences: tuple[float, ...]
    """|ideal - second| of every tune that was played."""


def searches(
    catalogue: Catalogue,
    found: Space,
    raters: Raters,
    finder: Finder,
    others: Rows,
    targets: int = TARGETS,
    seed: int = 0,
) -> list[Search]:
    """One search a target, all in lock-step.

    Args:
      found: the space whose cells are the raters' positions.
      raters: ideal users, one a target position.
      finder: chooses cells.
      others: the second rater's features, float64 [N, F].
      targets: of each family; families with fewer tunes give all that they have.

    Raises InputError where the space is not the raters' grid.
    """
    if found.per_feature ** found.points.shape[1] != len(raters.positions):
        raise InputError(
            f"{found.points.shape[1]} components of {found.per_feature} levels are not {len(raters.positions)} positions"
        )
    chosen = _targets(catalogue, targets, seed)
    second = _second_ratings(space(others, min(OTHER_COMPONENTS, *others.shape)).points, chosen)
    generator = np.random.default_rng(seed)
    count = len(chosen)
    target_cells = torch.from_numpy(found.cells[chosen])
    finder.begin(count)
    played: list[set[int]] = [set() for _ in range(count)]
    differences: list[list[float]] = [[] for _ in range(count)]
    hits = np.full(count, STEPS + 1)
    before: torch.Tensor | None = None
    position = torch.full((count,), raters.centre)
    for step in range(STEPS + 1):
        tunes = [_play(found, int(cell), played[n], generator) for n, cell in enumerate(position)]
        # What is rated is what was played: the cell of the tune, which differs where the chosen one was empty.
        heard = torch.from_numpy(found.cells[tunes])
        rating = raters.rating[target_cells, heard]
        distance = raters.distance[target_cells, heard]
        closer = torch.zeros(count, dtype=torch.bool) if before is None else distance < before
        before = distance
        for n, tune in enumerate(tunes):
            if hits[n] > STEPS:  # what is played after the target was found tells nothing of the search
                differences[n].append(abs(int(rating[n]) - float(second[n, tune])))
        hits = np.where((hits > STEPS) & (rating.numpy() == TOP), step, hits)
        if step < STEPS:
            position = finder.next(Answer(heard, closer, rating), STEPS - step)
    return [
        Search(catalogue.families[tune], int(hits[n]), tuple(differences[n])) for n, tune in enumerate(chosen)
    ]


def table(found: Sequence[Search], families: Sequence[str]) -> str:
    """By family, with 95 % intervals over targets, as Markdown."""
    lines = []
    for family in [*families, "all"]:
        own = [one for one in found if family in (one.family, "all")]
        if not own:
            continue
        share = 100 * sum(one.found <= STEPS for one in own) / len(own)
        differences = [float(np.mean(one.differences)) for one in own]
        steps = spread([one.found for one in own]).text(2)
        lines.append([family, str(len(own)), steps, f"{share:.0f} %", spread(differences).text(2)])
    return f"{markdown(HEADER, lines)}\n\n{THESIS}"


def _targets(catalogue: Catalogue, targets: int, seed: int) -> list[int]:
    """The numbers of the target tunes: `targets` of every family, drawn without replacement."""
    generator = np.random.default_rng(seed)
    labels = np.array(catalogue.families)
    chosen: list[int] = []
    for family in catalogue.counts:
        own = np.flatnonzero(labels == family)
        chosen += generator.permutation(own)[:targets].tolist()
    return chosen


def _second_ratings(points: Rows, targets: Sequence[int]) -> Rows:
    """Of every tune for every target, 0 to 4, by the same percentiles of distances: float64 [targets, N]."""
    ratings = np.empty((len(targets), len(points)))
    for row, target in enumerate(targets):
        distance = np.linalg.norm(points - points[target], axis=1)
        borders = np.percentile(distance, PERCENTILES["wider_top_target"][1:-1])
        ratings[row] = TOP - (distance[:, None] > borders).sum(axis=1)
    return ratings


def _play(found: Space, cell: int, played: set[int], generator: np.random.Generator) -> int:
    """A tune of the cell that was not played yet; of the nearest cell that has one left."""
    levels = np.array(np.unravel_index(cell, (found.per_feature,) * found.points.shape[1]))
    distance = np.abs(found.levels - levels).sum(axis=1).astype(float)
    if len(played) < len(distance):
        distance[list(played)] = np.inf
    nearest = np.flatnonzero(distance == distance.min())
    tune = int(generator.choice(nearest))
    played.add(tune)
    return tune
