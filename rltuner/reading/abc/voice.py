"""A voice of an ABC tune, sign by sign: what the signs of the standard mean, as bars of sounds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from rltuner.errors import InputError
from rltuner.reading.abc.fields import AbcKey, default_unit, parse_key, parse_meter, parse_unit
from rltuner.reading.abc.text import Sign
from rltuner.reading.bars import REST, Bar, Signature, size_of

MAX_BROKEN = 3  # > signs in a row
MAX_RESTS = 500  # bars of a Z
MAX_DIGITS = 4  # of a length

_NOTE = re.compile(r"([_^=]*)([A-Ga-gz])([,']*)(\d*)(/*)(\d*)")
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NORMAL = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # notes in whose time a tuplet of so many is played


@dataclass
class Voice:
    """A voice while it is read."""

    signature: Signature | None
    unit: Fraction
    key: AbcKey
    is_unit_given: bool
    bars: list[Bar] = field(default_factory=list)
    bar: Bar = field(default_factory=Bar)
    accidentals: dict[int, int] = field(default_factory=dict)
    """By octave and letter (7 * octave + letter): semitones of accidentals in this bar."""
    tied: tuple[int, int] | None = None
    """(octave and letter, semitones) of a note that is tied over a bar line."""
    broken: Fraction | None = None
    """What the next note's length is multiplied by, after a broken rhythm sign."""
    tuplet: list[tuple[int, Fraction]] = field(default_factory=list)
    """(notes left, what lengths are multiplied by)."""
    last: str = ""
    """Kind of the last sign."""
    in_overlay: bool = False
    overlays: int = 0
    first_key: AbcKey = field(default_factory=AbcKey)
    """The key at its first note."""
    chords: list[Bar] = field(default_factory=list)
    """The bars of chords, a bar for each."""
    keys: list[tuple[Bar, AbcKey]] = field(default_factory=list)
    """Changes of key, each with the bar that it stands in."""


def apply_field(voice: Voice, name: str, value: str) -> None:
    """A field of the header, or between notes: M, L and K change what follows."""
    if name == "M":
        voice.signature = parse_meter(value)
        if not voice.is_unit_given and not voice.bars and not voice.bar.sounds:
            voice.unit = default_unit(voice.signature)
    elif name == "L" and (unit := parse_unit(value)) is not None:
        voice.unit, voice.is_unit_given = unit, True
    elif name == "K":
        key = parse_key(value)
        if voice.bars or voice.bar.sounds:
            only_clef = (
                key.sharps is None and not key.unknown and not key.alterations and value.lower() != "none"
            )
            key = (
                AbcKey(voice.key.name, voice.key.sharps, voice.key.alterations, key.shift)
                if only_clef
                else key
            )
            voice.keys.append((voice.bar, key))
        else:
            voice.first_key = key
        voice.key = key


def read_sign(voice: Voice, sign: Sign) -> None:
    """Takes the next sign of a voice."""
    if sign.kind == "line":
        voice.in_overlay = False
        _bar_line(voice, sign)
    elif voice.in_overlay and sign.kind != "field":
        return
    elif sign.kind == "field":
        apply_field(voice, sign.text, sign.value)
    elif sign.kind in ("note", "chord"):
        _note(voice, sign)
    elif sign.kind == "rests":
        bars = min(int(sign.value[:MAX_DIGITS] or 1), MAX_RESTS)
        rest = bars * (size_of(voice.signature) or Fraction(16)) - voice.bar.length
        if rest > 0:  # after notes it fills their bar
            _add(voice, rest, REST, False, sign)
    elif sign.kind == "tie" and voice.bar.sounds and voice.last in ("note", "chord"):
        length, pitch, _ = voice.bar.sounds[-1]
        voice.bar.sounds[-1] = (length, pitch, True)
    elif sign.kind == "broken" and voice.last in ("note", "chord") and voice.bar.sounds:
        dots = min(len(sign.text), MAX_BROKEN)
        short = Fraction(1, 2**dots)
        length, pitch, tied = voice.bar.sounds[-1]
        voice.bar.sounds[-1] = (length * (short if sign.text[0] == "<" else 2 - short), pitch, tied)
        voice.broken = 2 - short if sign.text[0] == "<" else short
    elif sign.kind == "tuplet":
        voice.tuplet = [_tuplet(sign.text, voice.signature)]
    elif sign.kind == "overlay":
        voice.in_overlay = True
        voice.overlays += 1
    elif sign.kind == "jump":
        _jump(voice, sign.text)


