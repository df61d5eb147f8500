"""Simulated listeners of sessions, by one formula.

A listener has a taste, the point u of a tune drawn uniformly from the catalogue. A tune at point x is kept (not skipped)
with probability

    p = sigma( alpha - 6 |x - u| / m ),

m being the mean distance of two tunes. alpha is such that a tune drawn uniformly is kept 30 % of the time by a listener
drawn uniformly, the share of the poster of docs/listeners.md: 4.5 of 15, about its benchmark of 5. Near its taste a
listener keeps nearly everything.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.listeners.environments.sessions import HISTORY, Answers, Opening

SLOPE = 6.0
KEPT_AT_RANDOM = 0.3
PAIRS = 2000  # tunes from which m and alpha are computed, where there are more


class Skipping:
    """See above.

    Args:
      points: of the tunes, float32 [N, d].
    """

    def __init__(self, points: Tensor) -> None:
        self.points = points
        some = points[torch.randperm(len(points), generator=torch.Generator().manual_seed(0))[:PAIRS]]
        distances = torch.cdist(some, some)
        self.mean = float(distances.mean().clamp(min=1e-9))
        self.alpha = _calibrated(SLOPE * distances / self.mean)
        self.taste = torch.zeros(0, dtype=torch.int64)

    def keeps(self, tastes: Tensor, tunes: Tensor) -> Tensor:
        """p of tunes for tastes, both points float32 [.., d]."""
        distance = (tunes - tastes).norm(dim=-1)
        return torch.sigmoid(self.alpha - SLOPE * distance / self.mean)

    def open(self, count: int, generator: torch.Generator) -> Opening:
        """New listeners, and 5 different tunes that each has heard, drawn uniformly."""
        self.taste = torch.randint(len(self.points), (count,), generator=generator)
        tunes = torch.rand(count, len(self.points), generator=generator).topk(HISTORY, dim=1).indices
        tastes = self.points[self.taste][:, None]
        p = self.keeps(tastes, self.points[tunes])
        return Opening(tunes, torch.rand(count, HISTORY, generator=generator) < p)

    def answer(self, history: Tensor, tunes: Tensor, generator: torch.Generator) -> Answers:
        """Kept with probability p; always known."""
        p = self.keeps(self.points[self.taste], self.points[tunes])
        kept = torch.rand(len(tunes), generator=generator) < p
        return Answers(kept, torch.ones_like(kept))

    def tensors(self) -> dict[str, Tensor]:
        """Who is listening."""
        return {"taste": self.taste}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        self.taste = tensors["taste"]


def _calibrated(penalties: Tensor) -> float:
    """The alpha for which the mean of sigma(alpha - penalty) is 30 %, by bisection."""
    low, high = -20.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        if float(torch.sigmoid(middle - penalties).mean()) < KEPT_AT_RANDOM:
            low = middle
        else:
            high = middle
    return (low + high) / 2
