"""Many boards in lock-step: one press each, and the rewards of the bars that they then play.

States are int32 arrays [B, N] of codes; networks are told their bits (`bits_of`). Everything random comes from seeds, and
`state` holds all there is, so that a training can go on exactly where it was.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.choices import Start
from rltuner.launchpad.rewards import kernels
from rltuner.launchpad.rewards.rewards import Reward

MOST_SHARE = 0.5  # of the beats that a sparse board begins with


class Boards:
    """B boards.

    Args:
      reward: of a bar.
      count: B.
      draws: K, bars drawn anew for each reward, the nearest of which counts; 0 compares with all.
      start: of an episode. `random`: evenly from all states, which are loud; `sparse`: each beat is on by a chance that
        is itself drawn for each board, from 0 to a half; `empty`: silence.
      seed: of starts and draws.
    """

    def __init__(
        self, reward: Reward, count: int, *, draws: int = 0, start: Start = "sparse", seed: int = 0
    ) -> None:
        if start not in get_args(Start):
            raise InputError(f"start = {start!r} must be one of {', '.join(get_args(Start))}")
        if count < 1 or draws < 0:
            raise InputError(
                f"boards = {count}, draws = {draws}: give at least one board, and no negative draws"
            )
        self.board: Board = reward.bars.board
        self.reward, self.draws, self.start = reward, draws, start
        self.generator = np.random.default_rng(seed)
        self.seeds = self.generator.integers(2**63, size=count, dtype=np.uint64)
        self.states = np.zeros((count, self.board.notes), dtype=np.int32)
        self.words = np.zeros((count, self.board.notes), dtype=np.uint64)
        self.sizes = np.zeros(count, dtype=np.int32)
        self.shared = np.zeros((count, 0 if draws else len(reward.bars)), dtype=np.int32)
        self.rewards = np.empty(count, dtype=np.float32)
        self.reset()

    def __len__(self) -> int:
        return len(self.states)

    def reset(self, which: Array | None = None) -> Array:
        """Begins an episode on each board, or on those of the indices `which`; the states of all."""
        which = np.arange(len(self)) if which is None else which
        board, count = self.board, len(which)
        states = board.random(self.generator, count)
        if self.start == "empty":
            states[:] = 0
        elif self.start == "sparse":
            share = self.generator.random((count, 1, 1)) * MOST_SHARE
            on = self.generator.random((count, board.notes, board.beats)) < share
            beats = (on << np.arange(board.beats)).sum(axis=2, dtype=np.int32) << board.levels
            states = beats | states & (board.steps - 1)
        self.set(which, states)
        return self.states

    def set(self, which: Array, states: Array) -> None:
        """Puts boards into states int32 [len(which), N]."""
        self.states[which] = states
        words = self.board.words[states]
        self.words[which] = words
        sizes = np.empty(len(words), dtype=np.int32)
        kernels.sizes_of(words, sizes)
        self.sizes[which] = sizes
        if not self.draws:
            shared = np.empty((len(words), len(self.reward.bars)), dtype=np.int32)
            kernels.overlaps(words, self.reward.bars.by_note, shared)
            self.shared[which] = shared

    def step(self, actions: Array) -> Array:
        """Presses one button on each board, int64 [B]; the rewards float32 [B], which the next step overwrites.

        Actions must lie in [0, board.actions).
        """
        bars, board = self.reward.bars, self.board
        if self.draws:
            kernels.step_drawn(
                self.states, self.words, self.sizes, self.seeds, actions, board.words, board.successors,
                bars.words, bars.sizes, self.draws, *self.reward.kind, self.rewards,
            )  # fmt: skip
        else:
            kernels.step_exact(
                self.states, self.words, self.shared, self.sizes, actions, board.words, board.successors,
                bars.by_note, bars.sizes, *self.reward.kind, self.rewards,
            )  # fmt: skip
        return self.rewards

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that a training needs to go on: tensors, and the generator's state as JSON values."""
        tensors = {
            "states": torch.from_numpy(self.states.copy()),
            "seeds": torch.from_numpy(self.seeds.view(np.int64).copy()),
        }
        return tensors, dict(self.generator.bit_generator.state)

    def restore(self, tensors: dict[str, Tensor], generator: dict[str, Any]) -> None:
        """Goes back to what `state` gave."""
        self.generator.bit_generator.state = generator
        self.seeds = tensors["seeds"].numpy().view(np.uint64).copy()
        self.set(np.arange(len(self)), tensors["states"].numpy())


def bits_of(board: Board, states: Array) -> Tensor:
    """What a network is told of states [B, N]: float32 [B, N(2B + 1)]."""
    return torch.from_numpy(board.bits[states].reshape(len(states), board.inputs))
