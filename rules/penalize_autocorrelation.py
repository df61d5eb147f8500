"""`penalize_autocorrelation`: the melody so far does not resemble itself a step or three later."""

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn.functional import pad

from rltuner.melody import Melodies
from rltuner.rules.rule import rule

LAGS = (1, 2, 3)  # steps
RESOLUTION = 1_000_000  # the threshold is rounded to one part in a million


@rule("penalize_autocorrelation")
@dataclass(frozen=True)
class PenalizeAutocorrelation:
    """At every event, -`scale` x |r| for each lag of 1, 2 and 3 steps whose |r| exceeds `threshold`.

    r is the autocorrelation of the class numbers x_0..x_t of the melody so far (see `autocorrelation`). The
    comparison with the threshold is made in whole numbers, so no rounding decides it.

    Source: RL Tuner's reward_penalize_autocorrelation (which says beats and means steps).
    """

    scale: float = 3.0
    """Reward lost per unit of autocorrelation."""
    threshold: float = 0.15
    """Autocorrelations up to this size cost nothing; resolved to 1e-6."""

    def __call__(self, melodies: Melodies) -> Tensor:
        total = torch.zeros(melodies.events.shape, dtype=torch.float64, device=melodies.events.device)
        threshold = Fraction(round(self.threshold * RESOLUTION), RESOLUTION)
        for lag in LAGS:
            numerator, denominator = autocorrelation(melodies.events, lag)
            exceeds = numerator.abs() * threshold.denominator > denominator * threshold.numerator
            total += torch.where(exceeds, numerator.abs() / denominator.clamp(min=1), 0.0)
        return torch.where(melodies.valid, -self.scale * total, 0.0).float()


def autocorrelation(events: Tensor, lag: int) -> tuple[Tensor, Tensor]:
    """Autocorrelation of every prefix of the class numbers, as a fraction of exact integers.

    With n events and mean m: r = sum_i (x_i - m)(x_{i+lag} - m) / (n var x), sums over what exists. Multiplied by
    n^2 both parts are whole numbers, sums of prefix sums.

    Args:
      events: int64 [B, T], classes.
      lag: steps, at least 1.

    Returns:
      numerator, denominator: int64 [B, T]; r of the prefix ending at t is their quotient. The denominator is 0 where
      the prefix is constant (r is undefined), and the numerator is 0 where n <= lag.
    """
    steps = events.shape[1]
    n = torch.arange(1, steps + 1, device=events.device)
    total = events.cumsum(dim=1)  # sum of x_0..x_t
    squares = (events * events).cumsum(dim=1)
    products = pad((events[:, lag:] * events[:, : max(steps - lag, 0)]).cumsum(dim=1), (min(lag, steps), 0))
    earlier = pad(total[:, : max(steps - lag, 0)], (min(lag, steps), 0))  # sum of x_0..x_{t-lag}
    later = total - total[:, min(lag, steps) - 1 : min(lag, steps)] if steps else total  # x_lag..x_t
    numerator = n * n * products - n * total * (earlier + later) + (n - lag) * total * total
    numerator = torch.where(n > lag, numerator, 0)
    denominator = n * (n * squares - total * total)
    return numerator, denominator
