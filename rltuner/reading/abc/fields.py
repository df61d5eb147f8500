"""The fields of ABC that say how notes are meant: K: (key, clef, octave, transposition), M: (metre) and L: (unit).

Source: the ABC music standard 2.1, sections 3.1.6, 3.1.7, 3.1.14 and 4.6 (abcnotation.com/wiki/abc:standard:v2.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from rltuner.reading.bars import Signature

_TONIC = re.compile(r"(HP|Hp|[A-G][b#]?)(.*)", re.DOTALL)
_WORD = re.compile(r"""[A-Za-z-]+=(?:"[^"]*"|\S*)|\S+""")
_ACCIDENTAL = re.compile(r"(\^\^|\^|__|_|=)([A-Ga-g])")
_CLEF = re.compile(
    r"(?:clef=)?(?:treble|bass|alto|tenor|soprano|mezzosoprano|baritone|perc|none|[GCFP])\d?([+-]8)?"
)
_FRACTION = re.compile(r"\(?\s*(\d{1,9}(?:\s*\+\s*\d{1,9})*)\s*\)?\s*/\s*(\d{1,9})")
# Fifths that a mode lies from the major key of its tonic, by its first three letters.
_MODES = {"maj": 0, "ion": 0, "min": -3, "aeo": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5}
_NAMES = {
    "maj": "major", "ion": "ionian", "min": "minor", "aeo": "aeolian", "mix": "mixolydian", "dor": "dorian",
    "phr": "phrygian", "lyd": "lydian", "loc": "locrian",
}  # fmt: skip
MAX_NUMBER = 999  # of a metre
_FIFTHS = "FCGDAEB"  # the letters in the order in which sharps come; flats come the other way round
_ALTERATION = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}


@dataclass(frozen=True)
class AbcKey:
    """What a K: field says."""

    name: str = ""
    """As people write it, "D dorian", of what sounds; "" where it names none."""
    sharps: int | None = None
    """Of the key signature that sounds; None where the field names no key."""
    alterations: dict[str, int] = field(default_factory=dict)
    """Semitones by letter, for notes without an accidental of their own."""
    shift: int = 0
    """Semitones from what is written to what sounds: octave, clef and transposition."""
    unknown: str = ""
    """What it says, where that is no key that ABC knows."""


def parse_key(text: str) -> AbcKey:
    """The key of a K: field; `sharps` is None for "none", an empty field, and what is no key."""
    match = _TONIC.match(text)
    rest = text if match is None else match[2]
    words = _WORD.findall(rest)
    extra: dict[str, int] = {}
    shift, mode, explicit, unknown = 0, "", False, ""
    for place, word in enumerate(words):
        if word.startswith(("octave=", "transpose=")):
            shift += _number(word.partition("=")[2]) * (12 if word.startswith("octave") else 1)
        elif clef := _CLEF.fullmatch(word):
            shift += {"+8": 12, "-8": -12}.get(clef[1] or "", 0)
        elif accidentals := _ACCIDENTAL.findall(word):
            extra |= {letter.upper(): _ALTERATION[sign] for sign, letter in accidentals}
        elif word == "exp":
            explicit = True
        elif "=" not in word and place == 0:
            known = "min" if word in ("m", "M") else word[:3].lower()  # transcribers write "EM" for E minor
            if known in _MODES:
                mode = known
            elif match is not None and not rest[:1].isspace() and word[:1].isalpha():
                unknown = text  # "Bn"
    if match is None:
        nothing = not text or text.split()[0].lower() in ("none", "exp") or shift or extra or _is_clef(text)
        return AbcKey(alterations=extra, shift=shift, unknown="" if nothing else text)
    if unknown:
        return AbcKey(shift=shift, unknown=unknown)
    if match[1] in ("HP", "Hp"):  # both sound F and C sharp; HP only leaves the signature out
        return AbcKey(f"{match[1]} (highland pipes)", 2, _signature(2) | extra, shift)
    place_in_fifths = _FIFTHS.index(match[1][0]) - 1 + {"#": 7, "b": -7}.get(match[1][1:], 0)
    written = place_in_fifths + _MODES[mode or "maj"]
    alterations = ({} if explicit else _signature(written)) | extra
    sounding = (written + 7 * shift + 5) % 12 - 5 if shift % 12 else written
    tonic = place_in_fifths + sounding - written
    name = f"{_spelled(tonic)} {_NAMES[mode or 'maj']}"
    return AbcKey(name, sounding, alterations, shift)


def _is_clef(text: str) -> bool:
    return all("=" in word or _CLEF.fullmatch(word) for word in _WORD.findall(text))


def _number(text: str) -> int:
    """A whole number between -48 and 48; 0 for anything else."""
    match = re.fullmatch(r"[+-]?\d{1,2}", text)
    return max(-48, min(48, int(text))) if match else 0


def _signature(sharps: int) -> dict[str, int]:
    """Semitones by letter of a signature; more than seven sharps alter letters twice."""
    letters = _FIFTHS if sharps > 0 else _FIFTHS[::-1]
    result: dict[str, int] = {}
    for place in range(min(abs(sharps), 14)):
        result[letters[place % 7]] = result.get(letters[place % 7], 0) + (1 if sharps > 0 else -1)
    return result


def _spelled(fifths: int) -> str:
    """The tone that many fifths above C, "F#" for 6 and "Bb" for -2."""
    signs = (fifths + 1) // 7
    return _FIFTHS[(fifths + 1) % 7] + ("#" * signs if signs > 0 else "b" * -signs)


def parse_meter(text: str) -> Signature | None:
    """The metre of an M: field: "6/8", "C", "C|", "(2+3)/8", "2/4+3/8"; None for "none", free metre and what is none.

    Numbers beyond what `MAX_NUMBER` says make None: no music has them.
    """
    bare = text.strip()
    if bare.lower() in ("", "none", "free") or bare.startswith("FREI"):
        return None
    if bare in ("C", "c"):
        return 4, 4
    if bare in ("C|", "c|"):
        return 2, 2
    found = _FRACTION.findall(bare)
    if not found:
        return (int(bare), 4) if re.fullmatch(r"\d{1,2}", bare) else None
    parts = [(sum(map(int, re.findall(r"\d+", top))), int(bottom)) for top, bottom in found]
    if "+" not in re.sub(r"\([^)]*\)", "", bare) or len(parts) == 1:
        parts = parts[:1]
    denominator = max(bottom for _, bottom in parts)
    if not 0 < denominator <= MAX_NUMBER or any(not bottom or denominator % bottom for _, bottom in parts):
        return None
    numerator = sum(top * denominator // bottom for top, bottom in parts)
    return (numerator, denominator) if 0 < numerator <= MAX_NUMBER else None


def parse_unit(text: str) -> Fraction | None:
    """The unit of an L: field, in steps of a sixteenth; None for what is none."""
    match = re.match(r"\s*(\d{1,4})\s*/\s*(\d{1,4})", text)
    if match and int(match[1]) and int(match[2]):
        return Fraction(16 * int(match[1]), int(match[2]))
    return Fraction(16) if text.strip() == "1" else None


def default_unit(meter: Signature | None) -> Fraction:
    """The unit where no L: says one, in steps: a sixteenth in metres below 3/4, else an eighth."""
    return Fraction(1) if meter is not None and 4 * meter[0] < 3 * meter[1] else Fraction(2)
