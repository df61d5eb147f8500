"""`preferred_intervals`: steps, thirds and fourths rather than wide or harsh intervals."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import NO_EVENT, NOTE_OFF, Melodies
from rltuner.melody.key import Key
from rltuner.rules.rule import rule

SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH, OCTAVE = 2, 4, 5, 7, 9, 11, 12  # semitones

# Reward of an interval by its size in semitones, before scaling; sizes that are not named earn nothing.
INTERVAL_REWARDS = {SECOND: 0.08, THIRD: 0.09, FOURTH: 0.07, FIFTH: 0.02, SIXTH: 0.05, SEVENTH: -0.3}
BEYOND_OCTAVE = -1.0
THIRD_IN_KEY, FIFTH_IN_KEY = 0.15, 0.1
REST, HOLD = 0.05, 0.075
REST_AFTER_TONIC_OR_FIFTH, HOLD_AFTER_TONIC_OR_FIFTH = 0.15, 0.3


@rule("preferred_intervals")
@dataclass(frozen=True)
class PreferredIntervals:
    """`scale` times the reward of the interval from the last onset, across rests and holds; 0 if there is none.

    Major seconds, thirds, fourths, fifths and sixths earn something, major sevenths and more than an octave lose;
    minor intervals, the tritone, the unison and the octave are neutral. A third *from* the tonic or third degree and
    a fifth *from* the tonic or fifth degree, in either direction, earn more: only the earlier note decides. Rests and
    holds earn a little, more after the tonic or the fifth degree.

    Source: RL Tuner's reward_preferred_intervals and detect_sequential_interval.
    """

    key: str = "C major"
    """Tonic and mode."""
    scale: float = 5.0
    """Multiplies every reward."""

    def __call__(self, melodies: Melodies) -> Tensor:
        events, previous = melodies.events, melodies.previous_pitch
        degree = (previous - Key.parse(self.key).tonic) % 12
        after_tonic, after_third, after_fifth = (degree == d for d in (0, THIRD, FIFTH))
        size = melodies.interval.abs()
        table = torch.full((128,), BEYOND_OCTAVE, device=events.device)
        table[: OCTAVE + 1] = 0.0
        for semitones, value in INTERVAL_REWARDS.items():
            table[semitones] = value
        reward = table[size]
        reward = torch.where((size == THIRD) & (after_tonic | after_third), THIRD_IN_KEY, reward)
        reward = torch.where((size == FIFTH) & (after_tonic | after_fifth), FIFTH_IN_KEY, reward)
        stable = after_tonic | after_fifth
        hold = torch.where(stable, HOLD_AFTER_TONIC_OR_FIFTH, HOLD)
        rest = torch.where(stable, REST_AFTER_TONIC_OR_FIFTH, REST)
        reward = torch.where(events == NO_EVENT, hold, reward)
        reward = torch.where(events == NOTE_OFF, rest, reward)
        return torch.where((previous >= 0) & melodies.valid, self.scale * reward, 0.0)
