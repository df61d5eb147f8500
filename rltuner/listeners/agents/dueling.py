"""Dueling double DQN, with uniform or prioritised replay.

The network has two streams after two layers of 64 units:

    Q(s, a) = V(s) + A(s, a) - mean_b A(s, b).

A gradient step minimises the mean of w (Q(s, a) - y)^2 over a batch from the replay, with

    y = r + gamma Q'(s', argmax_b Q(s', b))    (r alone at an episode's end),

Q' being a copy of Q that is renewed every 200 steps. Uniform replay: w = 1. Prioritised: a step is drawn with a
probability proportional to (|difference when last seen| + 0.01)^0.6, and w = (1 / (M P))^0.4, divided by the batch's
largest. Actions are epsilon-greedy, epsilon falling from 1 to 0.05 over the episodes.

Sources: Wang et al., "Dueling network architectures for deep reinforcement learning" (2016); van Hasselt, Guez, Silver,
"Deep reinforcement learning with double Q-learning" (2016); Schaul et al., "Prioritized experience replay" (2016).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rltuner.errors import InputError
from rltuner.listeners.agents.q_table import FIRST_EPSILON, LAST_EPSILON
from rltuner.listeners.agents.state import part, put_back, saved, under
from rltuner.listeners.environments.likes import LikesListeners, Shelf

UNITS = 64
POWER, CORRECTION, LEAST = 0.6, 0.4, 0.01  # of prioritised replay


@dataclass(frozen=True)
class DuelingConfig:
    """Values of DQN."""

    prioritised: bool = False
    """Whether what surprised most is replayed most."""
    rate: float = 1e-3
    """Adam's."""
    gamma: float = 0.0
    """Discount of a step; see `q_table`."""
    batch: int = 64
    """Steps learned from at once."""
    replay: int = 10_000
    """Steps kept."""
    renew: int = 200
    """Gradient steps between two copies to Q'."""
    episodes: int = 10
    """That epsilon falls over."""


class DuelingNetwork(nn.Module):
    """Q of an observation, float32 [B, 2]."""

    def __init__(self, observed: int, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.shared = nn.Sequential(
                nn.Linear(observed, UNITS), nn.ReLU(), nn.Linear(UNITS, UNITS), nn.ReLU()
            )
            self.value, self.advantage = nn.Linear(UNITS, 1), nn.Linear(UNITS, 2)

    def forward(self, observed: Tensor) -> Tensor:
        """V + A - mean A."""
        hidden = self.shared(observed)
        advantage = self.advantage(hidden)
        result: Tensor = self.value(hidden) + advantage - advantage.mean(dim=1, keepdim=True)
        return result


class DuelingDQN:
    """Learns with `update`, an episode of one listener after another, one gradient step after each step.

    Attributes:
      steps: that were taken.
    """

    def __init__(self, listeners: LikesListeners, config: DuelingConfig | None = None, seed: int = 0) -> None:
        self.config = config if config is not None else DuelingConfig()
        if listeners.count != 1:
            raise InputError(f"dueling DQN: {listeners.count} listeners: it learns from one at a time")
        self.listeners = listeners
        self.network = DuelingNetwork(listeners.observation_size, seed)
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.network.parameters(), self.config.rate)
        self.generator = torch.Generator().manual_seed(seed)
        size = listeners.observation_size
        self.kept = torch.zeros(self.config.replay, 2 * size + 3)  # s, s', a, r, done
        self.priorities = torch.zeros(self.config.replay)
        self.steps = self.episodes = 0
        self.losses: list[float] = []
        """Mean over each episode."""

    def update(self) -> float:
        """Plays an episode and learns after each step; the mean reward of a step.

        Raises InputError where a reward is not a finite number: nothing is learned from it.
        """
        observed = self.listeners.reset()
        falls = min(1.0, self.episodes / self.config.episodes)
        epsilon = FIRST_EPSILON + (LAST_EPSILON - FIRST_EPSILON) * falls
        losses, rewards = [], []
        done = False
        while not done:
            with torch.no_grad():
                greedy = self.network(observed).argmax(dim=1)
            explores = float(torch.rand(1, generator=self.generator)) < epsilon
            action = torch.randint(2, (1,), generator=self.generator) if explores else greedy
            following, reward, ended = self.listeners.step(action)
            if not bool(reward.isfinite().all()):
                raise InputError(
                    "a reward of the environment is not a finite number; nothing was learned from it"
                )
            row = torch.cat([observed[0], following[0], action.float(), reward, ended.float()])
            at = self.steps % len(self.kept)
            self.kept[at] = row
            self.priorities[at] = max(1.0, float(self.priorities.max()))  # what is new is replayed soon
            self.steps += 1
            losses.append(self._learn())
            rewards.append(float(reward))
            observed, done = following, bool(ended)
        self.episodes += 1
        self.losses.append(sum(losses) / len(losses))
        return sum(rewards) / len(rewards)

    def _learn(self) -> float:
        chosen, weights = self._drawn(min(self.steps, len(self.kept)))
        size = self.listeners.observation_size
        s, following, a, r, done = self.kept[chosen].split([size, size, 1, 1, 1], dim=1)
        with torch.no_grad():
            best = self.network(following).argmax(dim=1, keepdim=True)
            y = r + self.config.gamma * (1 - done) * self.target(following).gather(1, best)
        difference = self.network(s).gather(1, a.long()) - y  # (batch, 1)
        loss = (weights * difference[:, 0].square()).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.config.prioritised:
            self.priorities[chosen] = (difference.detach()[:, 0].abs() + LEAST) ** POWER
        if self.steps % self.config.renew == 0:
            self.target.load_state_dict(self.network.state_dict())
        return float(loss.detach())

    def _drawn(self, filled: int) -> tuple[Tensor, Tensor]:
        """Steps of the replay, int64 [batch], and their weights."""
        if not self.config.prioritised:
            chosen = torch.randint(filled, (self.config.batch,), generator=self.generator)
            return chosen, torch.ones(self.config.batch)
        p = self.priorities[:filled] / self.priorities[:filled].sum()
        chosen = torch.multinomial(p, self.config.batch, replacement=True, generator=self.generator)
        weights = (filled * p[chosen]) ** -CORRECTION
        return chosen, weights / weights.max()

    @torch.no_grad()
    def margins(self, shelf: Shelf) -> Tensor:
        """Q(s, like) - Q(s, dislike) of each tune, float32 [N]: above 0 it is predicted to be liked."""
        values: Tensor = self.network(shelf.rows)
        return values[:, 1] - values[:, 0]

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next update depends on."""
        filled = min(self.steps, len(self.kept))
        return {
            **saved(self.network, self.optimizer, self.generator),
            **under("target.", saved(self.target)),
            **under("listeners.", self.listeners.tensors()),
            "kept": self.kept[:filled],
            "priorities": self.priorities[:filled],
            "counts": torch.tensor([self.steps, self.episodes]),
            "losses": torch.tensor(self.losses, dtype=torch.float64),
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        put_back(tensors, self.network, self.optimizer, self.generator)
        put_back(part(tensors, "target."), self.target)
        self.listeners.restore(part(tensors, "listeners."))
        self.kept[: len(tensors["kept"])] = tensors["kept"]
        self.priorities[: len(tensors["priorities"])] = tensors["priorities"]
        self.steps, self.episodes = tensors["counts"].tolist()
        self.losses = tensors["losses"].tolist()
