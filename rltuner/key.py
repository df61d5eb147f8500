"""Keys: a tonic and the pitch classes of its scale.

A key is written as music21 and musicians write it: "C major", "a minor" (natural), "D dorian", "F# mixolydian",
"B- lydian" or "Bb lydian". Pitch classes are semitones above C (C = 0 ... B = 11).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from rltuner.errors import InputError

# Semitones above the tonic; the church modes are rotations of the major scale.
MODES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "ionian": (0, 2, 4, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
}
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "b": -1, "-": -1}
LOWEST_TONIC = 55  # the tonic's MIDI pitch lies in 55 to 66, so that C is middle C


@dataclass(frozen=True)
class Key:
    """A tonic pitch class (0 to 11) and a mode, one of `MODES`."""

    tonic: int
    mode: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """The key that `text` names; InputError (with the nearest mode) where it names none."""
        words = text.split()
        tonic = words[0][:1].upper() if words else ""
        accidental = words[0][1:] if words else ""
        mode = words[1].lower() if len(words) == 2 else ""
        if len(words) != 2 or tonic not in _NATURALS or accidental not in _ACCIDENTALS:
            raise InputError(f"key {text!r}: write a tonic and a mode, such as 'C major' or 'F# minor'")
        if mode not in MODES:
            near = difflib.get_close_matches(mode, MODES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(MODES)}"
            raise InputError(f"key {text!r}: unknown mode {mode!r}; {hint}")
        return cls((_NATURALS[tonic] + _ACCIDENTALS[accidental]) % 12, mode, f"{tonic}{accidental} {mode}")

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The seven pitch classes of the scale."""
        return frozenset((self.tonic + step) % 12 for step in MODES[self.mode])

    @property
    def tonic_pitch(self) -> int:
        """MIDI pitch of the tonic on which a melody starts and ends, in 55 to 66 (C: 60)."""
        return LOWEST_TONIC + (self.tonic - LOWEST_TONIC) % 12

    def __str__(self) -> str:
        return self.name
