"""`phrase_end`: eight bars come to rest in their last one."""

from dataclasses import dataclass

from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.bars import PHRASE
from rltuner.rules.grid import count_in_bar, ends_bar, steps
from rltuner.rules.rule import rule


@rule("phrase_end")
@dataclass(frozen=True)
class PhraseEnd:
    """At the end of each eight bars, `reward` where the last has fewer onsets than the bars so far have on average.

    Source: Temperley, The Cognition of Basic Musical Structures (2001), on phrases that end with a longer note.
    """

    reward: float = 1.0
    """Reward of the last event of such a bar."""

    def __call__(self, melodies: Melodies) -> Tensor:
        size = melodies.meter.steps_per_bar
        bar = steps(melodies) // size + 1
        own, all_so_far = count_in_bar(melodies.is_onset, melodies), melodies.is_onset.long().cumsum(dim=1)
        rests = ends_bar(melodies) & (bar % (2 * PHRASE) == 0) & (own * bar < all_so_far)
        return rests.float() * self.reward
