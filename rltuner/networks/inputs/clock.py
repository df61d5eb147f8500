"""Where in its bar a step stands, in factors, so that a metre that was never heard means something."""

from __future__ import annotations

from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody import Meter

LONGEST_BEAT = 7  # sixteenths; longer ones are halved until they fit
MOST_BEATS = 3  # since the bar line and to the next one; more count as so many


def beat_of(meter: Meter) -> int:
    """The beat of a metre in sixteenths, halved until the clock has rows for it: 2/2 is told as 4/4.

    InputError where it cannot be halved.
    """
    beat = meter.steps_per_beat
    while beat > LONGEST_BEAT and beat % 2 == 0:
        beat //= 2
    if beat > LONGEST_BEAT:
        raise InputError(
            f"metre {meter}: its beats of {meter.steps_per_beat} sixteenths are longer than the network's clock can tell "
            f"({LONGEST_BEAT}, or an even multiple); write it with shorter beats"
        )
    return beat


def clock(steps: Tensor, meter: Meter) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of steps: the place in the beat by the beat's length, whether it is odd, beats since the bar line and to the next.

    The first counts the places of all beats of 1, 2, .. sixteenths one after the other; the last two end at MOST_BEATS.
    """
    beat = beat_of(meter)
    place = steps % meter.steps_per_bar
    in_beat, number = place % beat, place // beat
    after = meter.steps_per_bar // beat - 1 - number
    return (
        beat * (beat - 1) // 2 + in_beat,
        in_beat % 2,
        number.clamp(max=MOST_BEATS),
        after.clamp(max=MOST_BEATS),
    )
