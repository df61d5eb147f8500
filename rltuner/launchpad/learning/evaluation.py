"""How good policies are: the mean exact reward of 64 bars, from the same first states for all; and the baselines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rltuner.launchpad.board.beats import Array
from rltuner.launchpad.choices import Start
from rltuner.launchpad.environments.boards import Boards
from rltuner.launchpad.learning.policies import Policy, greedy
from rltuner.launchpad.rewards import kernels
from rltuner.launchpad.rewards.rewards import Reward

BARS, BOARDS, FIRST_SEED = 64, 64, 1_000_003
WIDTH = 8  # of the beam


@dataclass(frozen=True)
class Outcome:
    """What a policy makes of some first states."""

    rewards: Array
    """float32 [bars, boards]."""
    cells: float
    """Sounding cells of a bar, mean over the last 8 bars: 0 is silence."""
    repeated: float
    """Share of bars that are equal to the bar before."""
    last: Array
    """States after the last bar: int32 [boards, N]."""

    @property
    def mean(self) -> float:
        """Over all bars and boards."""
        return float(self.rewards.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean, by boards."""
        by_board = self.rewards.mean(axis=0)
        return float(by_board.std(ddof=1) / np.sqrt(len(by_board))) if len(by_board) > 1 else 0.0

    @property
    def final(self) -> float:
        """Mean reward of the last bar."""
        return float(self.rewards[-1].mean())


def evaluate(
    policy: Policy, *, bars: int = BARS, boards: int = BOARDS, start: Start = "sparse", seed: int = FIRST_SEED
) -> Outcome:
    """Plays `bars` bars on each board, without any random press."""
    played = Boards(policy.reward, boards, start=start, seed=seed)
    rewards = np.empty((bars, boards), dtype=np.float32)
    cells, repeated = [], 0
    for bar in range(bars):
        before = played.words.copy()
        rewards[bar] = played.step(policy.act(played.states))
        repeated += int((played.words == before).all(axis=1).sum())
        if bar >= bars - 8:
            cells.append(played.sizes.mean())
    return Outcome(rewards, float(np.mean(cells)), repeated / (bars * boards), played.states.copy())


def baselines(reward: Reward, seed: int = 0) -> dict[str, Policy]:
    """Do nothing, random, everything off, one-step greedy."""
    board = reward.bars.board
    generator = np.random.default_rng(seed)

    def nothing(states: Array) -> Array:
        values = np.zeros((len(states), board.actions), dtype=np.float32)
        values[:, board.nothing] = 1
        return values

    def chance(states: Array) -> Array:
        return generator.random((len(states), board.actions), dtype=np.float32)

    def off(states: Array) -> Array:
        """The beat that is on and has the most cells, first."""
        on = board.bits[states][:, :, : board.beats]
        values = np.zeros((len(states), board.notes, board.presses), dtype=np.float32)
        values[:, :, : board.beats] = on * np.bitwise_count(board.patterns)
        quiet = np.full((len(states), 1), 0.5, dtype=np.float32)
        return np.concatenate([values.reshape(len(states), -1), quiet], axis=1)

    return {
        "do nothing": Policy("do nothing", reward, nothing),
        "random": Policy("random", reward, chance),
        "everything off": Policy("everything off", reward, off),
        "greedy": greedy(reward),
    }


def beam_search(
    reward: Reward, *, bars: int = BARS, boards: int = BOARDS, width: int = WIDTH, start: Start = "sparse"
) -> Outcome:
    """The best sequence of presses that a beam of `width` sequences finds, by the sum of rewards; with exact rewards."""
    board = reward.bars.board
    first = Boards(reward, boards, start=start, seed=FIRST_SEED).states.copy()
    rewards = np.empty((bars, boards), dtype=np.float32)
    sizes, last = np.empty(boards), np.empty_like(first)
    for number in range(boards):
        beam, sums, history = first[number][None], np.zeros(1), np.zeros((1, 0), dtype=np.float32)
        for _ in range(bars):
            after = reward.of_actions(beam)
            total = (sums[:, None] + after).ravel()
            # States that different orders of presses lead to are kept once.
            seen: set[bytes] = set()
            chosen: list[tuple[int, int]] = []
            states: list[Array] = []
            for flat in np.argsort(-total, kind="stable")[: 16 * width]:
                row, action = divmod(int(flat), board.actions)
                state = board.press(beam[row], action)
                key = state.tobytes()
                if key not in seen:
                    seen.add(key)
                    chosen.append((row, action))
                    states.append(state)
                if len(chosen) == width:
                    break
            rows, actions = (np.array(column) for column in zip(*chosen, strict=True))
            history = np.concatenate([history[rows], after[rows, actions][:, None]], axis=1)
            sums, beam = sums[rows] + after[rows, actions], np.array(states)
        rewards[:, number], last[number] = history[0], beam[0]
        size = np.empty(1, dtype=np.int32)
        kernels.sizes_of(board.words[beam[:1]], size)
        sizes[number] = size[0]
    return Outcome(rewards, float(sizes.mean()), 0.0, last)
