"""`high_low_unique`: the highest and the lowest note come once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.grid import is_last
from rltuner.rules.rule import rule


@rule("high_low_unique")
@dataclass(frozen=True)
class HighLowUnique:
    """At the last event, `reward` for a unique highest event and again for a unique lowest note.

    Source: RL Tuner's reward_high_low_unique.
    """

    reward: float = 3.0
    """Reward for each of the two."""

    def __call__(self, melodies: Melodies) -> Tensor:
        earned = has_unique_highest(melodies).float() + has_unique_lowest(melodies).float()
        return is_last(melodies) * (self.reward * earned)[:, None]

    def as_earned(self, melodies: Melodies) -> Tensor:
        """The same return redistributed, float32 [B, T]: an event earns what it changes of the reward that the melody
        would get if it ended there."""
        if not melodies.events.numel():
            return torch.zeros(melodies.events.shape)
        low = torch.where(
            melodies.is_onset, melodies.vocabulary.size - melodies.events, 0
        )  # 0 where there is no onset
        unique = _is_once_so_far(melodies.events).float() + (
            _is_once_so_far(low) & (low.cummax(1).values > 0)
        )
        change = unique - torch.nn.functional.pad(unique[:, :-1], (1, 0))
        return torch.where(melodies.valid, self.reward * change, 0.0)


def has_unique_highest(melodies: Melodies) -> Tensor:
    """bool [B]: the largest class number occurs once. False for an empty melody.

    All classes count, as in the reference, so that one hold among rests is a unique highest event.
    """
    return _occurs_once(torch.where(melodies.valid, melodies.events, -1), melodies.valid, highest=True)


def has_unique_lowest(melodies: Melodies) -> Tensor:
    """bool [B]: the lowest pitch has one onset. False for a melody without onsets."""
    above_all = melodies.vocabulary.size
    return _occurs_once(
        torch.where(melodies.is_onset, melodies.events, above_all), melodies.is_onset, highest=False
    )


def _is_once_so_far(values: Tensor) -> Tensor:
    """bool [B, T]: the largest of the values 0..t occurs once among them."""
    largest = values.cummax(dim=1).values
    rises = values > torch.nn.functional.pad(largest[:, :-1], (1, 0), value=-1)
    count = (values == largest).long().cumsum(dim=1)
    before = torch.where(rises, count - 1, 0).cummax(dim=1).values
    return count - before == 1


def _occurs_once(classes: Tensor, counted: Tensor, highest: bool) -> Tensor:
    """bool [B]: the highest, or lowest, of each melody's classes [B, T] occurs once among the counted places [B, T]."""
    if not classes.shape[1]:
        return counted.any(dim=1)
    extreme = classes.amax(dim=1) if highest else classes.amin(dim=1)
    return ((classes == extreme[:, None]) & counted).sum(dim=1) == 1
