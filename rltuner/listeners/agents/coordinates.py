"""The rule-based finder: one feature after another, a level up while that is closer, else down.

From the base, at first the centre, a feature is moved up by one level. Where the listener calls that closer, the base
moves there and goes on; where not, the feature is moved down from the base in the same way; where that is not closer
either, the feature stays, and the next one is tried. Where all features have been tried without finding anything, which
only raters who err can bring about, it begins again at the best-rated position. A rating of 4 ends the search: it stays.

It has no parameters, remembers one position a listener, and learns nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.listeners.agents.finder import Answer
from rltuner.listeners.environments.raters import TOP, Raters
from rltuner.listeners.music.space import LEVELS


class CoordinateFinder:
    """See above.

    Args:
      raters: say what a position's levels are; nothing is known of their targets.
      levels: of each feature.
    """

    def __init__(self, raters: Raters, levels: int = LEVELS) -> None:
        self.centre, self.dimensions, self.levels = raters.centre, raters.positions.shape[1], levels

    def begin(self, count: int) -> None:
        """Forgets."""
        self._searches = [_Search(self.centre, self.dimensions, self.levels) for _ in range(count)]

    def next(self, answer: Answer, left: int) -> Tensor:
        """The next positions."""
        rows = zip(
            self._searches,
            answer.position.tolist(),
            answer.closer.tolist(),
            answer.rating.tolist(),
            strict=True,
        )
        return torch.tensor(
            [search.next(position, closer, rating) for search, position, closer, rating in rows]
        )


class _Search:
    """The search for one listener's target."""

    def __init__(self, centre: int, dimensions: int, levels: int) -> None:
        self.base, self.best, self.levels = centre, (-1, centre), levels
        self.strides = [int(levels**power) for power in range(dimensions)]
        self.feature, self.way = 0, 1
        self.is_begun = False

    def next(self, position: int, closer: bool, rating: int) -> int:
        """The position to play after what was said of the last one."""
        self.best = max(self.best, (rating, position))
        if rating == TOP:
            self.base = position
            return position
        if self.is_begun:
            if closer and position != self.base:
                self.base = position
            else:
                self._turn()
        self.is_begun = True
        for _ in range(2 * len(self.strides) + 1):
            level = self.base // self.strides[self.feature] % self.levels
            if 0 <= level + self.way < self.levels:
                return self.base + self.way * self.strides[self.feature]
            self._turn()
        return self.base

    def _turn(self) -> None:
        """The other way, or the next feature; after the last one again the first, at what was rated best."""
        if self.way == 1:
            self.way = -1
            return
        self.way, self.feature = 1, self.feature + 1
        if self.feature == len(self.strides):
            self.feature, self.base = 0, self.best[1]
