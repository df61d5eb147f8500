"""ABC tunes to drafts: a draft for each voice with notes. What becomes of the bars is in `layout`."""

from __future__ import annotations

import re
from fractions import Fraction

from rltuner.reading.abc.fields import AbcKey, parse_key
from rltuner.reading.abc.text import AbcText, AbcTune, taken_apart
from rltuner.reading.abc.voice import Voice, apply_field, close_bar, read_sign
from rltuner.reading.bars import REST, Draft, UnusableError
from rltuner.reading.layout import counted, place

MAX_CHARACTERS = 20_000  # the longest of 12,762 tunes has 2,439


def read_abc(tune: AbcTune, source: str) -> list[Draft]:
    """The tune of an ABC text that holds one: a draft for each voice with notes.

    Args:
      tune: as `abc_text.abc_tunes` gives it.
      source: where it was found; goes into the drafts.

    Raises UnusableError ("too long"), and InputError, naming the line, for a note without length. What means nothing in
    the text is passed over.
    """
    if len(tune.text) > MAX_CHARACTERS:
        raise UnusableError("too long")
    text = taken_apart(tune)
    voices, names = _voices(text)
    sounding = {name: voice for name, voice in voices.items() if any(bar.sounds for bar in voice.bars)}
    title = next((t for t in text.fields.get("T", ()) if t), source)
    credit = "; ".join(c for c in text.fields.get("Z", ()) if c)
    rhythm = next((r for r in text.fields.get("R", ()) if r), "")
    drafts = []
    for name, voice in sounding.items():
        draft = Draft(source, title, voice.bars, credit=credit, rhythm=rhythm, name=names.get(name) or name)
        counted(draft.bars)
        _set_key(draft, voice)
        _remark(draft, voice)
        if len(names) > 1:
            draft.unusable = "several voices"
        drafts.append(draft)
    return drafts


def _voices(text: AbcText) -> tuple[dict[str, Voice], dict[str, str]]:
    """The voices by what V: calls them, in the order in which their notes come; and the names that they give."""
    first = Voice(None, Fraction(2), AbcKey(), False)
    names: dict[str, str] = {}
    shifts: dict[str, int] = {}
    for name, value in text.header:
        if name == "V":
            _define(value, names, shifts)
        else:
            apply_field(first, name, value)
    voices: dict[str, Voice] = {}
    current = ""
    for sign in text.signs:
        if sign.kind == "field" and sign.text == "V":
            current = _define(sign.value, names, shifts)
            continue
        if current not in voices:
            voices[current] = Voice(
                first.signature, first.unit, first.key, first.is_unit_given, first_key=first.key
            )
        voice = voices[current]
        if sign.kind == "field" and not current:
            apply_field(first, sign.text, sign.value)
        read_sign(voice, sign)
        voice.last = sign.kind
    for name, voice in voices.items():
        close_bar(voice)
        if shift := shifts.get(name, 0):
            for bar in voice.bars:
                bar.sounds = [(n, p if p == REST else p + shift, t) for n, p, t in bar.sounds]
    return voices, names


def _define(value: str, names: dict[str, str], shifts: dict[str, int]) -> str:
    """What a V: field calls its voice; its name and its octave are noted."""
    label, _, rest = value.strip().partition(" ")
    if rest:
        shift = parse_key(rest).shift if not re.match(r"[A-G]|H[Pp]", rest) else 0
        shifts[label] = shift or shifts.get(label, 0)
        if match := re.search(r'(?:name|nm)="([^"]*)"', rest):
            names[label] = match[1]
    names.setdefault(label, label)
    return label


def _set_key(draft: Draft, voice: Voice) -> None:
    """The key at the first note; what changes later is said, and makes a corpus drop the tune."""
    key = voice.first_key
    draft.key, draft.sharps, draft.is_key_written = key.name, key.sharps or 0, key.sharps is not None
    if key.unknown:
        draft.remarks.append(f"its key {key.unknown[:40]!r} is none that ABC knows: read without accidentals")
    if key.sharps is None:
        draft.unusable = "no key signature"
    changes = [(bar, new) for bar, new in voice.keys if new.sharps not in (None, key.sharps) and bar.number]
    if changes and key.sharps is not None:
        draft.unusable = "key changes"
    if changes:
        said = ", ".join(f"{place(bar)} to {new.name or 'no key'}" for bar, new in changes[:4])
        draft.remarks.append(f"the key changes, at {said}; notes are kept as written")


def _remark(draft: Draft, voice: Voice) -> None:
    if voice.overlays:
        draft.remarks.append("the second voice of a bar, after &, is left out")
    if voice.chords:
        many = "1 chord" if len(voice.chords) == 1 else f"{len(voice.chords)} chords"
        bars = ", ".join(dict.fromkeys(place(bar) for bar in voice.chords[:3]))
        draft.remarks.append(f"{many}, at {bars}: the highest note of each is taken")
