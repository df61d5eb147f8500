"""DDPG: deep deterministic policy gradient over the space of features, on the code of a listener's history.

With code s, action a = mu(s), reward r and the next code s', from a replay of the last steps:

    critic:  minimise (Q(s, a) - y)^2,   y = r + gamma Q'(s', mu'(s'))   (r alone at an episode's end),
    actor:   maximise Q(s, mu(s)),
    targets: theta' <- (1 - tau) theta' + tau theta.

While it learns, Gaussian noise is added to actions. The autoencoder is trained first, on sessions of random tunes, and
kept.

Source: Lillicrap et al., "Continuous control with deep reinforcement learning" (2016); the structure of the poster of
docs/listeners.md.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rltuner.errors import InputError
from rltuner.listeners.agents.autoencoders import AUTOENCODERS, Autoencoder, learn
from rltuner.listeners.agents.state import part, put_back, saved, under
from rltuner.listeners.environments.sessions import BOUND, SessionListeners

UNITS = 128


@dataclass(frozen=True)
class DDPGConfig:
    """Values of DDPG."""

    autoencoder: str = "inside-lstm"
    """inside-lstm or pretrained-features."""
    autoencoder_updates: int = 2_000
    """Gradient steps of the autoencoder, before anything else is learned."""
    gamma: float = 0.9
    """Discount of a step."""
    tau: float = 0.005
    """How much of the networks their targets take at each update."""
    noise: float = 0.3
    """Standard deviation of what is added to actions while it learns, in standard deviations of the tunes."""
    actor_rate: float = 3e-4
    """Adam's, of the actor."""
    critic_rate: float = 1e-3
    """Adam's, of the critic."""
    batch: int = 256
    """Steps learned from at each update."""
    replay: int = 100_000
    """Steps kept."""
    warm_up: int = 50
    """Updates' worth of steps that are played at random before anything is learned."""


