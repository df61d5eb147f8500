"""The grid: listeners with a target among levels of features, who say how much they like each position that is played.

An episode has 21 steps. It starts at the centre, whose rating is heard; an action is the next position. The listener says
whether it is closer to the target than the position before, and rates it 0 to 4. Nothing tells the agent the target.

Observations
------------
* "grid": d levels, whether the position is closer (0 or 1), its rating; float32 [B, d + 2]. It has no memory of its own.
* "board": the last rating of every position, -1 where it was not played yet; float32 [B, P].

Rewards: "bullseye", 10 for a rating of 4, else 0; "rating", the rating's square. At most 210 and 336 an episode.

Source: the thesis of docs/listeners.md, its section 4.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.errors import InputError, suggest
from rltuner.listeners.environments.raters import TIRING_STEPS, TOP, Raters
from rltuner.listeners.environments.vector import Step

STEPS = 21
BULLSEYE = 10.0
REWARDS = ("bullseye", "rating")
OBSERVATIONS = ("grid", "board")
MOST_LISTENERS = 100_000


class GridListeners:
    """B listeners of a grid in lock-step.

    Args:
      raters: whom they are drawn from, uniformly, each episode anew.
      count: B.
      reward, observation: see above.
      seed: of the draws.
      who: int64 [B], the raters that they are, always the same; None draws them.

    Raises InputError for an unknown name or a count outside 1 to 100,000.
    """

    steps = STEPS

    def __init__(
        self,
        raters: Raters,
        count: int,
        reward: str = "bullseye",
        observation: str = "grid",
        seed: int = 0,
        who: Tensor | None = None,
    ) -> None:
        for name, value, known in (("reward", reward, REWARDS), ("observation", observation, OBSERVATIONS)):
            if value not in known:
                raise InputError(f"unknown {name} {value!r}; {suggest(value, list(known))}")
        if not 1 <= count <= MOST_LISTENERS:
            raise InputError(f"{count} listeners: from 1 to {MOST_LISTENERS:,}")
        self.raters, self.count, self.observation = raters, count, observation
        self.places, self.dimensions = raters.positions.shape
        self.actions = self.places
        self.observation_size = self.dimensions + 2 if observation == "grid" else self.places
        ratings = torch.arange(TOP + 1, dtype=torch.float32)
        self.worth = BULLSEYE * (ratings == TOP) if reward == "bullseye" else ratings**2
        """Reward of each rating, float32 [5]."""
        self.generator = torch.Generator().manual_seed(seed)
        self.who = torch.zeros(count, dtype=torch.int64) if who is None else who
        self._is_drawn = who is None
        self._levels = raters.positions.float()
        self._distance, self._rating = raters.distance.flatten(), raters.rating.flatten()
        self.last = self.reset()

    def reset(self) -> Tensor:
        """Begins B episodes at the centre; their first observations."""
        if self._is_drawn:
            self.who = torch.randint(len(self.raters.target), (self.count,), generator=self.generator)
        self.position = torch.full((self.count,), self.raters.centre)
        self.taken = 0
        self.closer = torch.zeros(self.count)
        self._heard = self.position[:, None].expand(-1, TIRING_STEPS).clone() * 0 - 1
        self._board = torch.full((self.count, self.places), -1.0) if self.observation == "board" else None
        self.said = self._say()
        return self._observed()

    def step(self, actions: Tensor) -> Step:
        """Plays the positions int64 [B]. Raises IndexError for a position that there is not."""
        if int(actions.min()) < 0 or int(actions.max()) >= self.places:
            raise IndexError(f"actions are positions from 0 to {self.places - 1}")
        row = self.who * self.places
        before = self._distance[row + self.position]
        self.position = actions
        self.closer = (self._distance[row + actions] < before).float()
        if self.raters.errors:
            flips = torch.rand(self.count, generator=self.generator) < self.raters.errors
            self.closer = torch.where(flips, 1 - self.closer, self.closer)
        self.said = self._say()
        self.taken += 1
        reward = self.worth[self.said]
        self.last = self._observed()
        if self.taken < STEPS:
            return Step(self.last, reward, torch.zeros(self.count, dtype=torch.bool))
        return Step(self.reset(), reward, torch.ones(self.count, dtype=torch.bool))

    def _say(self) -> Tensor:
        """What the listeners rate the position they hear, int64 [B]; it is entered on their boards."""
        said = self._rating[self.who * self.places + self.position]
        if self.raters.tires:
            said = (said - (self._heard == self.position[:, None]).sum(dim=1)).clamp(min=0)
            self._heard = torch.cat([self._heard[:, 1:], self.position[:, None]], dim=1)
        if self.raters.errors:
            errs = torch.rand(self.count, generator=self.generator) < self.raters.errors
            way = 2 * torch.randint(2, (self.count,), generator=self.generator) - 1
            said = torch.where(errs, (said + way).clamp(0, TOP), said)
        if self._board is not None:
            self._board[torch.arange(self.count), self.position] = said.float()
        return said

    def _observed(self) -> Tensor:
        if self._board is not None:
            return self._board.clone()
        return torch.cat(
            [self._levels[self.position], self.closer[:, None], self.said[:, None].float()], dim=1
        )

    def tensors(self) -> dict[str, Tensor]:
        """The state of the episodes and of the generator."""
        state = {
            "who": self.who,
            "position": self.position,
            "taken": torch.tensor(self.taken),
            "closer": self.closer,
            "said": self.said,
            "heard": self._heard,
            "generator": self.generator.get_state(),
        }
        return state if self._board is None else {**state, "board": self._board}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        self.who, self.position, self.closer = tensors["who"], tensors["position"], tensors["closer"]
        self.said, self._heard, self.taken = tensors["said"], tensors["heard"], int(tensors["taken"])
        if self._board is not None:
            self._board = tensors["board"]
        self.generator.set_state(tensors["generator"])
