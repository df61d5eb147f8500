"""`phrase_return`: phrases of four bars come back, as in AABA and AABB."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.bars import PHRASE, by_bar
from rltuner.rules.rule import rule


@rule("phrase_return")
@dataclass(frozen=True)
class PhraseReturn:
    """At the end of the third bar of a phrase of four, `reward` where its bars are those of an earlier phrase.

    The fourth bar is free: phrases that begin alike close in different ways. A phrase whose first bar has no onset comes
    back as nothing.

    Source: Caplin, Classical Form (1998), on small ternary and binary forms.
    """

    reward: float = 1.0
    """Reward of a phrase that comes back."""

    def __call__(self, melodies: Melodies) -> Tensor:
        rewards = torch.zeros(melodies.events.shape, device=melodies.events.device)
        size = melodies.meter.steps_per_bar
        bars = by_bar(melodies, melodies.events)
        sounds = by_bar(melodies, melodies.is_onset).any(dim=2)
        for first in range(PHRASE, bars.shape[1] - PHRASE + 2, PHRASE):
            phrase = bars[:, first : first + PHRASE - 1]
            earlier = [
                (phrase == bars[:, other : other + PHRASE - 1]).flatten(1).all(dim=1)
                for other in range(0, first, PHRASE)
            ]
            comes_back = torch.stack(earlier).any(dim=0) & sounds[:, first]
            rewards[:, (first + PHRASE - 1) * size - 1] = comes_back * self.reward
        return torch.where(melodies.valid, rewards, 0.0)