class DDPG:
    """Learns with `update`: one step of all listeners, and one gradient step of critic and actor.

    Attributes:
      reported: the autoencoder's losses.
      steps: that all listeners together have taken.
    """

    def __init__(self, listeners: SessionListeners, config: DDPGConfig | None = None, seed: int = 0) -> None:
        self.config = config if config is not None else DDPGConfig()
        self.listeners = listeners
        if self.config.autoencoder not in AUTOENCODERS:
            raise InputError(
                f"unknown autoencoder {self.config.autoencoder!r}; known: {', '.join(AUTOENCODERS)}"
            )
        self.generator = torch.Generator().manual_seed(seed)
        self.encoder: Autoencoder = AUTOENCODERS[self.config.autoencoder](listeners.dimensions, seed)
        self.reported: dict[str, float] = {}
        self.updates = self.steps = 0
        size, d = self.encoder.code_size, listeners.dimensions
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.networks = nn.ModuleDict({"actor": _network(size, d), "critic": _network(size + d, 1)})
        self.targets = copy.deepcopy(self.networks).requires_grad_(False)
        self.actor_optimizer = torch.optim.Adam(self.networks["actor"].parameters(), self.config.actor_rate)
        self.critic_optimizer = torch.optim.Adam(
            self.networks["critic"].parameters(), self.config.critic_rate
        )
        self.kept = torch.zeros(self.config.replay, 2 * size + d + 2)  # s, s', a, r, done
        self.code: Tensor | None = None

    def _begin(self) -> None:
        """Trains the autoencoder on random sessions, and begins the listeners' own."""
        histories = []
        observed = self.listeners.reset()
        for _ in range(max(15, 20_000 // self.listeners.count)):
            histories.append(observed)
            tunes = torch.randint(
                len(self.listeners.points), (self.listeners.count,), generator=self.generator
            )
            observed = self.listeners.play(tunes).observation
        self.reported = learn(self.encoder, torch.cat(histories), self.config.autoencoder_updates)
        self.code = self.encoder.encode(self.listeners.reset())

    @torch.no_grad()
    def act(self, observed: Tensor) -> Tensor:
        """The actor's actions, float32 [B, d], without noise."""
        return self._mu(self.networks, self.encoder.encode(observed))

    def _mu(self, networks: nn.ModuleDict, code: Tensor) -> Tensor:
        action: Tensor = BOUND * torch.tanh(networks["actor"](code))
        return action

    def update(self) -> float:
        """A step of all listeners and one of learning; the mean reward of the step.

        Raises InputError where a reward is not a finite number: nothing is learned from it.
        """
        if self.code is None:
            self._begin()
        assert self.code is not None
        count, d = self.listeners.count, self.listeners.dimensions
        warming = self.updates < self.config.warm_up
        if warming:
            tunes = torch.randint(len(self.listeners.points), (count,), generator=self.generator)
            actions = self.listeners.points[tunes]
        else:
            with torch.no_grad():
                noise = torch.randn(count, d, generator=self.generator)
                actions = self._mu(self.networks, self.code) + self.config.noise * noise
        actions = actions.clamp(-BOUND, BOUND)
        observed, reward, done = self.listeners.step(actions)
        if not bool(reward.isfinite().all()):
            raise InputError(
                "a reward of the environment is not a finite number; nothing was learned from it"
            )
        with torch.no_grad():
            following = self.encoder.encode(observed)
        rows = torch.cat([self.code, following, actions, reward[:, None], done[:, None].float()], dim=1)
        self.kept[(self.steps + torch.arange(count)) % len(self.kept)] = rows
        self.code = following
        self.steps += count
        self.updates += 1
        if not warming:
            self._learn()
        return float(reward.mean())

    def _learn(self) -> None:
        filled = min(self.steps, len(self.kept))
        rows = self.kept[torch.randint(filled, (self.config.batch,), generator=self.generator)]
        size, d = self.encoder.code_size, self.listeners.dimensions
        s, following, a, r, done = rows.split([size, size, d, 1, 1], dim=1)
        with torch.no_grad():
            after = self.targets["critic"](torch.cat([following, self._mu(self.targets, following)], dim=1))
            y = r + self.config.gamma * (1 - done) * after
        critic = (self.networks["critic"](torch.cat([s, a], dim=1)) - y).square().mean()
        self.critic_optimizer.zero_grad()
        critic.backward()
        self.critic_optimizer.step()
        actor = -self.networks["critic"](torch.cat([s, self._mu(self.networks, s)], dim=1)).mean()
        self.actor_optimizer.zero_grad()
        actor.backward()
        self.actor_optimizer.step()
        with torch.no_grad():
            for target, own in zip(self.targets.parameters(), self.networks.parameters(), strict=True):
                target.lerp_(own, self.config.tau)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next update depends on."""
        if self.code is None:
            self._begin()
        assert self.code is not None
        names = sorted(self.reported)
        return {
            **under("actor.", saved(self.networks["actor"], self.actor_optimizer)),
            **under("critic.", saved(self.networks["critic"], self.critic_optimizer, self.generator)),
            **under("targets.", saved(self.targets)),
            **under("encoder.", saved(self.encoder)),
            **under("listeners.", self.listeners.tensors()),
            "kept": self.kept[: min(self.steps, len(self.kept))],
            "code": self.code,
            "counts": torch.tensor([self.updates, self.steps]),
            **{f"reported.{name}": torch.tensor(self.reported[name], dtype=torch.float64) for name in names},
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        put_back(part(tensors, "actor."), self.networks["actor"], self.actor_optimizer)
        put_back(part(tensors, "critic."), self.networks["critic"], self.critic_optimizer, self.generator)
        put_back(part(tensors, "targets."), self.targets)
        put_back(part(tensors, "encoder."), self.encoder)
        self.encoder.requires_grad_(False)
        self.listeners.restore(part(tensors, "listeners."))
        self.kept[: len(tensors["kept"])] = tensors["kept"]
        self.code = tensors["code"]
        self.updates, self.steps = tensors["counts"].tolist()
        self.reported = {name: float(value) for name, value in part(tensors, "reported.").items()}


def _network(inputs: int, outputs: int) -> nn.Sequential:
    layers = [
        nn.Linear(inputs, UNITS),
        nn.ReLU(),
        nn.Linear(UNITS, UNITS),
        nn.ReLU(),
        nn.Linear(UNITS, outputs),
    ]
    return nn.Sequential(*layers)
