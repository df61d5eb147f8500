"""The best that can be done with raters who do not err: dynamic programming over what the target could still be.

What is known is a set S of raters that agree with every answer, the position last played and the steps left:

    V(S, p, left) = max_a  sum_{h in S} r(h, a)  +  sum_{answers x} V({h in S that answer x to a after p}, a, left - 1),

in sums over S, not means. The search is exact: an action is left out only where r now and the largest reward for all the
rest would not beat the best action known. A set for which one position has the largest reward for everybody is solved:
it is played to the end.

Feasible in 2 dimensions (seconds); in more, sets are too many, and `posterior` is taken.
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.listeners.agents.finder import Answer
from rltuner.listeners.environments.raters import Raters

MOST_RATERS = 64  # sets of raters are the bits of a number


class OptimalFinder:
    """See above.

    Args:
      raters: at most 64, who neither err nor tire.
      worth: reward of each rating, float32 [5].

    Raises InputError for other raters.
    """

    def __init__(self, raters: Raters, worth: Tensor) -> None:
        if len(raters.rating) > MOST_RATERS or raters.errors or raters.tires:
            raise InputError(
                f"the exact optimum is for at most {MOST_RATERS} raters who neither err nor tire; take posterior"
            )
        self.raters = raters
        self.rewards = worth[raters.rating].tolist()  # [H][P]
        self.ratings = raters.rating.tolist()
        self.largest = float(worth.max())
        self.places = len(raters.positions)
        distance = raters.distance
        # The raters who say each of the answers to position a after position p, as sets.
        self._answers: list[list[list[int]]] = []
        for p in range(self.places):
            of_p = []
            for a in range(self.places):
                sets: dict[tuple[int, bool], int] = defaultdict(int)
                closer = (distance[:, a] < distance[:, p]).tolist()
                for h in range(len(self.ratings)):
                    sets[self.ratings[h][a], closer[h]] |= 1 << h
                of_p.append(list(sets.values()))
            self._answers.append(of_p)
        self._members: dict[int, list[int]] = {}
        self._now: dict[int, list[float]] = {}
        self._known: dict[tuple[int, int, int], tuple[float, int]] = {}

    def begin(self, count: int) -> None:
        """Forgets."""
        self._sets = [(1 << len(self.ratings)) - 1] * count
        self._previous: list[int] | None = None

    def next(self, answer: Answer, left: int) -> Tensor:
        """The best positions."""
        positions = answer.position.tolist()
        chosen = []
        for number, (position, closer, rating) in enumerate(
            zip(positions, answer.closer.tolist(), answer.rating.tolist(), strict=True)
        ):
            for h in self._of(self._sets[number]):
                agrees = self.ratings[h][position] == rating
                if self._previous is not None:
                    before = self.raters.distance[h, self._previous[number]]
                    agrees &= bool(self.raters.distance[h, position] < before) == closer
                if not agrees:
                    self._sets[number] &= ~(1 << h)
            chosen.append(self.solve(self._sets[number], position, left)[1])
        self._previous = positions
        return torch.tensor(chosen)

    def solve(self, members: int, position: int, left: int) -> tuple[float, int]:
        """V, and the best action, of a set (bits), the position last played, and the steps left."""
        known = self._known.get((members, position, left))
        if known is not None:
            return known
        size = members.bit_count()
        now = self._rewards_of(members)
        order = sorted(range(self.places), key=lambda a: -now[a])
        best, action = -1.0, order[0]
        if left == 1 or not size or now[order[0]] >= self.largest * size - 1e-9:
            best = now[order[0]] * left  # everybody is content with it, or nothing can follow
        else:
            rest = self.largest * size * (left - 1)
            for a in order:
                if now[a] + rest <= best + 1e-9:
                    break
                groups = [group & members for group in self._answers[position][a] if group & members]
                if len(groups) == 1 and left > 2 and a != order[0]:
                    continue  # nothing is learned by it, and less is earned than by another that can be played first
                value, bound = now[a], rest
                for group in groups:
                    bound -= self.largest * group.bit_count() * (left - 1)
                    value += self.solve(group, a, left - 1)[0]
                    if value + bound <= best + 1e-9:
                        break
                if value > best + 1e-9 and bound <= 1e-9:
                    best, action = value, a
        self._known[members, position, left] = best, action
        return best, action

    def _of(self, members: int) -> list[int]:
        if members not in self._members:
            self._members[members] = [h for h in range(len(self.ratings)) if members >> h & 1]
        return self._members[members]

    def _rewards_of(self, members: int) -> list[float]:
        """The sum of each position's rewards over the set."""
        if members not in self._now:
            rows = [self.rewards[h] for h in self._of(members)]
            self._now[members] = [sum(column) for column in zip(*rows, strict=True)] or [0.0] * self.places
        return self._now[members]
