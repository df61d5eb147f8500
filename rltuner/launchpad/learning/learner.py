"""Deep Q-learning (Mnih et al., 2015): acting, the gradient step, the target network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.learning.config import TrainConfig
from rltuner.launchpad.learning.networks import QNetwork
from rltuner.launchpad.learning.replay import Replay


class Learner:
    """A Q network, its target network and its optimiser. Gradients are of double Q-learning (van Hasselt, 2016) if
    asked."""

    def __init__(self, board: Board, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.board, self.config = board, config
        self.network = QNetwork(board, config.network, dueling=config.dueling)
        for layer in (
            self.network.advantages,
            self.network.value,
        ):  # Q begins at 0: nothing is known of any press
            if layer is not None:
                torch.nn.init.zeros_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
        self.target = QNetwork(board, config.network, dueling=config.dueling)
        self.target.load_state_dict(self.network.state_dict())
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate[0], fused=True)
        self.updates = 0
        self._bits = torch.from_numpy(board.bits)

    def bits(self, states: Array) -> Tensor:
        """What the network is told of states [B, N]: float32 [B, inputs]."""
        return torch.nn.functional.embedding(torch.from_numpy(states), self._bits).flatten(1)

    @torch.inference_mode()
    def greedy(self, states: Array) -> Array:
        """The best action in each state: int64 [B]."""
        actions: Array = self.network(self.bits(states)).argmax(dim=1).numpy()
        return actions

    def learn(self, replay: Replay, generator: np.random.Generator, rate: float) -> float:
        """One gradient step on a batch of kept steps; the loss."""
        config = self.config
        states, actions, rewards, following, gains = replay.draw(generator, config.batch_size)
        # What the following states are worth, by the target network.
        with torch.no_grad():
            after = self.bits(following)
            values = self.target(after)
            if config.double:
                best = values.gather(1, self.network(after).argmax(dim=1, keepdim=True)).squeeze(1)
            else:
                best = values.max(dim=1).values
            goals = torch.from_numpy(rewards) + config.gamma * best
            # What follows a press that was not played is taken to be worth what follows here.
            others = None if gains is None else torch.from_numpy(gains) + config.gamma * self._worth(states)
        # The mean squared error of what was played, or of all presses where their gains are known.
        q, played = self.network(self.bits(states)), torch.from_numpy(actions)[:, None]
        if others is None:
            loss = torch.nn.functional.mse_loss(q.gather(1, played).squeeze(1), goals)
        else:
            loss = torch.nn.functional.mse_loss(q, others.scatter(1, played, goals[:, None]))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip, foreach=True)
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.step()
        self.updates += 1
        if self.updates % config.target_every == 0:
            self.target.load_state_dict(self.network.state_dict())
        return float(loss.detach())

    def _worth(self, states: Array) -> Tensor:
        """What the target network takes states for: float32 [B, 1]."""
        worth: Tensor = self.target(self.bits(states)).max(dim=1, keepdim=True).values
        return worth

    def tensors(self) -> dict[str, Tensor]:
        """Networks and the optimiser's moments, for a state on disk."""
        found = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        found |= {f"target.{name}": t for name, t in self.target.state_dict().items()}
        moments: dict[int, dict[str, Any]] = self.optimiser.state_dict()["state"]
        for index, entry in moments.items():
            found |= {f"optimiser.{index}.{name}": t for name, t in entry.items()}
        return found

    def restore(self, tensors: dict[str, Tensor], updates: int) -> None:
        """Goes back to what `tensors` gave, after that many updates."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "target": {}, "optimiser": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            if part in parts:
                parts[part][rest] = tensor
        self.network.load_state_dict(parts["network"])
        self.target.load_state_dict(parts["target"])
        state = self.optimiser.state_dict()
        for name, tensor in parts["optimiser"].items():
            index, _, moment = name.partition(".")
            state["state"].setdefault(int(index), {})[moment] = tensor
        self.optimiser.load_state_dict(state)
        self.updates = updates
