"""Rewards of a bar: how near it is to bars of real music.

With c the cells that sound in both, s those of the state and m those of a bar of music, over the nearest bar:

* `distance`: -(s + m - 2c), minus the squared distance of the two rolls. The seed's; silence is good under it, since most
  cells of most bars are silent.
* `weighted`: -(4 (m - c) + (s - c)): a sounding cell that is missing costs four times one that is too many.
* `jaccard`: c / (s + m - c), the share of all sounding cells that both have, in [0, 1]; 0 where both are silent.
* `f1`: 2c / (s + m), the mean of precision and recall in F1's sense, in [0, 1]; 0 where both are silent.

The nearest is the nearest of all bars (exact), or of K drawn anew for each step, as in the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.choices import RewardName
from rltuner.launchpad.rewards import kernels

KINDS: dict[str, tuple[int, float]] = {
    "distance": (kernels.LINEAR, 1.0),
    "weighted": (kernels.LINEAR, 4.0),
    "jaccard": (kernels.JACCARD, 0.0),
    "f1": (kernels.F1, 0.0),
}
"""Kind of kernel and weight of a missing cell, by the reward's name."""


@dataclass(frozen=True)
class Bars:
    """Bars of music that a reward compares with."""

    board: Board
    words: Array
    """uint64 [M, N]: a word a note, as the board's own."""

    def __post_init__(self) -> None:
        words = np.ascontiguousarray(self.words, dtype=np.uint64)
        if words.ndim != 2 or words.shape[1] != self.board.notes or not len(words):
            raise InputError(f"bars: words {words.shape}; expected [M, {self.board.notes}] with M at least 1")
        if self.board.steps < 64 and bool((words >> np.uint64(self.board.steps)).any()):
            raise InputError(f"bars: a cell after step {self.board.steps - 1}")
        object.__setattr__(self, "words", words)
        sizes = np.empty(len(words), dtype=np.int32)
        kernels.sizes_of(words, sizes)
        object.__setattr__(self, "sizes", sizes)
        object.__setattr__(self, "by_note", np.ascontiguousarray(words.T))

    sizes: Array = None  # type: ignore[assignment]
    """Sounding cells of each bar: int32 [M]. Follows from the words."""
    by_note: Array = None  # type: ignore[assignment]
    """The words as uint64 [N, M]. Follows from them."""

    def __len__(self) -> int:
        return len(self.words)


@dataclass(frozen=True)
class Reward:
    """A reward by all of some bars, exact."""

    bars: Bars
    name: RewardName = "f1"

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise InputError(f"reward = {self.name!r} must be one of {', '.join(get_args(RewardName))}")

    @property
    def kind(self) -> tuple[int, float]:
        """Kind of kernel, weight."""
        return KINDS[self.name]

    def __call__(self, states: Array) -> Array:
        """The reward of states int32 [B, N]: float32 [B]."""
        board, bars = self.bars.board, self.bars
        return self.of_words(board.words[np.ascontiguousarray(states, dtype=np.int32)], bars)

    def of_words(self, words: Array, bars: Bars | None = None) -> Array:
        """The reward of bars uint64 [B, N]: float32 [B]."""
        bars = bars if bars is not None else self.bars
        shared = np.empty((len(words), len(bars)), dtype=np.int32)
        sizes, rewards = np.empty(len(words), dtype=np.int32), np.empty(len(words), dtype=np.float32)
        kernels.overlaps(words, bars.by_note, shared)
        kernels.sizes_of(words, sizes)
        kernels.best_rewards(shared, bars.sizes, sizes, *self.kind, rewards)
        return rewards

    def of_actions(self, states: Array) -> Array:
        """The reward after each action in states int32 [B, N]: float32 [B, actions]."""
        board, bars = self.bars.board, self.bars
        rewards = np.empty((len(states), board.actions), dtype=np.float32)
        kernels.rewards_of_actions(
            np.ascontiguousarray(states, dtype=np.int32),
            board.words,
            board.successors,
            bars.by_note,
            bars.sizes,
            *self.kind,
            rewards,
        )
        return rewards

    def of_actions_near(self, state: Array, shared: Array, size: int, near: int = 256) -> Array:
        """`of_actions` of one state by its `near` nearest bars alone: float32 [actions].

        A press changes so few cells that the nearest bar after it is almost always among them.

        Args: shared int32 [M], cells that the state and each bar have both; size, cells of the state.
        """
        board, bars = self.bars.board, self.bars
        chosen = np.arange(len(bars))
        if near < len(bars):
            chosen = np.argpartition(self._values(shared, size), -near)[-near:]
        rewards = np.empty((1, board.actions), dtype=np.float32)
        kernels.rewards_of_actions(
            np.ascontiguousarray(state[None], dtype=np.int32),
            board.words,
            board.successors,
            np.ascontiguousarray(bars.by_note[:, chosen]),
            bars.sizes[chosen],
            *self.kind,
            rewards,
        )
        row: Array = rewards[0]
        return row

    def nearest(self, state: Array) -> int:
        """The number of the bar that a state int32 [N] is nearest to."""
        board, bars = self.bars.board, self.bars
        shared = np.bitwise_count(board.words[state][None] & bars.words).sum(axis=1).astype(np.int32)
        size = int(np.bitwise_count(board.words[state]).sum())
        return int(np.argmax(self._values(shared, size)))

    def _values(self, shared: Array, size: int) -> Array:
        """The reward by each bar: float [M]."""
        kind, weight = self.kind
        sizes = self.bars.sizes
        values: Array
        if kind == kernels.LINEAR:
            values = (weight + 1) * shared - weight * sizes - size
        elif kind == kernels.JACCARD:
            values = shared / np.maximum(size + sizes - shared, 1)
        else:
            values = 2 * shared / np.maximum(size + sizes, 1)
        return values
