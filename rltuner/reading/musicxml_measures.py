"""The measures of a part of a MusicXML score: notes, rests, signatures, repeats and jumps.

The elements are read as MusicXML 4.0 defines them (w3.org/2021/06/musicxml40).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from xml.etree import ElementTree

from rltuner.melody import STEPS_PER_QUARTER
from rltuner.reading.bars import REST, Bar, Signature

MAX_MEASURE = 4_000  # steps: 250 bars of 4/4 in one measure
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NUMBER = re.compile(r"\s*(\d{1,7}(?:\.\d{1,6})?)\s*")
_WORDS = {
    "D.C.": re.compile(r"\s*(d\.?\s?c\.?|da capo)(\s+al\b.*)?\s*", re.IGNORECASE),
    "D.S.": re.compile(r"\s*(d\.?\s?s\.?|dal segno)(\s+al\b.*)?\s*", re.IGNORECASE),
    "fine": re.compile(r"\s*fine\s*", re.IGNORECASE),
    "to coda": re.compile(r"\s*to coda\b.*", re.IGNORECASE),
}
_SECTION_ENDS = {"light-light", "light-heavy", "heavy-light", "heavy-heavy", "heavy"}

Element = ElementTree.Element


@dataclass(frozen=True)
class Note:
    """A note or a rest in its measure."""

    start: Fraction
    length: Fraction
    pitch: int
    is_tied: bool
    voice: tuple[int, str]
    """(staff, what the file calls the voice)"""


@dataclass
class Measure:
    """A measure as it is read, before a voice of it is chosen."""

    bar: Bar
    notes: list[Note] = field(default_factory=list)
    total: Fraction = Fraction(0)
    """Steps from its beginning to where its last sound or silence ends."""
    fifths: int | None = None
    """Of the key signature at its end."""


@dataclass
class State:
    """What holds from one measure to the next."""

    divisions: Fraction = Fraction(1)
    signature: Signature | None = None
    fifths: int | None = None
    mode: str = ""
    transposes: bool = False


def read_part(measures: Sequence[Element]) -> tuple[list[Measure], State]:
    """The measures of a part. Raises ValueError, naming the measure, for numbers that mean nothing."""
    state, first = State(), State()
    result: list[Measure] = []
    for count, element in enumerate(measures, 1):
        number = element.get("number", str(count))[:12]
        try:
            measure = _read_measure(element, state, result[-1].bar if result else None)
        except ValueError as error:
            raise ValueError(f"measure {number}: {error}") from None
        if measure.total > MAX_MEASURE:
            raise ValueError(f"measure {number}: it lasts longer than {MAX_MEASURE:,} sixteenths")
        if first.fifths is None and state.fifths is not None:
            first = replace(state)
        measure.bar.signature, measure.fifths = state.signature, state.fifths
        measure.bar.is_pickup = not result and element.get("implicit") == "yes"
        result.append(measure)
    first.transposes = state.transposes
    return result, first


def _read_measure(element: Element, state: State, before: Bar | None) -> Measure:
    measure = Measure(Bar())
    now = start = Fraction(0)
    for child in element:
        tag = tag_of(child)
        if tag == "note":
            if child.find("{*}grace") is not None or child.find("{*}cue") is not None:
                continue
            length = _length(child, state)
            if child.find("{*}chord") is None:
                start = now
                now += length
            measure.notes.append(_note(child, start, length))
        elif tag == "backup":
            now = max(Fraction(0), now - _length(child, state))
        elif tag == "forward":
            now += _length(child, state)
        elif tag == "attributes":
            _attributes(child, state)
        elif tag == "barline":
            _barline(child, measure.bar, before)
        elif tag in ("direction", "sound"):
            _direction(child, measure.bar)
        measure.total = max(measure.total, now)
    return measure


def _length(element: Element, state: State) -> Fraction:
    text = element.findtext("{*}duration")
    if text is None:
        return Fraction(0)
    return _number(text, "duration") * STEPS_PER_QUARTER / state.divisions


def _number(text: str, name: str) -> Fraction:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"{name} {text.strip()[:20]!r} is no number")
    return Fraction(match[1])


def _note(element: Element, start: Fraction, length: Fraction) -> Note:
    pitch = element.find("{*}pitch")
    midi = REST
    if pitch is not None:
        step, octave = (pitch.findtext("{*}step") or "").strip(), (pitch.findtext("{*}octave") or "").strip()
        alter = (pitch.findtext("{*}alter") or "0").strip()
        if (
            step not in _NATURALS
            or not re.fullmatch(r"-?\d{1,2}", octave)
            or not re.fullmatch(r"-?[\d.]{1,8}", alter)
        ):
            raise ValueError(f"pitch {f'{step} {alter} {octave}'[:30]!r} is none")
        midi = 12 * (int(octave) + 1) + _NATURALS[step] + round(float(alter))
        if not 0 <= midi < 128:
            raise ValueError(f"pitch {step}{octave} is beyond MIDI's")
    ties = [*element.iterfind("{*}tie"), *element.iterfind("{*}notations/{*}tied")]
    staff = (element.findtext("{*}staff") or "1").strip()
    voice = (element.findtext("{*}voice") or "1").strip()
    is_tied = any(tie.get("type") == "start" for tie in ties)
    return Note(start, length, midi, is_tied, (int(staff) if re.fullmatch(r"\d{1,3}", staff) else 1, voice))


def _attributes(element: Element, state: State) -> None:
    if (text := element.findtext("{*}divisions")) is not None:
        state.divisions = _number(text, "divisions")
        if not state.divisions:
            raise ValueError("divisions 0")
    if (time := element.find("{*}time")) is not None:
        state.signature = _signature(time)
    if (key := element.find("{*}key")) is not None:
        text = (key.findtext("{*}fifths") or "").strip()
        state.fifths = int(text) if re.fullmatch(r"[+-]?\d", text) and abs(int(text)) <= 7 else None
        state.mode = (key.findtext("{*}mode") or "").strip().lower()
    transpose = element.find("{*}transpose/{*}chromatic")
    state.transposes |= transpose is not None and (transpose.text or "").strip() not in ("0", "")


def _signature(time: Element) -> Signature | None:
    """The sum of what a time signature is made of, 7/8 for 2+2+3/8; None for senza misura and what means nothing."""
    tops = [(one.text or "").strip() for one in time.iterfind("{*}beats")]
    bottoms = [(one.text or "").strip() for one in time.iterfind("{*}beat-type")]
    parts = []
    for top, bottom in zip(tops, bottoms, strict=False):
        beats = re.findall(r"\d+", top) if re.fullmatch(r"[\d\s+]+", top) else []
        if not beats or not re.fullmatch(r"\d{1,3}", bottom) or not int(bottom):
            return None
        parts.append((sum(map(int, beats)), int(bottom)))
    denominator = max((bottom for _, bottom in parts), default=0)
    if not denominator or any(denominator % bottom for _, bottom in parts):
        return None
    numerator = sum(top * denominator // bottom for top, bottom in parts)
    return (numerator, denominator) if numerator else None


def _barline(element: Element, bar: Bar, before: Bar | None) -> None:
    is_left = element.get("location") == "left"
    repeat, ending = element.find("{*}repeat"), element.find("{*}ending")
    if repeat is not None and repeat.get("direction") == "forward":
        bar.begins_repeat = True
    elif repeat is not None:
        times = repeat.get("times", "2")
        bar.ends_repeat = bar.ends_section = True
        bar.times = int(times) if re.fullmatch(r"\d{1,3}", times) else 2
    if ending is not None and ending.get("type") == "start":
        numbers = re.findall(r"\d{1,2}", ending.get("number", ""))
        bar.endings = tuple(int(number) for number in numbers) or (99,)
    if (element.findtext("{*}bar-style") or "").strip() in _SECTION_ENDS:
        if not is_left:
            bar.ends_section = True
        elif before is not None:
            before.ends_section = True


def _direction(element: Element, bar: Bar) -> None:
    """D.C., D.S., segno, coda and fine: by what they sound like, or by what the words say."""
    sound = element if tag_of(element) == "sound" else element.find("{*}sound")
    kinds = set()
    if sound is not None:
        kinds = {
            kind
            for name, kind in (
                ("dacapo", "D.C."),
                ("dalsegno", "D.S."),
                ("fine", "fine"),
                ("tocoda", "to coda"),
            )
            if sound.get(name) not in (None, "no")
        }
        bar.is_segno |= sound.get("segno") is not None
        bar.is_coda |= sound.get("coda") is not None
    if not kinds:
        words = [word.text or "" for word in element.iterfind("{*}direction-type/{*}words")]
        kinds = {kind for kind, says in _WORDS.items() if any(says.fullmatch(word) for word in words)}
    bar.jump = next((kind for kind in ("D.C.", "D.S.") if kind in kinds), bar.jump)
    bar.is_fine |= "fine" in kinds
    bar.to_coda |= "to coda" in kinds
    bar.is_segno |= element.find("{*}direction-type/{*}segno") is not None
    bar.is_coda |= element.find("{*}direction-type/{*}coda") is not None and "to coda" not in kinds


def tag_of(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
