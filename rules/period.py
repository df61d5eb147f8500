"""`period`: the second half of eight bars answers the first."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.rules.bars import PHRASE, shapes
from rltuner.rules.rule import rule


@rule("period")
@dataclass(frozen=True)
class Period:
    """At the end of bars 5 and 6 of each eight, `reward` where they answer bars 1 and 2.

    An answer has the rhythm and the contour, in degrees of the key's scale; on the same degree or another. Bar 6 counts
    where bar 5 answered too. An empty or held bar answers nothing.

    Source: Caplin, Classical Form (1998), on antecedent and consequent: the consequent begins as the antecedent did.
    """

    key: str = "C major"
    """Tonic and mode; gives the scale whose degrees are counted."""
    reward: float = 1.0
    """Reward of a bar that answers."""

    def __call__(self, melodies: Melodies) -> Tensor:
        rewards = torch.zeros(melodies.events.shape, device=melodies.events.device)
        size = melodies.meter.steps_per_bar
        count = melodies.events.shape[1] // size
        if count <= PHRASE or not len(melodies):
            return rewards
        bars = shapes(melodies, Key.parse(self.key), size)
        for first in range(PHRASE, count, 2 * PHRASE):
            answers = torch.ones(len(melodies), dtype=torch.bool, device=rewards.device)
            for bar in range(first, min(first + 2, count)):
                answers = answers & bars.alike(bar, bar - PHRASE) & (bars.onsets[:, bar] > 0)
                rewards[:, (bar + 1) * size - 1] = answers * self.reward
        return torch.where(melodies.valid, rewards, 0.0)
