"""A2C: the advantage actor-critic, with or without a GRU.

B listeners play n steps with the policy pi; then one gradient step is taken on

    L = -mean A_t log pi(a_t|s_t)  +  0.5 mean (R_t - V(s_t))^2  -  0.01 mean H(pi(.|s_t)),

    R_t = r_t + gamma r_{t+1} + ... + gamma^{n-t} V(s_n)   (cut where an episode ends),    A_t = R_t - V(s_t), a constant.

The gradient's norm is clipped at 0.5; RMSProp (alpha 0.99, eps 1e-5) takes the step. The network is a GRU of 3 layers of
64 units, whose state begins anew with each episode, and two heads of three linear layers with tanh between them.
Without a GRU the heads see the observation.

Source: Mnih et al., "Asynchronous Methods for Deep Reinforcement Learning" (2016), in its synchronous form; values as in
Kostrikov's pytorch-a2c-ppo-acktr, which the thesis of docs/listeners.md took.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rltuner.errors import InputError
from rltuner.listeners.agents.state import part, put_back, saved, under
from rltuner.listeners.environments.vector import Listeners

UNITS, LAYERS = 64, 3


@dataclass(frozen=True)
class A2CConfig:
    """Values of A2C; the defaults are the thesis'."""

    n: int = 20
    """Steps between two updates."""
    learning_rate: float = 7e-4
    """RMSProp's."""
    falls_over: int = 0
    """Updates over which the learning rate falls to 0 along a line; 0 keeps it, as the thesis did."""
    reward_scale: float = 1.0
    """What rewards are multiplied by before anything is learned from them. At 1, the thesis' value, returns reach 200,
    and nearly all of the clipped gradient is the critic's."""
    gamma: float = 0.99
    """Discount of a step."""
    entropy: float = 0.01
    """Weight of the policy's entropy."""
    value_loss: float = 0.5
    """Weight of the critic's squared error."""
    clip: float = 0.5
    """Largest norm of a gradient."""
    recurrent: bool = True
    """Whether there is a GRU."""


