"""The table of docs/launchpad.md: the mean exact reward of 64 bars by policies and baselines, and its pictures.

python scripts/launchpad_table.py [POLICY ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from rltuner.launchpad.board.beats import Board
from rltuner.launchpad.choices import BarOptions
from rltuner.launchpad.learning.evaluation import baselines, beam_search, evaluate
from rltuner.launchpad.learning.plots import bars_figure
from rltuner.launchpad.learning.policies import load_policy
from rltuner.launchpad.music.corpus import load_bars
from rltuner.launchpad.rewards.rewards import Bars, Reward
from rltuner.melody.plots import pyplot, save_png

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEAM_BOARDS = 16


def main(names: list[str]) -> None:
    board = Board()
    reward = Reward(Bars(board, load_bars("chorales", board, quiet=True).words), "f1")
    print("| policy | F1 over 64 bars | last bar | cells a bar | bars repeated |\n|---|---|---|---|---|")
    policies = baselines(reward) | {name: load_policy(name) for name in names}
    found = {name: evaluate(policy) for name, policy in policies.items()}
    found[f"beam search, width 8 ({BEAM_BOARDS} boards)"] = beam_search(reward, boards=BEAM_BOARDS)
    for name, one in found.items():
        repeated = "" if name.startswith("beam") else f"{one.repeated:.0%}"
        print(
            f"| {name} | {one.mean:.3f} ± {one.error:.3f} | {one.final:.3f} | {one.cells:.0f} | {repeated} |"
        )
    silence(board)
    last = found["greedy"].last[0]
    generator = np.random.default_rng(0)
    bars = {
        "greedy, after 64 bars": board.words[last],
        "the nearest bar of music": reward.bars.words[reward.nearest(last)],
        "a random state": board.words[board.random(generator, 1)[0]],
    }
    save_png(bars_figure(board, bars), DOCS / "launchpad_bars.png")


def silence(board: Board) -> None:
    """Rewards while everything is switched off, beat by beat: silence is best under the distance."""
    plt = pyplot()
    words = load_bars("chorales", board, BarOptions(cells="sounding"), quiet=True).words
    figure, axes = plt.subplots(1, 4, figsize=(11, 2.5), layout="constrained")
    for axis, name in zip(axes, ("distance", "weighted", "jaccard", "f1"), strict=True):
        reward = Reward(Bars(board, words), name)
        found = {
            kind: evaluate(baselines(reward)[kind], bars=180, boards=16)
            for kind in ("everything off", "greedy")
        }
        for style, (kind, outcome) in zip(("-", "--"), found.items(), strict=True):
            axis.plot(outcome.rewards.mean(axis=1), style, color="black", linewidth=1.2, label=kind)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("bar", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].legend(fontsize=7)
    save_png(figure, DOCS / "launchpad_silence.png")


if __name__ == "__main__":
    main(sys.argv[1:])
