"""Pictures of a training: rewards along it (the seed's figure 5), and bars early, late and of real music (6 and 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.rewards.rewards import Reward
from rltuner.melody.plots import pyplot, save_png

Records = Sequence[Mapping[str, Any]]


def plot_curves(runs: Mapping[str, Sequence[Records]], reward: str, file: Path) -> None:
    """Mean reward of training and of evaluations along the steps; a line a network, a thin one each further seed."""
    plt = pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    styles = ("-", "--", ":")
    for style, (name, seeds) in zip(styles, runs.items(), strict=False):
        for number, records in enumerate(seeds):
            for place, key in enumerate(("reward", "evaluation")):
                points = [(r["updates"], r[key]) for r in records if key in r]
                if points:
                    x, y = zip(*points, strict=True)
                    label = name if number == 0 else None
                    axes[place].plot(
                        x, y, style, color="black", linewidth=1.4 if number == 0 else 0.7, label=label
                    )
    axes[0].set_title("mean reward while training", fontsize=9)
    axes[1].set_title("mean reward of 64 bars, no random press", fontsize=9)
    for one in axes:
        one.set_xlabel("steps", fontsize=8)
        one.set_ylabel(reward, fontsize=8)
        one.tick_params(labelsize=7)
    axes[0].legend(fontsize=8)
    save_png(figure, file)


def plot_bars(records: Records, reward: Reward, file: Path, seed: int = 0) -> None:
    """Bars that the policy came to when it began and at the end, one of real music, and that of a random state."""
    board = reward.bars.board
    generator = np.random.default_rng(seed)
    reached = [np.array(r["state"], dtype=np.int32) for r in records if "state" in r]
    bars = {
        "before training": board.words[reached[0]],
        "after training": board.words[reached[-1]],
        "the nearest bar of music": reward.bars.words[reward.nearest(reached[-1])],
        "a random state": board.words[board.random(generator, 1)[0]],
    }
    save_png(bars_figure(board, bars), file)


def bars_figure(board: Board, bars: Mapping[str, Array]) -> Any:
    """Bars side by side: a row a note, a column a step."""
    plt = pyplot()
    figure, grid = plt.subplots(
        1, len(bars), figsize=(3.1 * len(bars), 2.3), layout="constrained", squeeze=False
    )
    for axes, (title, words) in zip(grid[0], bars.items(), strict=True):
        axes.imshow(
            board.roll(words),
            origin="lower",
            aspect="auto",
            cmap="gray_r",
            vmin=0,
            vmax=1,
            interpolation="none",
        )
        axes.set_title(title, fontsize=8)
        axes.set_xticks(range(0, board.steps, max(1, board.steps // 4)))
        axes.set_yticks(range(0, board.notes, 6), [board.name(n) for n in range(0, board.notes, 6)])
        axes.tick_params(labelsize=7)
    return figure
