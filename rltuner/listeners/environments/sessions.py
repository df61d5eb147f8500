"""Sessions: listeners who keep listening to a tune or skip it, and an action that is a point of the space of features.

An episode has 15 steps, after 5 tunes that were played before it. An action, float32 [d], plays the tune nearest to it
(Euclidean; ties: the first) of those not yet played in the session. The reward is 1 where the tune is not skipped. An
observation is the last 5 tunes, oldest first, each with its d coordinates and 1 where it was kept, -1 where it was
skipped: float32 [B, 5 (d + 1)].

Where the answer is not known (`logs`), the reward is 0, the tune counts as skipped in the history, and the step as
abstained.

Source: the poster of docs/listeners.md.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.listeners.environments.grid import MOST_LISTENERS
from rltuner.listeners.environments.vector import Step

STEPS, HISTORY = 15, 5
BOUND = 3.0  # of an action in each coordinate, in standard deviations of the tunes
CHUNK = 4_000_000  # distances computed at once


class Opening(NamedTuple):
    """How B sessions begin."""

    tunes: Tensor
    """Played before, int64 [B, 5]."""
    kept: Tensor
    """bool [B, 5]."""


class Answers(NamedTuple):
    """What B listeners did."""

    kept: Tensor
    """bool [B]: not skipped."""
    known: Tensor
    """bool [B]; False where nothing is known, and `kept` is False."""


class Responses(Protocol):
    """Who answers: a simulator, or logs."""

    def open(self, count: int, generator: torch.Generator) -> Opening:
        """Begins sessions with new listeners."""
        ...

    def answer(self, history: Tensor, tunes: Tensor, generator: torch.Generator) -> Answers:
        """What they do with the tunes, int64 [B].

        Args:
          history: what they observed, float32 [B, 5 (d + 1)].
          tunes: that are played.
          generator: of what is random.
        """
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Who is listening."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        ...


class SessionListeners:
    """B sessions in lock-step.

    Args:
      points: of the tunes, float32 [N, d], standardised; at least 20 of them.
      responses: of the same tunes.
      count: B.
      seed: of what is random.

    Attributes:
      answered, abstained: steps since it was made, of all listeners, by whether the answer was known.

    Raises InputError for fewer than 20 tunes, or a count outside 1 to 100,000.
    """

    steps = STEPS

    def __init__(self, points: Tensor, responses: Responses, count: int, seed: int = 0) -> None:
        if len(points) < STEPS + HISTORY:
            raise InputError(
                f"a catalogue of {len(points)} tunes: a session needs {STEPS + HISTORY}; name sources with more melodies"
            )
        if not 1 <= count <= MOST_LISTENERS:
            raise InputError(f"{count} listeners: from 1 to {MOST_LISTENERS:,}")
        self.points, self.responses, self.count = points, responses, count
        self.dimensions = points.shape[1]
        self.observation_size = HISTORY * (self.dimensions + 1)
        self.generator = torch.Generator().manual_seed(seed)
        self.answered = self.abstained = 0
        self._squares = points.square().sum(dim=1)
        self.last = self.reset()

    def reset(self) -> Tensor:
        """Begins B sessions; their first observations."""
        opening = self.responses.open(self.count, self.generator)
        self.played = opening.tunes  # (B, played so far)
        answers = torch.where(opening.kept, 1.0, -1.0)
        self.history = torch.cat([self.points[opening.tunes], answers[..., None]], dim=2)  # (B, 5, d + 1)
        self.taken = 0
        return self.history.flatten(1)

    def nearest(self, actions: Tensor) -> Tensor:
        """The tunes that actions play, int64 [B]."""
        rows = max(1, CHUNK // len(self.points))
        parts = []
        for part, played in zip(actions.split(rows), self.played.split(rows), strict=True):
            distance = self._squares - 2 * part @ self.points.T
            parts.append(distance.scatter(1, played, float("inf")).argmin(dim=1))
        return torch.cat(parts)

    def step(self, actions: Tensor) -> Step:
        """Plays the tunes nearest to the actions, float32 [B, d]. Raises InputError where one is not finite."""
        if not bool(actions.isfinite().all()):
            raise InputError("an action of the agent is not finite")
        return self.play(self.nearest(actions))

    def play(self, tunes: Tensor) -> Step:
        """Plays the tunes int64 [B]: a step whose action would have been just these."""
        kept, known = self.responses.answer(self.history.flatten(1), tunes, self.generator)
        answers = torch.where(kept, 1.0, -1.0)
        self.answered += int(known.sum())
        self.abstained += int((~known).sum())
        newest = torch.cat([self.points[tunes], answers[:, None]], dim=1)
        self.history = torch.cat([self.history[:, 1:], newest[:, None]], dim=1)
        self.played = torch.cat([self.played, tunes[:, None]], dim=1)
        self.taken += 1
        done = self.taken == STEPS
        self.last = self.history.flatten(1)
        observation = self.reset() if done else self.last
        return Step(observation, kept.float(), torch.full((self.count,), done))

    def tensors(self) -> dict[str, Tensor]:
        """The state of the sessions, of the listeners and of the generator."""
        own = {
            "played": self.played,
            "history": self.history,
            "counts": torch.tensor([self.taken, self.answered, self.abstained]),
            "generator": self.generator.get_state(),
        }
        return own | {f"responses.{name}": tensor for name, tensor in self.responses.tensors().items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        self.played, self.history = tensors["played"], tensors["history"]
        self.taken, self.answered, self.abstained = tensors["counts"].tolist()
        self.generator.set_state(tensors["generator"])
        self.responses.restore(
            {n.removeprefix("responses."): t for n, t in tensors.items() if n.startswith("responses.")}
        )
