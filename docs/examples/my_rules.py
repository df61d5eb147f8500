"""Two rules of my own, to be copied and changed: one for whole batches, one for a single melody.

rltuner rules check docs/examples/my_rules.py
rltuner rules explain song.mid --rules docs/examples/my_rules.py
rltuner finetune --algo psi --rules docs/examples/my_rules.py
"""

from dataclasses import dataclass

from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules import melody_rule, rule


@rule("stay_low")
@dataclass(frozen=True)
class StayLow:
    """`penalty` for an onset above `highest`."""

    highest: int = 72
    """MIDI pitch."""
    penalty: float = -1.0
    """Reward of such an onset."""

    def __call__(self, melodies: Melodies) -> Tensor:
        return (melodies.pitch > self.highest).float() * self.penalty


@melody_rule("no_zigzag")
def no_zigzag(events: list[int]) -> list[float]:
    """-0.5 for an onset that goes straight back to the pitch before the last one."""
    rewards: list[float] = []
    onsets: list[int] = []
    for event in events:  # 0 a rest, 1 a hold, from 2 on an onset
        goes_back = event >= 2 and len(onsets) > 1 and onsets[-2] == event
        rewards.append(-0.5 if goes_back else 0.0)
        if event >= 2:
            onsets.append(event)
    return rewards


# Without BOOK the file's rules count alone, each with weight 1. With it they join others.
BOOK = {
    "description": "Gauldin's rules, low and without zigzag",
    "extends": "gauldin",
    "rules": {"stay_low": {"weight": 0.5}, "no_zigzag": {}},
}
