"""Keys: a tonic and the pitch classes of its scale.

A key is written as musicians and music21 write it: "C major", "a minor" (natural), "A harmonic minor", "D dorian",
"F# mixolydian", "B- lydian" or "Bb lydian". Any other scale is a tonic and its semitones above it: "A 0 3 5 6 7 10" is
the blues scale on A. Pitch classes are semitones above C (C = 0 ... B = 11).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from itertools import pairwise

from rltuner.errors import InputError

# Semitones above the tonic. The church modes are rotations of the major scale; a hypo mode has the notes and the final
# of its mode, and lies lower. Melodic minor has the sixth and seventh degrees of both its forms, rising and falling.
_CHURCH_MODES: dict[str, tuple[int, ...]] = {
    "ionian": (0, 2, 4, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
}
MODES: dict[str, tuple[int, ...]] = {
    "major": _CHURCH_MODES["ionian"],
    "minor": _CHURCH_MODES["aeolian"],
    "natural minor": _CHURCH_MODES["aeolian"],
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic minor": (0, 2, 3, 5, 7, 8, 9, 10, 11),
    **_CHURCH_MODES,
    **{f"hypo{name}": steps for name, steps in _CHURCH_MODES.items() if name != "ionian"},
}
# Sharps in each mode's key signature minus those of the major key on the same tonic. Common modes come first: of modes
# that are equally near to a scale, `Key.sharps` takes the first.
_BRIGHTNESS = {
    "ionian": 0,
    "aeolian": -3,
    "dorian": -2,
    "mixolydian": -1,
    "lydian": 1,
    "phrygian": -4,
    "locrian": -5,
}
_FIFTHS = "FCGDAEB"
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
LOWEST_TONIC = 55  # the tonic's MIDI pitch lies in 55 to 66, so that C is middle C


@dataclass(frozen=True)
class Key:
    """A tonic pitch class (0 to 11) and the semitones of the scale's degrees above it, ascending from 0."""

    tonic: int
    degrees: tuple[int, ...]
    name: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """The key that `text` names; InputError (with the nearest mode) where it names none."""
        words = text.split()
        tonic = words[0][:1].upper() if words else ""
        accidental = words[0][1:] if words else ""
        flats, sharps = accidental.count("b") + accidental.count("-"), accidental.count("#")
        known = tonic in _NATURALS and len(accidental) in (flats, sharps) and len(accidental) <= 2
        if len(words) < 2 or not known:
            raise InputError(
                f"key {text!r}: write a tonic and a mode, such as 'C major' or 'F# minor', or a tonic and semitones, "
                "such as 'A 0 3 5 7 10'"
            )
        mode = " ".join(words[1:]).lower()
        if mode[0].isdigit():
            degrees = _custom_degrees(text, mode)
        elif mode in MODES:
            degrees = MODES[mode]
        else:
            near = difflib.get_close_matches(mode, MODES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(MODES)}"
            raise InputError(f"key {text!r}: unknown mode {mode!r}; {hint}")
        return cls((_NATURALS[tonic] + sharps - flats) % 12, degrees, f"{tonic}{accidental} {mode}")

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The pitch classes of the scale."""
        return frozenset((self.tonic + step) % 12 for step in self.degrees)

    @property
    def tonic_pitch(self) -> int:
        """MIDI pitch of the tonic on which a melody starts and ends, in 55 to 66 (C: 60)."""
        return LOWEST_TONIC + (self.tonic - LOWEST_TONIC) % 12

    @property
    def sharps(self) -> int:
        """Sharps of the key signature, -7 to 7; flats are negative. A minor has none, and neither has D dorian.

        A scale that is no church mode has the signature of the church mode on its tonic that shares most notes with it.
        """
        modes = [_CHURCH_MODES[name] for name in _BRIGHTNESS]
        nearest = max(modes, key=lambda mode: len({*mode} & {*self.degrees}))  # the first of equals
        word = self.name.split()[0]
        fifths = _FIFTHS.index(word[0]) - 1 + 7 * (word.count("#") - word[1:].count("b") - word.count("-"))
        sharps = fifths + list(_BRIGHTNESS.values())[modes.index(nearest)]
        return sharps if abs(sharps) <= 7 else sharps - (12 if sharps > 0 else -12)

    @property
    def signature(self) -> str:
        """The key signature as MIDI names it: "G", and "Em" for a minor key. Other modes have that of a major key."""
        is_minor = 3 in self.degrees and 4 not in self.degrees and (self.tonic - 7 * self.sharps) % 12 == 9
        alteration, letter = divmod(self.sharps + (4 if is_minor else 1), 7)
        return _FIFTHS[letter] + "#" * alteration + "b" * -alteration + "m" * is_minor

    def moved(self, semitones: int) -> Key:
        """The key transposed by `semitones` (down where negative): the same scale on another tonic."""
        tonic = (self.tonic + semitones) % 12
        return Key(tonic, self.degrees, f"{_TONICS[tonic]} {self.name.split(maxsplit=1)[1]}")

    def __str__(self) -> str:
        return self.name


def spelled(pitch: int, sharps: int) -> tuple[str, int, int]:
    """A MIDI pitch as it is written under a key signature: letter, alteration in semitones, octave (60 is C, 0, 4).

    Notes outside the signature's major scale are raised or lowered as is usual there: in C major C#, Eb, F#, G#, Bb.
    """
    first = sharps - 3  # twelve neighbours on the line of fifths name the twelve pitch classes; C is at 0
    fifths = next(place for place in range(first, first + 12) if 7 * place % 12 == pitch % 12)
    alteration, letter = divmod(fifths + 1, 7)
    return _FIFTHS[letter], alteration, (pitch - alteration) // 12 - 1


def pitch_name(pitch: int, sharps: int = 0) -> str:
    """A MIDI pitch as `spelled`, for people: 60 is "C4", 61 "C#4", 63 "Eb4"."""
    letter, alteration, octave = spelled(pitch, sharps)
    return f"{letter}{'#' * alteration}{'b' * -alteration}{octave}"


def _custom_degrees(text: str, numbers: str) -> tuple[int, ...]:
    words = numbers.replace(",", " ").split()
    if not all(word.isascii() and word.isdigit() and len(word) < 3 and int(word) < 12 for word in words):
        raise InputError(f"key {text!r}: the semitones above the tonic are whole numbers from 0 to 11")
    degrees = [int(word) for word in words]
    if degrees[0] != 0 or any(low >= high for low, high in pairwise(degrees)):
        raise InputError(f"key {text!r}: the semitones above the tonic start with 0 and rise")
    return tuple(degrees)
