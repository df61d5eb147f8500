"""Bars as they are written, with the sounds in them.

A sound is (length in steps, MIDI pitch or REST, tied to the next). Lengths are exact; onsets and ends are rounded to the
grid of sixteenths by `encoding`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

REST = -1

Sound = tuple[Fraction, int, bool]
Signature = tuple[int, int]


class UnusableError(Exception):
    """The tune is read, but a rule drops it; the message is the reason that is counted."""


@dataclass
class Bar:
    """What stands between two bar lines."""

    sounds: list[Sound] = field(default_factory=list)
    begins_repeat: bool = False
    """A repeat start before it."""
    endings: tuple[int, ...] = ()
    """The numbers of the ending that starts with it; () for none."""
    ends_repeat: bool = False
    """A repeat end after it."""
    ends_section: bool = False
    """A double bar line or a repeat sign after it."""
    times: int = 2
    """How often what its repeat end repeats is played in all."""
    jump: str = ""
    """"D.C." or "D.S." after it."""
    is_segno: bool = False
    is_fine: bool = False
    to_coda: bool = False
    is_coda: bool = False
    signature: Signature | None = None
    """The time signature that holds in it; None where there is none."""
    is_pickup: bool = False
    """The file itself says that it is no whole bar."""
    number: int = 0
    """As a person counts: a pickup is bar 0, the first full bar is 1."""
    line: int = 0
    """Line of the file that it begins in, from 1; 0 where lines mean nothing."""

    @property
    def length(self) -> Fraction:
        """Sum of the lengths of its sounds, in steps, exact."""
        return sum((sound[0] for sound in self.sounds), Fraction(0))

    @property
    def size(self) -> Fraction:
        """Steps that its time signature gives it; 0 without one."""
        return size_of(self.signature)


@dataclass
class Draft:
    """A tune as a reader gives it: its bars as written, before repeats, metre, grid and transposition."""

    source: str
    title: str
    bars: list[Bar] = field(default_factory=list)
    sharps: int = 0
    """Of the key signature; negative for flats."""
    key: str = ""
    """As written; "" where it is unknown."""
    is_key_written: bool = True
    lengths: dict[int, float] = field(default_factory=dict)
    """Without a written key: how long each MIDI pitch sounds, in any unit, from which a corpus estimates one."""
    credit: str = ""
    unusable: str = ""
    """Why a corpus drops it, where the reader knows."""
    rhythm: str = ""
    """The kind of tune that it says it is."""
    remarks: list[str] = field(default_factory=list)
    """What a person should know of how it was read, a sentence each."""
    rounded: int | None = None
    """Onsets that lay beside the grid, where the reader has moved them already."""
    is_open: bool = False
    """It ends with its last note, since its format has no bar line after it."""
    name: str = ""
    """Of the track, part or voice."""


def size_of(signature: Signature | None) -> Fraction:
    """Steps of a bar in a time signature; 0 for None or a signature that means nothing."""
    if signature is None or signature[0] < 1 or signature[1] < 1:
        return Fraction(0)
    return Fraction(16 * signature[0], signature[1])
