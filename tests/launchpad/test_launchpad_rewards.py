"""Rewards against their definitions, cell by cell; boards in lock-step against presses one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from few_bars import few_bars

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Board
from rltuner.launchpad.environments.boards import Boards
from rltuner.launchpad.rewards.rewards import KINDS, Bars, Reward


def plain(name: str, state: np.ndarray, bars: Bars) -> float:
    """The reward by its definition, from cells."""
    mine = bars.board.roll(bars.board.words[state]).ravel()
    values = []
    for bar in bars.board.roll(bars.words).reshape(len(bars), -1):
        both, either = (mine & bar).sum(), (mine | bar).sum()
        values.append(
            {
                "distance": -((mine.astype(int) - bar) ** 2).sum(),
                "weighted": -(4 * (bar & ~mine).sum() + (mine & ~bar).sum()),
                "jaccard": both / either if either else 0.0,
                "f1": 2 * both / (mine.sum() + bar.sum()) if either else 0.0,
            }[name]
        )
    return float(max(values))


@pytest.mark.parametrize("name", KINDS)
def test_a_reward_is_what_its_definition_says(name: str, generator: np.random.Generator) -> None:
    bars = few_bars()
    states = np.concatenate([bars.board.random(generator, 5), np.zeros((1, 24), dtype=np.int32)])
    found = Reward(bars, name)(states)  # type: ignore[arg-type]
    assert found == pytest.approx([plain(name, state, bars) for state in states], rel=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_the_reward_of_every_action_is_that_of_the_state_after_it(
    name: str, generator: np.random.Generator
) -> None:
    board = Board(5, 6, 60)
    bars = Bars(board, generator.integers(2**63, size=(2100, 5), dtype=np.uint64))  # more than a block
    reward = Reward(bars, name)  # type: ignore[arg-type]
    states = board.random(generator, 2)
    after = np.array([[board.press(state, a) for a in range(board.actions)] for state in states])
    expected = reward(after.reshape(-1, 5)).reshape(2, -1)
    assert reward.of_actions(states) == pytest.approx(expected, rel=1e-6)


def test_silence_is_good_under_the_distance_and_worth_nothing_under_a_share() -> None:
    """What the paper saw: most cells of real bars are silent, so turning everything off pays."""
    bars = few_bars()
    silent, loud = np.zeros((1, 24), dtype=np.int32), np.full((1, 24), 64 * 0b1110000, dtype=np.int32)
    assert Reward(bars, "distance")(silent) > Reward(bars, "distance")(loud)
    assert Reward(bars, "f1")(silent) == 0 < Reward(bars, "f1")(loud)
    assert Reward(bars, "jaccard")(silent) == 0


@pytest.mark.parametrize("draws", [0, 400])
def test_boards_in_lock_step_are_boards_pressed_one_by_one(
    draws: int, generator: np.random.Generator
) -> None:
    """With so many draws of 40 bars every bar is among them, but for a chance of one in a thousand at this seed."""
    bars = few_bars()
    reward = Reward(bars, "f1")
    boards = Boards(reward, 8, draws=draws, seed=1)
    states = boards.states.copy()
    for _ in range(30):
        actions = generator.integers(bars.board.actions, size=8)
        rewards = boards.step(actions).copy()
        states = np.array([bars.board.press(s, int(a)) for s, a in zip(states, actions, strict=True)])
        assert (boards.states == states).all()
        assert (boards.words == bars.board.words[states]).all()
        assert rewards == pytest.approx(reward(states), rel=1e-6)


def test_drawn_bars_differ_from_step_to_step_and_the_seed_repeats_them() -> None:
    reward = Reward(few_bars(), "distance")

    def play(seed: int) -> list[list[float]]:
        boards = Boards(reward, 3, draws=2, start="empty", seed=seed)
        nothing = np.full(3, reward.bars.board.nothing)
        return [boards.step(nothing).tolist() for _ in range(20)]

    assert play(1) == play(1) != play(2)
    assert len(set(itertools.chain(*play(1)))) > 1


def test_bars_of_another_board_are_refused() -> None:
    with pytest.raises(InputError, match="expected"):
        Bars(Board(), np.zeros((3, 5), dtype=np.uint64))
    with pytest.raises(InputError, match="a cell after step 3"):
        Bars(Board(1, 2, 60), np.array([[16]], dtype=np.uint64))
