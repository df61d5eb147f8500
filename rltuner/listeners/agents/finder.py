"""What a finder of targets is, and how one is tried: B listeners of a grid, one answer at a time.

A finder sees what an agent sees: the position that was played, whether it is closer, and the rating. Trials start at the
centre, as the environment does.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from rltuner.listeners.agents.a2c import ActorCritic
from rltuner.listeners.environments.grid import STEPS, GridListeners
from rltuner.listeners.environments.raters import TOP, Raters


class Answer(NamedTuple):
    """What B listeners said of what was played."""

    position: Tensor
    """int64 [B]."""
    closer: Tensor
    """bool [B]; False for the start."""
    rating: Tensor
    """int64 [B], 0 to 4."""


class Finder(Protocol):
    """Seeks the targets of B listeners."""

    def begin(self, count: int) -> None:
        """Forgets; `count` listeners begin."""
        ...

    def next(self, answer: Answer, left: int) -> Tensor:
        """The next positions, int64 [B], after one more answer; `left` steps are still to be taken, this one included."""
        ...


class Trial(NamedTuple):
    """How a finder did, listener by listener."""

    total: Tensor
    """Sum of the rewards of the episode, float32 [B]."""
    found: Tensor
    """The first step, 1 to 21, at which what was played had rating 4 (0: the start had), int64 [B]; 22 where none had."""
    positions: Tensor
    """Played, the start first, int64 [B, 22]."""


def try_out(finder: Finder, raters: Raters, who: Tensor, reward: str = "bullseye", seed: int = 0) -> Trial:
    """One episode of the finder with each of the raters `who`, int64 [B]."""
    listeners = GridListeners(raters, len(who), reward, seed=seed, who=who)
    finder.begin(len(who))
    total, played = torch.zeros(len(who)), [listeners.position]
    true = raters.rating[who]
    for taken in range(STEPS):
        answer = Answer(listeners.position, listeners.closer.bool(), listeners.said)
        chosen = finder.next(answer, STEPS - taken)
        played.append(chosen)
        total += listeners.step(chosen).reward
    positions = torch.stack(played, dim=1)  # (B, 22)
    is_found = true.gather(1, positions) == TOP
    found = torch.where(is_found.any(dim=1), is_found.int().argmax(dim=1), STEPS + 1)
    return Trial(total, found, positions)


class NetworkFinder:
    """The actor of a trained network, which takes the likeliest position (ties: the first).

    Args:
      network: of A2C or ACKTR, for these raters' positions.
      raters: say what a position's levels are.
      observation: "grid" or "board", as it was trained.
    """

    def __init__(self, network: ActorCritic, raters: Raters, observation: str) -> None:
        self.network, self.levels, self.observation = network, raters.positions.float(), observation

    def begin(self, count: int) -> None:
        """Forgets."""
        self._state = self.network.begin(count)
        self._starts = torch.ones(count, dtype=torch.bool)
        self._board = torch.full((count, len(self.levels)), -1.0)

    @torch.inference_mode()
    def next(self, answer: Answer, left: int) -> Tensor:
        """The likeliest positions."""
        self._board[torch.arange(len(self._board)), answer.position] = answer.rating.float()
        observed = self._board
        if self.observation == "grid":
            heard = torch.stack([answer.closer.float(), answer.rating.float()], dim=1)
            observed = torch.cat([self.levels[answer.position], heard], dim=1)
        logits, _, self._state = self.network(observed[None], self._state, self._starts[None])
        self._starts = torch.zeros_like(self._starts)
        likeliest: Tensor = logits[0].argmax(dim=1)
        return likeliest


class RandomFinder:
    """Plays uniformly drawn positions, and stays where the rating is 4: the least that any agent must beat."""

    def __init__(self, raters: Raters, seed: int = 0) -> None:
        self.places, self.seed = len(raters.positions), seed

    def begin(self, count: int) -> None:
        """Forgets."""
        self._generator = torch.Generator().manual_seed(self.seed)

    def next(self, answer: Answer, left: int) -> Tensor:
        """Uniformly drawn positions, or the last one where it was found."""
        drawn = torch.randint(self.places, answer.position.shape, generator=self._generator)
        return torch.where(answer.rating == TOP, answer.position, drawn)
