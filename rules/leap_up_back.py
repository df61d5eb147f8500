"""`leap_up_back`: a leap is answered, not followed by another in the same direction."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.preferred_intervals import FIFTH
from rltuner.rules.rule import rule

RESOLVED, DOUBLED = 1, -1


@rule("leap_up_back")
@dataclass(frozen=True)
class LeapUpBack:
    """`resolved` where a leap is resolved, `doubled` where a second leap follows in the same direction.

    Source: RL Tuner's reward_leap_up_back (Gauldin 1995: "leap up, leap back").
    """

    resolved: float = 5.0
    """Reward of the event that resolves a leap."""
    doubled: float = -5.0
    """Reward of a second leap in the same direction."""
    wait: int = 6
    """A leap back counts as a resolution only where more than this many steps lie between."""

    def __call__(self, melodies: Melodies) -> Tensor:
        outcome = leap_outcomes(melodies, self.wait)
        reward = torch.where(outcome == RESOLVED, self.resolved, 0.0)
        return torch.where(outcome == DOUBLED, self.doubled, reward)


def leap_outcomes(melodies: Melodies, wait: int = 6) -> Tensor:
    """int8 [B, T]: 1 where a leap is resolved, -1 where a leap is doubled, 0 elsewhere.

    A leap is an interval of a fifth or more. It stays open, with its direction and the pitch it left, until

    * an onset reaches the pitch it left, or goes beyond, without leaping: resolved;
    * a leap back in the other direction closes it: resolved where more than `wait` events lie between, else nothing.

    A second leap in the same direction is doubled; the first one stays open, its count of events starts again.

    Source: RL Tuner's detect_leap_up_back. Time passes event by event, so this is the one rule with a loop over T.
    """
    batch, time = melodies.events.shape
    pitch, interval = (x.T.to(torch.int16).contiguous() for x in (melodies.pitch, melodies.interval))
    leap = interval.abs() >= FIFTH
    leap_direction = interval.sign() * leap
    steps_on = melodies.is_onset.T & ~leap
    origin = pitch - interval
    # What is open before each event: the leap's direction, 0 where none is, and the pitch it left.
    open_direction = torch.zeros(time + 1, batch, dtype=torch.int16, device=pitch.device)
    left_pitch = torch.zeros_like(open_direction)
    for t in range(time):
        direction, left = open_direction[t], left_pitch[t]
        is_closed = direction == 0
        returns = steps_on[t] & ((pitch[t] - left) * direction <= 0)
        stays = ~(returns | (leap_direction[t] * direction < 0))
        torch.where(is_closed, leap_direction[t], direction * stays, out=open_direction[t + 1])
        torch.where(is_closed, origin[t], left, out=left_pitch[t + 1])
    direction, left = open_direction[:-1], left_pitch[:-1]
    # (pitch - left) changes sign, or is zero, once the melody is back where the leap began
    returned = (direction != 0) & steps_on & ((pitch - left) * direction <= 0)
    steps = torch.arange(time, dtype=torch.int32, device=pitch.device)[:, None]
    last_leap = torch.nn.functional.pad(
        (steps * leap).cummax(dim=0).values[:-1], (0, 0, 1, 0)
    )  # 0 at the start
    back = (leap_direction * direction < 0) & (steps - 1 - last_leap > wait)
    outcome = (returned | back).to(torch.int8) - (leap_direction * direction > 0).to(torch.int8)
    return outcome.T.contiguous()
