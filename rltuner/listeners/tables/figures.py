"""Figures of tables: learning curves with the spread of their seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rltuner.storing.atomic import naming


def draw_curves(
    curves: Mapping[str, Sequence[Sequence[dict[str, Any]]]], scale: float, label: str, file: Path
) -> None:
    """Mean over seeds against steps of the environment, the range of the seeds shaded; rows without a run are left out.

    Args:
      curves: records of each seed's run, by row.
      scale: what a record's mean is multiplied by, such as the steps of an episode.
      label: of what is drawn.
    """
    shown = {name: runs for name, runs in curves.items() if runs}
    if not shown:
        return
    figure, every = _grid(len(shown))
    for axes, (name, runs) in zip(every, shown.items(), strict=False):
        shortest = min(len(run) for run in runs)
        steps = np.array([record["steps"] for record in runs[0][:shortest]])
        values = scale * np.array([[record["mean"] for record in run[:shortest]] for run in runs])
        axes.plot(steps, values.mean(axis=0), linewidth=1)
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), alpha=0.25, linewidth=0)
        axes.set_title(f"{name} ({len(runs)})", fontsize=7)
        axes.tick_params(labelsize=7)
    figure.supxlabel("steps of the environment", fontsize=8)
    figure.supylabel(label, fontsize=8)
    with naming(file):
        figure.savefig(file, dpi=110)


def draw_losses(losses: Mapping[str, Sequence[Sequence[float]]], file: Path) -> None:
    """Loss of each episode, mean over runs, the range shaded."""
    shown = {name: np.array(runs) for name, runs in losses.items() if runs}
    if not shown:
        return
    figure, every = _grid(len(shown))
    for axes, (name, values) in zip(every, shown.items(), strict=False):
        episodes = np.arange(1, values.shape[1] + 1)
        axes.plot(episodes, values.mean(axis=0))
        axes.fill_between(episodes, values.min(axis=0), values.max(axis=0), alpha=0.25, linewidth=0)
        axes.set_title(f"{name} ({len(values)} runs)", fontsize=8)
    figure.supxlabel("episode", fontsize=8)
    figure.supylabel("loss", fontsize=8)
    with naming(file):
        figure.savefig(file, dpi=110)


def _grid(count: int) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(4, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.4 * columns, 2.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    every = [figure.add_subplot(rows, columns, number + 1) for number in range(count)]
    return figure, every
