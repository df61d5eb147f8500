"""The replay of a learner: states, actions and rewards of the last steps, in a ring.

What follows a state is not kept: a press always does the same, so it is pressed again.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rltuner.launchpad.board.beats import Array, Board


class Replay:
    """The last `capacity` steps, 54 bytes each on the usual board."""

    def __init__(self, board: Board, capacity: int, *, every_press: bool = False) -> None:
        self.board, self.capacity = board, capacity
        self.states = np.zeros((capacity, board.notes), dtype=np.int16)
        self.actions = np.zeros(capacity, dtype=np.int16)
        self.rewards = np.zeros(capacity, dtype=np.float32)
        self.gains = np.zeros((capacity if every_press else 0, board.actions), dtype=np.float16)
        """What every press would have gained, where that is kept: float16 [capacity, actions]."""
        self.place, self.filled = 0, 0

    def add(self, states: Array, actions: Array, rewards: Array, gains: Array | None = None) -> None:
        """Keeps steps, at most `capacity` at a time, in the place of the oldest."""
        where = (self.place + np.arange(len(actions))) % self.capacity
        self.states[where], self.actions[where], self.rewards[where] = states, actions, rewards
        if gains is not None:
            self.gains[where] = gains
        self.place = (self.place + len(actions)) % self.capacity
        self.filled = min(self.filled + len(actions), self.capacity)

    def draw(
        self, generator: np.random.Generator, count: int
    ) -> tuple[Array, Array, Array, Array, Array | None]:
        """Steps drawn evenly: states [count, N], actions, rewards, the states that follow, and what is kept of gains."""
        which = generator.integers(self.filled, size=count)
        states, actions = self.states[which].astype(np.int64), self.actions[which].astype(np.int64)
        gains = self.gains[which].astype(np.float32) if len(self.gains) else None
        return states, actions, self.rewards[which], self.follow(states, actions), gains

    def follow(self, states: Array, actions: Array) -> Array:
        """The states [B, N] after actions [B]."""
        after = states.copy()
        rows = np.flatnonzero(actions != self.board.nothing)
        notes, presses = np.divmod(actions[rows], self.board.presses)
        after[rows, notes] = self.board.successors[states[rows, notes], presses]
        return after

    def tensors(self) -> dict[str, Tensor]:
        """What is kept, for a state on disk."""
        return {
            "replay.states": torch.from_numpy(self.states[: self.filled]),
            "replay.actions": torch.from_numpy(self.actions[: self.filled]),
            "replay.rewards": torch.from_numpy(self.rewards[: self.filled]),
            "replay.gains": torch.from_numpy(self.gains[: self.filled]),
        }

    def restore(self, tensors: dict[str, Tensor], place: int) -> None:
        """Goes back to what `tensors` gave, with the place where the next step goes."""
        self.filled, self.place = len(tensors["replay.actions"]), place
        for name, array in (("states", self.states), ("actions", self.actions), ("rewards", self.rewards)):
            array[: self.filled] = tensors[f"replay.{name}"].numpy()
        self.gains[: self.filled] = tensors["replay.gains"].numpy()