def _note(voice: Voice, sign: Sign) -> None:
    """A note, a rest or a chord, of which the highest note is taken."""
    inner = _NOTE.findall(sign.text)
    if not inner:
        return
    outer = Fraction(1)
    tied = False
    if sign.kind == "chord":
        body, _, tail = sign.text.rpartition("]")
        inner, tied = _NOTE.findall(body), "-" in body
        match = re.fullmatch(r"(\d*)(/*)(\d*)", tail)
        outer = _length(*match.groups()) if match and inner else outer
        if not inner:
            return
    pitches = [_pitch(voice, *note[:3]) for note in inner]
    best = max(range(len(inner)), key=lambda place: pitches[place][0])
    if len({pitch for pitch, _, _ in pitches if pitch != REST}) > 1:
        voice.chords.append(voice.bar)
    length = _length(*inner[0][3:]) * outer * voice.unit
    if not length:
        raise InputError(f"line {sign.line}: {sign.text[:20]!r} has no length; write a number above 0")
    if voice.tuplet:
        left, factor = voice.tuplet[0]
        length *= factor
        voice.tuplet = [(left - 1, factor)] if left > 1 else []
    if voice.broken is not None:
        length *= voice.broken
        voice.broken = None
    pitch, where, alteration = pitches[best]
    _add(voice, length, pitch, tied, sign)
    voice.tied = (where, alteration) if pitch != REST else None


def _add(voice: Voice, length: Fraction, pitch: int, tied: bool, sign: Sign) -> None:
    bar = voice.bar
    if not bar.sounds:
        bar.signature, bar.line = voice.signature, sign.line
    bar.sounds.append((length, pitch, tied))


def _pitch(voice: Voice, signs: str, letter: str, octaves: str) -> tuple[int, int, int]:
    """(MIDI pitch that sounds, octave and letter, semitones of its accidental); REST for a rest.

    Accidentals last until the bar line, in their octave; a tie carries one over it.
    """
    if letter == "z":
        return REST, 0, 0
    step = letter.upper()
    octave = (6 if letter.islower() else 5) + octaves.count("'") - octaves.count(",")
    where = 7 * octave + "CDEFGAB".index(step)
    if signs:
        alteration = max(-2, min(2, signs.count("^") - signs.count("_")))
        voice.accidentals[where] = alteration
    elif where in voice.accidentals:
        alteration = voice.accidentals[where]
    elif voice.tied is not None and voice.tied[0] == where and not voice.bar.sounds and _is_tied(voice):
        alteration = voice.tied[1]
    else:
        alteration = voice.key.alterations.get(step, 0)
    return max(0, min(127, 12 * octave + _NATURALS[step] + alteration + voice.key.shift)), where, alteration


def _is_tied(voice: Voice) -> bool:
    return bool(voice.bars and voice.bars[-1].sounds and voice.bars[-1].sounds[-1][2])


def _length(top: str, slashes: str, bottom: str) -> Fraction:
    """A length as it is written behind a note: "3/2", "/", "//", "" ."""
    numerator = int(top[:MAX_DIGITS]) if top else 1
    halved = 2 ** min(len(slashes), 10) if not bottom else int(bottom[:MAX_DIGITS]) if slashes else 1
    return Fraction(numerator, halved) if halved else Fraction(0)


def _tuplet(text: str, signature: Signature | None) -> tuple[int, Fraction]:
    """(notes that it counts for, what their lengths are multiplied by) of "(3" or "(3:2:4"."""
    numbers = [*text[1:].split(":"), "", ""]
    played = int(numbers[0])
    is_compound = signature is not None and signature[0] % 3 == 0 and signature[0] > 3
    normal = int(numbers[1] or 0) or _NORMAL.get(played, 3 if is_compound else 2)
    return int(numbers[2] or 0) or played, Fraction(normal, played) if played else Fraction(1)


def _bar_line(voice: Voice, sign: Sign) -> None:
    """Closes the bar at a bar line, however it is written; the marks of an empty bar go to its neighbours."""
    chunks = [chunk for chunk in sign.text.split() if chunk != ":"]
    ends = any(chunk.startswith(":") for chunk in chunks)
    begins = any(chunk.endswith(":") for chunk in chunks)
    is_double = "||" in sign.text or "]" in sign.text or "[" in sign.text
    if chunks or sign.value:
        close_bar(voice)
    if voice.bars:
        last = voice.bars[-1]
        if ends:
            last.ends_repeat = True
            times = [len(match[1]) + 1 for chunk in chunks if (match := re.match(r"(:+)\|", chunk))]
            last.times = max([last.times, *times])
        last.ends_section |= ends or begins or (bool(chunks) and is_double)
    voice.bar.begins_repeat |= begins
    voice.bar.endings = _endings(sign.value) or voice.bar.endings


def _endings(text: str) -> tuple[int, ...]:
    """The numbers of an ending: "1", "1,3", "1-3"."""
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip(".").partition("-")
        if first.isdigit() and len(first) < 3 and (not last or (last.isdigit() and len(last) < 3)):
            numbers += range(int(first), min(int(last or first), int(first) + 8) + 1)
    return tuple(numbers) if numbers or not text else (99,)


def close_bar(voice: Voice) -> None:
    if voice.bar.sounds:
        voice.bars.append(voice.bar)
        voice.bar = Bar()
    voice.accidentals = {}


def _jump(voice: Voice, kind: str) -> None:
    bar = voice.bar if voice.bar.sounds or not voice.bars or kind in ("segno", "coda") else voice.bars[-1]
    if kind in ("D.C.", "D.S."):
        bar.jump = kind
    bar.is_segno |= kind == "segno"
    bar.is_coda |= kind == "coda"
    bar.is_fine |= kind == "fine"
    bar.to_coda |= kind == "to coda"
