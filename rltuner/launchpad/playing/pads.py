"""The protocol of Novation's Launchpad X, Mini MK3 and Pro MK3 in programmer mode: what is sent to them, what they send.

In programmer mode pads are numbered by row and column: 11 is the lower left, 88 the upper right of the 8 by 8; 91 to 98
are the buttons above, 19 to 89 those to the right. Pads send notes, buttons control changes. Lights are set by one system
exclusive message of (3, number, red, green, blue) each, colours from 0 to 127.

Source: Novation, Programmer's reference manuals of the Launchpad X, Launchpad Mini [MK3] and Launchpad Pro [MK3],
2019 to 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SIZE = 8
NOVATION = (0x00, 0x20, 0x29, 0x02)
MODELS = {
    "Launchpad X": 0x0C,
    "LPX": 0x0C,
    "Mini MK3": 0x0D,
    "LPMiniMK3": 0x0D,
    "Pro MK3": 0x0E,
    "LPProMK3": 0x0E,
}
"""Number of the model, by a part of its port's name."""
LIGHT, MODE = 0x03, 0x0E
LIVE, PROGRAMMER = 0, 1
RGB = 3  # a light's kind: three numbers follow
MOST_LIGHTS = 81  # in one message
UP, DOWN, UNDO, CLEAR, PLAY, POLICY = 91, 92, 95, 96, 97, 98  # the buttons that are used

Colour = tuple[int, int, int]


def model_of(port: str) -> int | None:
    """The model by the name of its port; None where it is none that is known."""
    return next((number for part, number in MODELS.items() if part.lower() in port.lower()), None)


def mode(model: int, which: int) -> tuple[int, ...]:
    """The system exclusive message, without F0 and F7, that chooses live (0) or programmer (1) mode."""
    return (*NOVATION, model, MODE, which)


def lights(model: int, colours: Mapping[int, Colour]) -> tuple[int, ...]:
    """The message, without F0 and F7, that sets lights by their numbers. ValueError for more than 81, or beyond 127."""
    if len(colours) > MOST_LIGHTS or any(
        not 0 <= part <= 127 for colour in colours.values() for part in colour
    ):
        raise ValueError("at most 81 lights, of colours 0 to 127")
    body = [part for number, colour in colours.items() for part in (RGB, number, *colour)]
    return (*NOVATION, model, LIGHT, *body)


@dataclass(frozen=True)
class Pressed:
    """A pad or button that was pressed."""

    kind: Literal["pad", "button"]
    row: int
    """0 to 7 from below, of a pad."""
    column: int
    """0 to 7 from the left, of a pad."""
    number: int


def pressed(status: int, number: int, value: int) -> Pressed | None:
    """What a message of three bytes means; None for a release and for everything else."""
    row, column = number // 10 - 1, number % 10 - 1
    if value == 0 or not 0 <= row <= SIZE or not 0 <= column <= SIZE:
        return None
    if status & 0xF0 == 0x90 and row < SIZE and column < SIZE:
        return Pressed("pad", row, column, number)
    if status & 0xF0 == 0xB0 and (row == SIZE or column == SIZE):
        return Pressed("button", row, column, number)
    return None


def pad(row: int, column: int) -> int:
    """The number of a pad, by its row from below and column from the left."""
    return 10 * (row + 1) + column + 1
