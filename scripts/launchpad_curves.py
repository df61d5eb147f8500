"""docs/launchpad_curves.png, after the paper's figure 5: both networks with three seeds, and the baselines' rewards.

python scripts/launchpad_curves.py FOLDER [STEPS]      # trains what is not in FOLDER yet
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from rltuner.launchpad.board.beats import Board
from rltuner.launchpad.learning.config import preset
from rltuner.launchpad.learning.evaluation import baselines, evaluate
from rltuner.launchpad.learning.plots import plot_curves
from rltuner.launchpad.learning.train import METRICS, train
from rltuner.launchpad.music.corpus import load_bars
from rltuner.launchpad.rewards.rewards import Bars, Reward
from rltuner.storing.records import read_records

DOCS = Path(__file__).resolve().parents[1] / "docs"
NETWORKS, SEEDS = ("linear", "mlp"), (0, 1, 2)


def main(folder: Path, steps: int) -> None:
    """The preset seed, but for boards, batch and ratio: 64 in lock-step, 64, and one learned step a played one."""
    runs: dict[str, list[list[dict[str, object]]]] = {}
    for network in NETWORKS:
        for seed in SEEDS:
            out = folder / f"{network}-{seed}"
            if not (out / "report.md").is_file():
                base = preset("seed", network)
                train(replace(base, seed=seed, out=out, steps=steps, boards=64, batch_size=64, ratio=1.0, threads=1,
                              replay=min(steps, base.replay), evaluate_every=max(1, steps // 12)))  # fmt: skip
            runs.setdefault(network, []).append(read_records(out / METRICS))
    plot_curves(runs, "distance", DOCS / "launchpad_curves.png")
    options = preset("seed").bars
    reward = Reward(Bars(Board(), load_bars("chorales", Board(), options, quiet=True).words), "distance")
    print("| policy | distance over 64 bars | last bar | cells a bar |\n|---|---|---|---|")
    for name, policy in baselines(reward).items():
        one = evaluate(policy)
        print(f"| {name} | {one.mean:.0f} | {one.final:.0f} | {one.cells:.0f} |")
    for network, seeds in runs.items():
        found = [[row for row in records if "evaluation" in row][-1] for records in seeds]
        mean = [f"{row['evaluation']:.0f}" for row in found]
        last = [f"{row['final']:.0f}" for row in found]
        cells = [f"{row['cells']:.0f}" for row in found]
        print(f"| {network}, seeds 0 to 2 | {', '.join(mean)} | {', '.join(last)} | {', '.join(cells)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