class ActorCritic(nn.Module):
    """Policy and value of an observation, and what was observed before.

    Args:
      observed: numbers in an observation, O.
      actions: how many there are, A.
      recurrent: whether there is a GRU.
      seed: of the initial weights, orthogonal as in Kostrikov's.
    """

    def __init__(self, observed: int, actions: int, recurrent: bool = True, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.gru = nn.GRU(observed, UNITS, LAYERS) if recurrent else None
            if self.gru is not None:
                for name, weight in self.gru.named_parameters():
                    nn.init.orthogonal_(weight) if "weight" in name else nn.init.zeros_(weight)
            size = UNITS if recurrent else observed
            self.actor = _head(size, actions, last_gain=0.01)
            self.critic = _head(size, 1, last_gain=1.0)

    def begin(self, count: int) -> Tensor:
        """The state before anything is observed, float32 [layers, B, units]; of no layers without a GRU."""
        return torch.zeros(LAYERS if self.gru is not None else 0, count, UNITS)

    def forward(self, observed: Tensor, state: Tensor, starts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [T, B, A], values [T, B] and the state after the last step.

        Args:
          observed: float32 [T, B, O].
          state: before the first step.
          starts: bool [T, B]: the observation is an episode's first, so what came before it is forgotten.
        """
        hidden = observed
        if self.gru is not None:
            # The GRU runs over whole stretches between the steps at which any episode starts.
            cuts = [t for t in range(1, len(observed)) if bool(starts[t].any())]
            parts = []
            for first, last in zip([0, *cuts], [*cuts, len(observed)], strict=True):
                state = state * ~starts[first][:, None]
                part, state = self.gru(observed[first:last], state)
                parts.append(part)
            hidden = torch.cat(parts)
        return self.actor(hidden), self.critic(hidden)[..., 0], state


def _head(size: int, outputs: int, last_gain: float) -> nn.Sequential:
    layers = [
        nn.Linear(size, UNITS),
        nn.Tanh(),
        nn.Linear(UNITS, UNITS),
        nn.Tanh(),
        nn.Linear(UNITS, outputs),
    ]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, last_gain if layer is layers[-1] else 2**0.5)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


class A2C:
    """Learns with `update`, n steps of all listeners at a time.

    Attributes:
      network: ActorCritic.
      steps: that all listeners together have taken.
    """

    def __init__(
        self, listeners: Listeners, actions: int, config: A2CConfig | None = None, seed: int = 0
    ) -> None:
        self.config = config if config is not None else A2CConfig()
        self.listeners = listeners
        self.network = ActorCritic(listeners.observation_size, actions, self.config.recurrent, seed)
        self.optimizer = self._optimizer()
        self.generator = torch.Generator().manual_seed(seed)
        self.steps = 0
        self.observed = listeners.reset()
        self.state = self.network.begin(listeners.count)
        self.starts = torch.ones(listeners.count, dtype=torch.bool)

    def _optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(self.network.parameters(), self.config.learning_rate, alpha=0.99, eps=1e-5)

    def update(self) -> float:
        """Plays n steps and takes a gradient step; returns the mean reward of a step.

        Raises InputError where a reward is not a finite number: nothing is learned from it.
        """
        observed, starts, actions, rewards, dones = [], [], [], [], []
        before = self.state
        with torch.inference_mode():
            for _ in range(self.config.n):
                logits, _, self.state = self.network(self.observed[None], self.state, self.starts[None])
                chosen = torch.multinomial(logits[0].softmax(dim=1), 1, generator=self.generator)[:, 0]
                observed.append(self.observed)
                starts.append(self.starts)
                self.observed, reward, self.starts = self.listeners.step(chosen)
                actions.append(chosen)
                rewards.append(reward)
                dones.append(self.starts)
            _, last_value, _ = self.network(self.observed[None], self.state, self.starts[None])
        earned = torch.stack(rewards)  # (n, B)
        if not bool(earned.isfinite().all()):
            raise InputError(
                "a reward of the environment is not a finite number; nothing was learned from it"
            )
        returns = discounted(
            self.config.reward_scale * earned, torch.stack(dones), last_value[0], self.config.gamma
        )
        self._learn(
            torch.stack(observed), torch.stack(starts), torch.stack(actions), returns.clone(), before.clone()
        )
        self.steps += earned.numel()
        return float(earned.mean())

    def tensors(self) -> dict[str, Tensor]:
        """What a run saves: the networks, the optimiser, the episodes, and where the next update begins."""
        return {
            **saved(self.network, self.optimizer, self.generator),
            **under("listeners.", self.listeners.tensors()),
            "observed": self.observed,
            "state": self.state,
            "starts": self.starts,
            "steps": torch.tensor(self.steps),
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        put_back(tensors, self.network, self.optimizer, self.generator)
        self.listeners.restore(part(tensors, "listeners."))
        self.observed, self.state, self.starts = tensors["observed"], tensors["state"], tensors["starts"]
        self.steps = int(tensors["steps"])

    def _learn(
        self, observed: Tensor, starts: Tensor, actions: Tensor, returns: Tensor, before: Tensor
    ) -> None:
        logits, values, _ = self.network(observed.clone(), before, starts.clone())
        log_policy = logits.log_softmax(dim=2)
        log_chosen = log_policy.gather(2, actions.clone()[..., None])[..., 0]
        advantage = returns - values
        entropy = -(log_policy.exp() * log_policy).sum(dim=2).mean()
        actor, critic = -(advantage.detach() * log_chosen).mean(), advantage.square().mean()
        loss = actor + self.config.value_loss * critic - self.config.entropy * entropy
        if self.config.falls_over:
            self.optimizer.param_groups[0]["lr"] = self.config.learning_rate * self._left()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimizer.step()

    def _left(self) -> float:
        """The share of the updates that are still to be made, this one included; at least one thousandth."""
        done = self.steps / (self.config.n * self.listeners.count)
        return max(1e-3, 1 - done / self.config.falls_over)


def discounted(rewards: Tensor, dones: Tensor, last_value: Tensor, gamma: float) -> Tensor:
    """R_t for each step: float32 [n, B] of rewards [n, B], ends of episodes [n, B] and the value after them [B]."""
    returns, following = torch.empty_like(rewards), last_value
    for t in reversed(range(len(rewards))):
        following = rewards[t] + gamma * following * ~dones[t]
        returns[t] = following
    return returns
