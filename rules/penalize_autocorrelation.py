"""`penalize_autocorrelation`: the melody so far does not resemble itself a step or three later."""

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

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
        threshold = Fraction(round(self.threshold * RESOLUTION), RESOLUTION)
        # Whole numbers below 2^53 are exact as float64, whose products are three times as fast as those of int64.
        largest = melodies.events.shape[1] ** 3 * melodies.vocabulary.size**2 * threshold.denominator
        events = melodies.events.double() if largest < 2**53 else melodies.events
        total = torch.zeros(melodies.events.shape, dtype=torch.float64, device=melodies.events.device)
        for lag in LAGS:
            numerator, denominator = autocorrelation(events, lag)
            size = numerator.abs_()
            exceeds = size * threshold.denominator > denominator * threshold.numerator
            total += (size / denominator.clamp_(min=1)).mul_(exceeds)
        return (total.mul_(melodies.valid).mul_(-self.scale)).float()


def autocorrelation(events: Tensor, lag: int) -> tuple[Tensor, Tensor]:
    """Autocorrelation of every prefix of the class numbers, as a fraction of exact integers.

    With n events and mean m: r = sum_i (x_i - m)(x_{i+lag} - m) / (n var x), sums over what exists. Multiplied by
    n^2 both parts are whole numbers, sums of prefix sums.

    Args:
      events: [B, T], classes, as int64, or as float64 where n^3 V^2 < 2^53.
      lag: steps, at least 1.

    Returns:
      numerator, denominator: [B, T], in the events' dtype; r of the prefix ending at t is their quotient. The denominator
      is 0 where the prefix is constant (r is undefined), and the numerator is 0 where n <= lag.
    """
    steps = events.shape[1]
    n = torch.arange(1, steps + 1, device=events.device).to(events.dtype)
    total = events.cumsum(dim=1)  # sum of x_0..x_t
    # In place from here on: touching fresh memory takes longer than the sums.
    denominator = (events * events).cumsum(dim=1).mul_(n).sub_(total * total).mul_(n)
    numerator = torch.zeros_like(events)
    if steps > lag:
        n, now, earlier = n[lag:], total[:, lag:], total[:, :-lag]  # earlier: sum of x_0..x_{t-lag}
        later = now - total[:, lag - 1 : lag]  # x_lag..x_t
        part = numerator[:, lag:]  # n (n sum x_i x_{i+lag} - now (earlier + later)) + (n - lag) now^2
        torch.mul(events[:, lag:], events[:, :-lag], out=part)
        part.cumsum_(dim=1).mul_(n).sub_(later.add_(earlier).mul_(now)).mul_(n)
        part.add_(torch.mul(now, now, out=later).mul_(n - lag))
    return numerator, denominator
