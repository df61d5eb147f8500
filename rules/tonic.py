"""`tonic`: the melody starts on the tonic and ends on a held tonic."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import NO_EVENT, NOTE_OFF, Melodies
from rltuner.melody.key import Key
from rltuner.rules.rule import rule


@rule("tonic")
@dataclass(frozen=True)
class Tonic:
    """`reward` for the tonic at the first event and at the start of the last `final_steps` events.

    The event after the latter earns it as a hold, those that follow as a hold or a rest: a final long note.
    The tonic is one pitch (MIDI 60 in C), not its octaves. Final events that coincide with the first one (a melody
    no longer than `final_steps`) are judged as the first.

    Source: RL Tuner's reward_tonic, which calls the last four of 32 steps the final bar.
    """

    key: str = "C major"
    """Tonic and mode."""
    reward: float = 3.0
    """Reward of each such event."""
    final_steps: int = 4
    """Length of the final note and the rest after it, in steps."""

    def __call__(self, melodies: Melodies) -> Tensor:
        events = melodies.events
        steps = torch.arange(events.shape[1], device=events.device)
        after = steps - (melodies.lengths[:, None] - self.final_steps)  # 0 where the final note should start
        is_tonic = melodies.pitch == Key.parse(self.key).tonic_pitch
        earned = is_tonic & (after == 0)
        earned |= (events == NO_EVENT) & (after == 1)
        earned |= ((events == NO_EVENT) | (events == NOTE_OFF)) & (after > 1)
        earned = torch.where(steps == 0, is_tonic, earned)
        return (earned & melodies.valid).float() * self.reward
