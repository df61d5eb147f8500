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
    outcome = torch.zeros(melodies.events.shape, dtype=torch.int8, device=melodies.events.device)
    batch, time = outcome.shape
    onset = melodies.is_onset.T.contiguous()
    pitch, interval = (x.T.to(torch.int16).contiguous() for x in (melodies.pitch, melodies.interval))
    direction = interval.sign()
    leaps = interval.abs() >= FIFTH
    open_direction = torch.zeros(batch, dtype=torch.int16, device=outcome.device)
    left_pitch = torch.zeros_like(open_direction)
    last_leap = torch.zeros(
        batch, dtype=torch.int64, device=outcome.device
    )  # step of the last leap, 0 at the start
    for t in range(1, time):
        leap, is_open = leaps[t], open_direction != 0
        back = leap & is_open & (direction[t] != open_direction)
        double = leap & is_open & ~back
        # (pitch - left) changes sign, or is zero, once the melody is back where the leap began
        returned = is_open & ~leap & onset[t] & ((pitch[t] - left_pitch) * open_direction <= 0)
        resolved = returned | (back & (t - 1 - last_leap > wait))
        outcome[:, t] = resolved.to(torch.int8) - double.to(torch.int8)
        opens = leap & ~is_open
        left_pitch = torch.where(opens, pitch[t] - interval[t], left_pitch)
        open_direction = torch.where(opens, direction[t], torch.where(back | returned, 0, open_direction))
        last_leap = torch.where(leap, t, last_leap)
    return outcome
