"""The posterior over targets, and the finder that looks one answer ahead.

Of H listeners that it could be, each has a weight w_h: uniform at first, multiplied by the probability of every answer,

    P(rating said x | true x') = 1 - e, or e spread over one up and one down (those beyond 0 and 4 fall back);
    P(closer said c | true c') = 1 - e, or e;      e = 0 for raters who do not err.

With `left` steps left it plays the position a with the largest

    E[r(a)]  +  (left - 1) E_answer[ max_b E[r(b) | answer to a] ],

what it earns now, and what the best position would earn for all the rest if nothing more were learned after this answer.
That is the knowledge-gradient policy (Frazier, Powell, Dayanik 2008). It is not optimal: it looks one answer ahead; how
far it falls short is known where `optimal` can be computed. Tiring is looked at only as far as it shows in the answers:
its ratings are those of a rater who does not tire, so the finder errs for such listeners, and stays where it was.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.listeners.agents.finder import Answer
from rltuner.listeners.environments.raters import TOP, Raters

LARGEST_SEARCH = 40_000_000  # entries of the tables for one decision of raters who err


class PosteriorFinder:
    """See above.

    Args:
      raters: whom it could be; what it believes may differ from whom it meets.
      worth: reward of each rating, float32 [5].

    Raises InputError for raters who err on a grid so large that a decision would take minutes.
    """

    def __init__(self, raters: Raters, worth: Tensor) -> None:
        self.raters, self.worth = raters, worth
        self.errors = raters.errors
        listeners, places = raters.rating.shape
        if self.errors and places * 2 * (TOP + 1) * listeners > LARGEST_SEARCH:
            raise InputError(
                f"the posterior of {listeners} erring listeners over {places} positions takes too long; use "
                "fewer dimensions"
            )
        self.reward = worth[raters.rating]  # (H, P)
        self._known: dict[bytes, int] = {}

    def begin(self, count: int) -> None:
        """Forgets."""
        self.weights = torch.ones(count, len(self.raters.rating), dtype=torch.float64)
        self._previous: Tensor | None = None

    def next(self, answer: Answer, left: int) -> Tensor:
        """The positions that are worth most, one answer ahead."""
        self.weights *= self._likelihood(answer)
        total = self.weights.sum(dim=1, keepdim=True)
        # Answers that none of the raters would give tell nothing: all are as likely as before the first.
        self.weights = torch.where(
            total > 0, self.weights / total.clamp(min=1e-300), 1 / self.weights.shape[1]
        )
        self._previous = answer.position
        chosen = []
        for weights, position in zip(self.weights, answer.position.tolist(), strict=True):
            # Without errors weights are 0 or all the same, so that few differ from listener to listener.
            key = weights.numpy().tobytes() + bytes(f"{position} {left}", "ascii")
            if key not in self._known:
                self._known[key] = self._best(weights, position, left)
            chosen.append(self._known[key])
        return torch.tensor(chosen)

    def _likelihood(self, answer: Answer) -> Tensor:
        """Of the answer by each listener it could be, float64 [B, H]."""
        rating = self.raters.rating[:, answer.position].T  # (B, H)
        likelihood = self._of_rating(rating, answer.rating[:, None])
        if self._previous is not None:
            distance = self.raters.distance
            closer = (distance[:, answer.position] < distance[:, self._previous]).T
            likelihood = likelihood * self._of_closer(closer, answer.closer[:, None])
        return likelihood

    def _of_rating(self, true: Tensor, said: Tensor) -> Tensor:
        same = (true == said).double()
        if not self.errors:
            return same
        up, down = (true + 1).clamp(max=TOP) == said, (true - 1).clamp(min=0) == said
        return (1 - self.errors) * same + self.errors / 2 * (up.double() + down.double())

    def _of_closer(self, true: Tensor, said: Tensor) -> Tensor:
        same = (true == said).double()
        return self.errors + (1 - 2 * self.errors) * same

    def _best(self, weights: Tensor, position: int, left: int) -> int:
        likely = (weights > 1e-9).nonzero()[:, 0]
        w, reward = weights[likely], self.reward[likely].double()  # (K), (K, P)
        expected = w @ reward  # (P)
        if len(likely) == 1 or left == 1:
            return int(expected.argmax())
        rating, distance = self.raters.rating[likely], self.raters.distance[likely]
        closer = distance < distance[:, position, None]  # (K, P)
        if not self.errors:
            after = _best_of_groups(w, reward, (2 * rating + closer))
        else:
            after = torch.zeros_like(expected)
            for said in range(TOP + 1):
                of_rating = self._of_rating(rating, torch.tensor(said)) * w[:, None]
                for is_closer in (False, True):
                    joint = of_rating * self._of_closer(closer, torch.tensor(is_closer))  # (K, P)
                    after += (joint.T @ reward).amax(dim=1)
        return int((expected + (left - 1) * after).argmax())


def _best_of_groups(weights: Tensor, reward: Tensor, group: Tensor) -> Tensor:
    """For each position, the sum over groups of answers of the most that one position earns in that group: float64 [P].

    Args:
      weights: float64 [K].
      reward: float64 [K, P].
      group: int64 [K, P], the answer of each listener to each position, 0 to 9.
    """
    weighed = weights[:, None] * reward
    after = torch.zeros(reward.shape[1], dtype=torch.float64)
    for number in group.unique().tolist():
        after += ((group == number).double().T @ weighed).amax(dim=1)
    return after
