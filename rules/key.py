"""`key`: notes belong to the key."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.rules.rule import rule


@rule("key")
@dataclass(frozen=True)
class InKey:
    """`penalty` for an onset outside the key; rests and holds are always in key.

    Source: RL Tuner's reward_key (Jaques et al. 2017, "stay in key").
    """

    key: str = "C major"
    """Tonic and mode."""
    penalty: float = -1.0
    """Reward of an onset outside the key."""

    def __call__(self, melodies: Melodies) -> Tensor:
        return is_out_of_key(melodies, Key.parse(self.key)).float() * self.penalty


def is_out_of_key(melodies: Melodies, key: Key) -> Tensor:
    """bool [B, T]: an onset whose pitch class is not in the key."""
    in_key = torch.zeros(12, dtype=torch.bool, device=melodies.events.device)
    in_key[sorted(key.pitch_classes)] = True
    return melodies.is_onset & ~in_key[melodies.pitch % 12]
