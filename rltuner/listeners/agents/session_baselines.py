"""What plays sessions without learning: at random, in the middle, like what was kept, by the posterior over tastes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rltuner.listeners.environments.sessions import HISTORY, STEPS, SessionListeners
from rltuner.listeners.environments.skipping import Skipping

Player = Callable[[SessionListeners], Tensor]
"""The tunes to play next, int64 [B], from what the listeners' sessions show."""


def at_random(seed: int = 0) -> Player:
    """Tunes drawn uniformly from those not played yet: the poster's benchmark."""
    generator = torch.Generator().manual_seed(seed)

    def play(sessions: SessionListeners) -> Tensor:
        drawn = torch.rand(sessions.count, len(sessions.points), generator=generator)
        return drawn.scatter(1, sessions.played, -1.0).argmax(dim=1)

    return play


def nearest_to_the_centre(sessions: SessionListeners) -> Tensor:
    """The tunes nearest to the mean of all, which are near to every taste: what an agent that hears nothing can do."""
    return sessions.nearest(sessions.points.mean(dim=0).expand(sessions.count, -1))


def like_what_was_kept(sessions: SessionListeners) -> Tensor:
    """The tune nearest to the mean of those kept among the last five, that was not played yet in the session; of those of
    whom none was kept, the tune farthest from the mean of all five."""
    tunes, kept = sessions.history[..., :-1], sessions.history[..., -1:] > 0  # (B, 5, d), (B, 5, 1)
    number = kept.sum(dim=1)
    mean = torch.where(number > 0, (tunes * kept).sum(dim=1) / number.clamp(min=1), tunes.mean(dim=1))
    distance = torch.cdist(mean, sessions.points)
    distance = torch.where(number > 0, distance, -distance)
    return distance.scatter(1, sessions.played, float("inf")).argmin(dim=1)


class TastePosterior:
    """The posterior over tastes, for who knows the simulator's formula: of N tunes that the taste could be, each is
    weighed by the probability of every answer; the tune with the largest expected p is played. Greedy: it does not
    explore.

    Args:
      skipping: the simulator.
    """

    def __init__(self, skipping: Skipping) -> None:
        self.skipping = skipping
        points = skipping.points
        self.p = skipping.keeps(points[:, None], points[None])  # (N tastes, N tunes)
        self.log_weights = torch.zeros(0)

    def __call__(self, sessions: SessionListeners) -> Tensor:
        """The tunes to play next."""
        begins = sessions.taken == 0
        if begins:
            self.log_weights = torch.zeros(sessions.count, len(self.p))
        for step in range(0 if begins else HISTORY - 1, HISTORY):
            p = self.p[:, sessions.played[:, step - HISTORY]].T.clamp(1e-6, 1 - 1e-6)  # (B, N)
            kept = sessions.history[:, step, -1:] > 0
            self.log_weights += torch.where(kept, p.log(), (1 - p).log())
        expected = self.log_weights.softmax(dim=1) @ self.p  # (B, N)
        return expected.scatter(1, sessions.played, -1.0).argmax(dim=1)


def scores(sessions: SessionListeners, player: Player) -> Tensor:
    """The number of tunes kept in one session of each listener, 0 to 15, float32 [B]."""
    sessions.reset()
    total = torch.zeros(sessions.count)
    for _ in range(STEPS):
        total += sessions.play(player(sessions)).reward
    return total
