"""`rltuner listeners table grid`: the thesis' Figures 22 and 23 over seeds, its curves, and what needs no learning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rltuner.listeners.agents.coordinates import CoordinateFinder
from rltuner.listeners.agents.finder import Finder, RandomFinder
from rltuner.listeners.agents.optimal import MOST_RATERS, OptimalFinder
from rltuner.listeners.agents.posterior import PosteriorFinder
from rltuner.listeners.environments.grid import GridListeners
from rltuner.listeners.environments.raters import KINDS, Raters, raters
from rltuner.listeners.tables.grid_rows import TABLE, Budget, GridRow, budgeted
from rltuner.listeners.tables.spread import EMPTY, markdown, spread
from rltuner.listeners.training.grid_run import judged
from rltuner.listeners.training.many import results
from rltuner.listeners.training.runs import RESULT, records
from rltuner.storing.checkpoints import read_json

REACHED = 0.95  # of the best level of a curve: where it counts as converged
SMOOTHED = 5  # records of a curve that are averaged
HEADER = (
    *("configuration", "thesis: mean (sd)", "mean", "sd over targets", "steps to find", "found", "seeds"),
    *("thesis: updates", "updates to converge", "environment steps to converge", "updates in all"),
)


def folder_of(out: Path, row: GridRow, budget: Budget, seed: int) -> Path:
    """Where a run of the table is kept."""
    return out / budget / row.name / f"seed-{seed}"


def run_table(out: Path, budget: Budget, seeds: int, processes: int, rows: Sequence[GridRow] = TABLE) -> None:
    """Runs what is missing of the table, all rows of one seed before the next seed."""
    jobs = [
        (budgeted(row, budget, seed), folder_of(out, row, budget, seed))
        for seed in range(seeds)
        for row in rows
    ]
    results(jobs, f"grid, budget {budget}", processes)


def table(out: Path, budget: Budget, seeds: int, rows: Sequence[GridRow] = TABLE) -> str:
    """The table as Markdown, of the runs that are there; what was not run is an empty cell."""
    lines = []
    for row in rows:
        folders = [folder_of(out, row, budget, seed) for seed in range(seeds)]
        found = [
            (read_json(folder / RESULT, "the result of a run"), folder)
            for folder in folders
            if (folder / RESULT).is_file()
        ]
        lines.append(_line(row, [result for result, _ in found], [folder for _, folder in found]))
    parts = [markdown(HEADER, lines), "", baselines()]
    return "\n".join(parts)


def _line(row: GridRow, found: list[dict[str, Any]], folders: list[Path]) -> list[str]:
    published = f"{row.published[0]:g} ({row.published[1]:g})" if row.published else EMPTY
    cells = [row.name, published]
    if not found:
        return [*cells, *[EMPTY] * 5, row.published_updates, EMPTY, EMPTY, EMPTY]
    converged = [converged_at(records(folder)) for folder in folders]
    cells += [
        spread([result["reward"] for result in found]).text(),
        spread([result["deviation"] for result in found]).text(),
        spread([result["found_after"] for result in found]).text(2),
        f"{100 * spread([result['found'] for result in found]).mean:.0f} %",
        str(len(found)),
        row.published_updates,
        f"{spread([updates for updates, _ in converged]).mean:,.0f}",
        f"{spread([steps for _, steps in converged]).mean:,.0f}",
        f"{found[0]['updates']:,}",
    ]
    return cells


def converged_at(curve: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """The updates and environment steps after which a curve, averaged over 5 records, first has 95 % of its best level.

    A curve that still rises at its end converges there. (0, 0) for no curve.
    """
    if not curve:
        return 0, 0
    means = np.array([record["mean"] for record in curve])
    width = min(SMOOTHED, len(means))
    smooth = np.convolve(means, np.ones(width) / width, mode="valid")
    first = curve[int((smooth >= REACHED * smooth.max()).argmax()) + width - 1]
    return int(first["updates"]), int(first["steps"])


def finders(found: Raters, reward: str) -> dict[str, Finder]:
    """What needs no learning, by name; the exact optimum where it can be computed."""
    worth = GridListeners(found, 1, reward).worth
    result: dict[str, Finder] = {"random": RandomFinder(found), "coordinate rules": CoordinateFinder(found)}
    entries = found.rating.numel() * len(found.positions)
    if not found.errors or entries <= 2_000_000:
        result["posterior, one answer ahead"] = PosteriorFinder(found, worth)
    if len(found.rating) <= MOST_RATERS and not found.errors and not found.tires:
        result["exact optimum"] = OptimalFinder(found, worth)
    return result


@cache
def baselines() -> str:
    """What needs no learning, in the same measures, and with the listeners that the thesis asks for, as Markdown."""
    settings = [
        (2, "top_target", "bullseye", "deterministic"),
        (2, "wider_top_target", "bullseye", "deterministic"),
        (2, "wider_top_target", "rating", "deterministic"),
        *((d, "wider_top_target", "bullseye", "deterministic") for d in (3, 4)),
        *((2, "wider_top_target", "bullseye", kind) for kind in KINDS if kind != "deterministic"),
    ]
    lines = []
    for d, percentiles, reward, kind in settings:
        found = raters(d, percentiles, kind)
        for name, finder in finders(found, reward).items():
            result = judged(finder, found, reward)
            where = f"{d}-D, {percentiles}, {reward}, {kind}".replace("_", " ")
            lines.append(
                [
                    f"{where}: {name}",
                    f"{result['reward']:.1f}",
                    f"{result['deviation']:.1f}",
                    f"{result['found_after']:.2f}",
                    f"{100 * result['found']:.0f} %",
                ]
            )
    return markdown(("needs no learning", "mean", "sd over listeners", "steps to find", "found"), lines)


def curves(out: Path, budget: Budget, seeds: int, rows: Sequence[GridRow] = TABLE) -> dict[str, list[Any]]:
    """The learning curves of all runs that are there, by row."""
    torch.set_num_threads(1)
    return {
        row.name: [found for seed in range(seeds) if (found := records(folder_of(out, row, budget, seed)))]
        for row in rows
    }
