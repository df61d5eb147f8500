"""The tabular experiment: exact values, and what the paper says of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rltuner.launchpad.exploring.figures import explore as run
from rltuner.launchpad.exploring.small import GAMMA, SmallBoard
from rltuner.launchpad.exploring.tabular import explore, judge, learn, learned_at

SMALL = SmallBoard()


def test_only_one_note_state_plays_1011_with_each_offset_that_fits() -> None:
    best = np.flatnonzero(SMALL.rewards == 0)
    assert [SMALL.board.roll(SMALL.board.words[code]).astype(int).tolist() for code in best] == [
        [1, 0, 1, 1]
    ] * len(best)
    assert SMALL.rewards[0] == -3  # silence lacks three cells
    assert SMALL.rewards.min() == -4


def test_the_optimum_keeps_bellmans_equation_and_stays_at_the_best_bar() -> None:
    q = SMALL.optimum
    assert q == pytest.approx(SMALL.rewards[:, None] + GAMMA * q.max(axis=1)[SMALL.following], abs=1e-9)
    assert q.max(axis=1)[SMALL.rewards == 0] == pytest.approx(0)
    assert q.max(axis=1).argmin() in np.flatnonzero(SMALL.rewards < -1)


def test_learning_takes_about_300_steps_and_recovers() -> None:
    for seed in range(4):
        session = learn(SMALL, seed=seed)
        assert 200 < learned_at(session.rewards, 0.0) < 500
        assert all(0 <= presses <= 60 for presses in session.recoveries)
        assert (session.q <= 0).all()
        assert (session.q >= SMALL.optimum - 1e-9).all()  # optimistic: never below the truth


def test_exploration_by_rewards_is_best_at_a_beta_in_the_middle() -> None:
    def mean(beta: float) -> float:
        return float(np.mean([judge(SMALL, explore(SMALL, beta, seed), seed) for seed in range(4)]))

    assert mean(0.1) > -0.2
    assert mean(0.001) < -1.5
    assert mean(10) < -1.5


def test_the_command_writes_three_figures_and_its_results(tmp_path: Path) -> None:
    run(tmp_path / "out", repeats=2, sweeps=20)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "beta.png", "results.json", "session.png", "table.png",
    ]  # fmt: skip
    assert json.loads((tmp_path / "out" / "results.json").read_text())["states"] == 32
