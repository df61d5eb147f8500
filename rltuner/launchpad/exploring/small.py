"""The seed's small board: one note, four steps, 32 states, 6 actions, and the bar that is to be found.

`step` numbers states by their code, so tables are [32, 6].

Source: Hazon, Palamuttam and Voss, section 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rltuner.launchpad.board.beats import Array, Board, pack
from rltuner.launchpad.rewards.rewards import Bars, Reward

TARGET = (1, 0, 1, 1)
ALPHA, GAMMA = 0.5, 0.999
EXACT = 1e-10  # of values


@dataclass(frozen=True)
class SmallBoard:
    """The board as tables: where each action leads, and what each state is worth at once."""

    target: tuple[int, ...] = TARGET

    @cached_property
    def board(self) -> Board:
        """One note, B = 2."""
        return Board(notes=1, levels=2, lowest=60)

    @cached_property
    def following(self) -> Array:
        """The state after each action: int64 [32, 6]."""
        board = self.board
        states = np.arange(board.codes, dtype=np.int32)[:, None]
        return np.array(
            [[board.press(s, a)[0] for a in range(board.actions)] for s in states], dtype=np.int64
        )

    @cached_property
    def rewards(self) -> Array:
        """Minus the Hamming distance of each state's bar to the target: float64 [32]."""
        bars = Bars(self.board, np.array([[pack(np.array(self.target))]], dtype=np.uint64))
        return Reward(bars, "distance")(np.arange(self.board.codes, dtype=np.int32)[:, None]).astype(
            np.float64
        )

    @cached_property
    def optimum(self) -> Array:
        """Q of every state and action under the best policy, by value iteration to 1e-10: float64 [32, 6].

        Q(s, a) = R(s) + gamma max over a' of Q(T(s, a), a'), with the reward of the state that is left, as in the seed.
        """
        q = np.zeros(self.following.shape)
        while True:
            better = self.rewards[:, None] + GAMMA * q.max(axis=1)[self.following]
            if np.abs(better - q).max() < EXACT:
                found: Array = better
                return found
            q = better

    @cached_property
    def distance(self) -> Array:
        """The fewest presses from each state to one of the largest reward: int64 [32]."""
        found = np.where(self.rewards == self.rewards.max(), 0, 10**6)
        for _ in range(len(found)):
            found = np.minimum(found, 1 + found[self.following].min(axis=1))
        return found
