"""`motif_return`: ideas come back, as they were or on another degree."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.rules.bars import shapes
from rltuner.rules.rule import rule

FEWEST_ONSETS = 3


@rule("motif_return")
@dataclass(frozen=True)
class MotifReturn:
    """At the end of a motif, `exact` where it was played before, `transposed` where it was on another degree.

    A melody is divided into motifs of half a bar (a whole bar where half of it is no whole number of beats). Two are
    alike where rhythm and contour agree, the contour in degrees of the key's scale, so that C D E and D E F are one
    motif. They have at least three onsets, and two pitches. From the third time on a motif earns nothing: an idea that
    comes back is form, one that never leaves is not.

    Source: Gauldin 1995, on motivic unity and sequence; RL Tuner's reward_repeated_motif knows exact repetition only.
    """

    key: str = "C major"
    """Tonic and mode; gives the scale whose degrees are counted."""
    exact: float = 1.0
    """Reward of a motif that comes back as it was."""
    transposed: float = 1.0
    """Reward of a motif that comes back on another degree."""
    times: int = 2
    """A motif counts until it has been played so often; at least 2."""

    def __post_init__(self) -> None:
        if self.times < 2:
            raise InputError(f"times = {self.times}: a motif comes back the second time it is played")

    def __call__(self, melodies: Melodies) -> Tensor:
        rewards = torch.zeros(melodies.events.shape, device=melodies.events.device)
        size = motif_steps(melodies)
        count = melodies.events.shape[1] // size
        if not count or not len(melodies):
            return rewards
        motifs = shapes(melodies, Key.parse(self.key), size)
        is_motif = (motifs.onsets >= FEWEST_ONSETS) & motifs.moves
        shape, base = motifs.shape, motifs.degree
        for index in range(1, count):
            alike = (shape[:, :index] == shape[:, index : index + 1]).all(dim=2)  # (B, index)
            same = alike & (base[:, :index] == base[:, index : index + 1])
            times = alike.sum(dim=1)  # played before
            counts = is_motif[:, index] & (times > 0) & (times < self.times)
            reward = torch.where(same.any(dim=1), self.exact, self.transposed)
            rewards[:, (index + 1) * size - 1] = torch.where(counts, reward, 0.0)
        return torch.where(melodies.valid, rewards, 0.0)


def motif_steps(melodies: Melodies) -> int:
    """Steps of a motif: half a bar where that is a whole number of beats, else a bar."""
    bar, beat = melodies.meter.steps_per_bar, melodies.meter.steps_per_beat
    return bar // 2 if bar % (2 * beat) == 0 else bar
