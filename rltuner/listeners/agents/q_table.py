"""Q-learning with a table over hashed states.

A tune's state s is a hash of its family, its transcriber and itself; an action a is dislike or like. After each step

    Q(s, a) <- Q(s, a) + alpha (r + gamma max_b Q(s', b) - Q(s, a)),    Q(s', b) = 0 where the episode ended,

with epsilon-greedy actions, epsilon falling from 1 to 0.05 over the episodes. The table knows nothing of a tune that it
was not shown: there both actions are worth 0, and it says dislike.

Source: Watkins, Dayan, "Q-learning" (1992); the states are those of the repository of docs/listeners.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.listeners.environments.likes import LikesListeners, Shelf

FIRST_EPSILON, LAST_EPSILON = 1.0, 0.05


@dataclass(frozen=True)
class QTableConfig:
    """Values of the table's learning."""

    buckets: int = 16_384
    """States that tunes are hashed to."""
    rate: float = 0.3
    """alpha: how much of a difference one step takes."""
    gamma: float = 0.0
    """Discount of a step. What is predicted does not change what is shown next, so what follows is only noise."""
    episodes: int = 100
    """That epsilon falls over."""


class QTable:
    """Learns with `update`, an episode of one listener after another.

    Attributes:
      steps: that were taken.
    """

    def __init__(self, listeners: LikesListeners, config: QTableConfig | None = None, seed: int = 0) -> None:
        self.config = config if config is not None else QTableConfig()
        if listeners.count != 1:
            raise InputError(f"q-table: {listeners.count} listeners: it learns from one at a time")
        self.listeners = listeners
        self.state_of = listeners.shelf.hashes(self.config.buckets)
        self.q = torch.zeros(self.config.buckets, 2)
        self.generator = torch.Generator().manual_seed(seed)
        self.steps = self.episodes = 0
        self.losses: list[float] = []
        """Mean squared difference of each episode."""

    def update(self) -> float:
        """Plays an episode and learns after each step; the mean reward of a step.

        Raises InputError where a reward is not a finite number: nothing is learned from it.
        """
        self.listeners.reset()
        falls = min(1.0, self.episodes / self.config.episodes)
        epsilon = FIRST_EPSILON + (LAST_EPSILON - FIRST_EPSILON) * falls
        errors, rewards = [], []
        done = False
        while not done:
            state = int(self.state_of[self.listeners.tune])
            greedy = int(self.q[state, 1] > self.q[state, 0])
            explores = float(torch.rand(1, generator=self.generator)) < epsilon
            action = int(torch.randint(2, (1,), generator=self.generator)) if explores else greedy
            _, reward, ended = self.listeners.step(torch.tensor([action]))
            if not bool(reward.isfinite().all()):
                raise InputError(
                    "a reward of the environment is not a finite number; nothing was learned from it"
                )
            done = bool(ended)
            following = 0.0 if done else float(self.q[self.state_of[self.listeners.tune]].max())
            error = float(reward) + self.config.gamma * following - float(self.q[state, action])
            self.q[state, action] += self.config.rate * error
            errors.append(error**2)
            rewards.append(float(reward))
        self.steps += len(rewards)
        self.episodes += 1
        self.losses.append(sum(errors) / len(errors))
        return sum(rewards) / len(rewards)

    def margins(self, shelf: Shelf) -> Tensor:
        """Q(s, like) - Q(s, dislike) of each tune, float32 [N]: above 0 it is predicted to be liked."""
        values = self.q[shelf.hashes(self.config.buckets)]
        return values[:, 1] - values[:, 0]

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next update depends on."""
        return {
            "q": self.q,
            "counts": torch.tensor([self.steps, self.episodes]),
            "losses": torch.tensor(self.losses, dtype=torch.float64),
            "generator": self.generator.get_state(),
            **{f"listeners.{name}": tensor for name, tensor in self.listeners.tensors().items()},
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        self.q = tensors["q"]
        self.steps, self.episodes = tensors["counts"].tolist()
        self.losses = tensors["losses"].tolist()
        self.generator.set_state(tensors["generator"])
        self.listeners.restore(
            {n.removeprefix("listeners."): t for n, t in tensors.items() if n.startswith("listeners.")}
        )
