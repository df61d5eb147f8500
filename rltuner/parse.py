"""From ABC, MusicXML and MIDI to tunes: reading. The rules that every format shares are in `rltuner.tunes`.

music21 reads ABC and MusicXML, pretty_midi reads MIDI files, and note_seq finds the melody of a track in
several voices; all three are imported when they are first needed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from rltuner.errors import InputError
from rltuner.melody import STEPS_PER_QUARTER, Melodies, Meter, Vocabulary, _import_note_seq
from rltuner.midi import _parse
from rltuner.tunes import (
    FIFTH,
    MAX_STEPS,
    REST,
    Bar,
    Sound,
    Tune,
    UnusableError,
    align,
    check_grid,
    encode,
    expand_repeats,
    nearest,
)

PARSER_VERSION = 3  # raise it with every change that alters a tune, so that cached corpora are parsed again
MAX_ABC_CHARACTERS, MAX_FILE_BYTES = 100_000, 10_000_000  # no tune is that long


@dataclass(frozen=True)
class Item:
    """One unit of parsing: the text of an ABC tune, or a file."""

    kind: str
    """abc, musicxml or midi."""
    source: str
    """Goes into the tunes."""
    content: str
    """The ABC text, or the path of the file."""


@dataclass(frozen=True)
class Parsed:
    """What became of an item, or of one track of it."""

    source: str
    outcome: str
    """"kept", "broken", or the reason why a rule dropped it."""
    tune: Tune | None = None
    detail: str = ""
    """Of a broken item: what is wrong, in one line."""
    marks: tuple[str, ...] = ()
    """Things worth counting, e.g. "repeats expanded"."""


@dataclass
class Draft:
    """A tune before its metre and pitches are fitted."""

    source: str
    title: str
    bars: list[Bar] = field(default_factory=list)
    signature: tuple[int, int] | None = None
    """Time signature, None where there is none."""
    sharps: int = 0
    """Of the key signature; negative for flats."""
    key: str = ""
    credit: str = ""
    unusable: str = ""
    """Why a rule drops it, where the reader knows."""


def parse_item(item: Item, vocabulary: Vocabulary) -> list[Parsed]:
    """All tunes of an item. Never raises: what cannot be read is "broken"."""
    try:
        drafts = _READERS[item.kind](item)
    except UnusableError as reason:
        return [Parsed(item.source, str(reason))]
    except Exception as error:  # a parser of broken text raises anything; one tune must not end the corpus
        return [Parsed(item.source, "broken", detail=_one_line(error).replace(item.content, item.source))]
    if not drafts:
        return [Parsed(item.source, "no notes")]
    return [finish(draft, vocabulary) for draft in drafts]


def finish(draft: Draft, vocabulary: Vocabulary) -> Parsed:
    """A draft as a tune on the grid, or the reason why it is dropped."""
    marks: list[str] = []
    try:
        if draft.unusable:
            raise UnusableError(draft.unusable)
        if draft.signature is None:
            raise UnusableError("no metre")
        try:
            # Cut time has the bar of 4/4, and tunebooks print the same reel in either: one metre here.
            meter = Meter.from_time_signature(*((4, 4) if draft.signature == (2, 2) else draft.signature))
        except InputError:
            raise UnusableError("metre off the grid") from None
        bars = draft.bars
        if any(bar.begins_repeat or bar.ends_repeat or bar.ending for bar in bars):
            played = expand_repeats(bars)
            marks.append("repeats taken as written" if played is None else "repeats expanded")
            bars = bars if played is None else played
        events = encode(align(bars, meter.steps_per_bar), draft.sharps, meter, vocabulary)
        tune = Tune(draft.title, draft.source, draft.credit, meter, events, draft.key)
    except UnusableError as reason:
        return Parsed(draft.source, str(reason))
    except Exception as error:
        return Parsed(draft.source, "broken", detail=_one_line(error))
    return Parsed(draft.source, "kept", tune, marks=tuple(marks))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


# ABC --------------------------------------------------------------------------------------------------------

_FIELD = re.compile(r"([A-Za-z]):(?![|:])\s*(.*)")
_INLINE = re.compile(r"\[([A-Za-z]):([^\]]*)\]")
_TEXT = re.compile(r'"[^"]*("|$)|\{[^}]*(\}|$)|![^!|]*!|\+[^+|]*\+')  # annotations, grace notes, decorations
_BAR_LINE = re.compile(
    r"(?P<line>(?:\[\||\|\]|[|:])(?:\s*(?:\[\||\|\]|[|:]))*)\s*(?:\[?\s*(?P<after>\d[\d,.-]*))?|\[(?P<alone>\d[\d,.-]*)"
)
_TUPLET = re.compile(r"\(\d(?::\d?){0,2}")
_TOKEN = re.compile(r"@\d+|\[[^\]|]*\]\d*/*\d*|[_^=]*[A-Ga-gz][,']*\d*/*\d*|-|[<>]+")
_PITCH = re.compile(r"([A-G])([#n-]*)(\d)")
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def split_abc(text: str) -> list[str]:
    """The tunes of an ABC file, each from its `X:` on; the whole text where there is no `X:` but a key."""
    tunes = [part for part in re.split(r"(?m)^(?=X:)", text) if part.startswith("X:")]
    return tunes or ([text] if re.search(r"(?m)^K:", text) else [])


def read_abc(item: Item) -> list[Draft]:
    """The one tune of an ABC text; music21 reads notes, lengths, keys and tuplets, after some cleaning."""
    if len(item.content) > MAX_ABC_CHARACTERS:
        raise UnusableError("too long")
    fields, text, odd_ending = _clean_abc(item.content)
    if "V" in fields and len({voice.split()[0] for voice in fields["V"] if voice}) > 1:
        raise UnusableError("several voices")
    from music21 import abcFormat

    handler = abcFormat.ABCHandler(abcVersion=(2, 1, 0))
    handler.abcDirectives["propagate-accidentals"] = "octave"  # as on the printed page: until the bar line
    handler.process(text)
    bars: list[Bar] = []
    bar = Bar()
    signature: tuple[int, int] | None = None
    key: tuple[int, str] | None = None
    started = False
    for token in handler.tokens:
        if isinstance(token, abcFormat.ABCMetadata):
            if token.isMeter():
                new = token.getTimeSignatureParameters()
                new = new[:2] if new and not token.data.startswith("FREI") else None
                if started and new != signature:
                    raise UnusableError("metre changes")
                signature = new
            elif token.isKey():
                named = _abc_key(token)
                if started and key and named and named[0] != key[0]:
                    raise UnusableError("key changes")
                key = key if started else named
        elif isinstance(token, abcFormat.ABCNote):
            sound = _abc_sound(token, abcFormat)
            if sound[0]:
                bar.sounds.append(sound)
                started = True
        elif isinstance(token, abcFormat.ABCBar):
            bar = _abc_bar_line(token.src.strip(), bars, bar)
    if bar.sounds:
        bars.append(bar)
    if key is None:
        raise UnusableError("no key signature")
    if odd_ending:
        for one in bars:
            one.ending = 3
    title = next((t for t in fields.get("T", ()) if t), item.source)
    credit = "; ".join(c for c in fields.get("Z", ()) if c)
    return [Draft(item.source, title, bars, signature, key[0], key[1], credit)]


def _clean_abc(text: str) -> tuple[dict[str, list[str]], str, bool]:
    """The fields, a text of what music21 reads rightly, and whether there is an ending beyond the second.

    Left in: M, L and K fields, notes, chords, tuplets, ties, broken rhythms and bar lines in one spelling.
    Left out: grace notes, decorations, slurs and annotations, next to which music21 loses broken rhythms, and
    lines without a bar line after an empty line (remarks).
    """
    fields: dict[str, list[str]] = {}
    header, body, kept = ["X:1"], [], []

    def keep(text: str) -> str:
        kept.append(text)
        return f" @{len(kept) - 1} "

    ended = False
    for raw in text.splitlines():
        line = re.sub(r"(?<!\\)%.*", "", raw).strip()
        if match := _FIELD.match(line):
            name, value = match[1], match[2].strip().strip('"').strip()
            if name in "MLK" and value and "K" not in fields:
                header.append(f"{name}:{value}")
            elif name in "MLK" and value:
                body.append(keep(f"\n{name}:{value}\n"))
            fields.setdefault(name, []).append(value)
        elif "K" in fields and not (ended and "|" not in line):
            ended = not line
            line = _TUPLET.sub(lambda m: keep(m[0]), _TEXT.sub(" ", line))
            body.append(_INLINE.sub(lambda m: keep(f"\n{m[1]}:{m[2]}\n") if m[1] in "MLK" else " ", line))
    odd_endings: list[str] = []
    # In one piece, since a bar line and the ending that it starts can stand on two lines.
    music = _BAR_LINE.sub(lambda m: _abc_signs(m, kept, odd_endings), "\n".join(body).replace("x", "z"))
    tokens = [kept[int(token[1:])] if token[0] == "@" else token for token in _TOKEN.findall(music)]
    return fields, "\n".join(header) + "\n" + " ".join(tokens) + "\n", bool(odd_endings)


def _abc_signs(match: re.Match[str], kept: list[str], odd_endings: list[str]) -> str:
    """One spelling for a bar line, however it is written, and for the ending that it starts."""
    line = match["line"] or ""
    chunks = [chunk for chunk in line.split() if chunk != ":"]
    signs = [":|"] * any(chunk.startswith(":") for chunk in chunks)
    signs += ["|:"] * any(chunk.endswith(":") for chunk in chunks)
    if chunks and not signs:
        signs = ["||" if "||" in line or "]" in line or "[" in line else "|"]
    ending = (match["after"] or match["alone"] or "").rstrip(".,-")
    if ending in ("1", "2"):
        signs.append(f"[{ending}")
    elif ending:
        odd_endings.append(ending)
    places = range(len(kept), len(kept) + len(signs))
    kept += signs
    return "".join(f" @{place} " for place in places)


def _abc_bar_line(sign: str, bars: list[Bar], bar: Bar) -> Bar:
    """Closes the bar at a bar line and gives the next; the marks of an empty bar go to its neighbours."""
    ending = {"[1": 1, "[2": 2}.get(sign, 0)
    if bar.sounds:
        bars.append(bar)
        bar = Bar()
    if sign == ":|" and bars:
        bars[-1].ends_repeat = True
    if sign in (":|", "|:", "||") and bars:
        bars[-1].ends_section = True
    bar.begins_repeat |= sign == "|:"
    bar.ending = ending or bar.ending
    return bar


def _abc_sound(token: Any, abc: Any) -> Sound:
    length = Fraction(token.quarterLength).limit_denominator(1024) * STEPS_PER_QUARTER
    if token.activeTuplet is not None:
        length *= Fraction(token.activeTuplet.numberNotesNormal, token.activeTuplet.numberNotesActual)
    names = [t.pitchName for t in token.subTokens] if isinstance(token, abc.ABCChord) else [token.pitchName]
    return length, max(map(_abc_pitch, names), default=REST), token.tie in ("start", "continue")


def _abc_pitch(name: str | None) -> int:
    """MIDI pitch of a name as music21 writes it: "C#5", "E-4" (flat), "Bn4" (natural); REST for none."""
    if name is None:
        return REST
    match = _PITCH.fullmatch(name)
    if match is None:
        raise ValueError(f"pitch {name}")
    step, accidentals, octave = match.groups()
    return 12 * (int(octave) + 1) + _NATURALS[step] + accidentals.count("#") - accidentals.count("-")


def _abc_key(token: Any) -> tuple[int, str] | None:
    """Sharps and name of a K: field; None where its tonic or its mode is none that ABC knows."""
    tonic = re.match(r"[A-G][b#]?|HP|Hp", token.data)
    sharps, mode = token.getKeySignatureParameters()
    if tonic is None:
        return None
    if tonic[0] in ("HP", "Hp"):
        return sharps, f"{tonic[0]} (highland pipes)"
    return None if mode is None else (sharps, f"{tonic[0]} {mode}")


# MusicXML ---------------------------------------------------------------------------------------------------


def read_musicxml(item: Item) -> list[Draft]:
    """Every part with notes, a melody each: of notes that start together the highest, cut at the next."""
    _check_size(item.content)
    from music21 import converter

    score = converter.parse(item.content, format="musicxml", forceSource=True, storePickle=False)
    parts = [part for part in (score.parts or [score]) if part.pitches]
    name = (score.metadata and score.metadata.title) or Path(item.source).stem
    drafts = []
    for number, part in enumerate(parts, 1):
        drafts.append(draft := _draft(item, str(name), f"part {number}" if len(parts) > 1 else ""))
        meters = {
            (sign.numerator, sign.denominator) for sign in part.recurse().getElementsByClass("TimeSignature")
        }
        draft.unusable = "metre changes" if len(meters) > 1 else ""
        draft.signature = next(iter(meters), None)
        signs = list(part.recurse().getElementsByClass("KeySignature"))
        if len({sign.sharps for sign in signs}) > 1:
            draft.unusable = "key changes"
        if signs:
            draft.sharps, draft.key = int(signs[0].sharps), _key_name(getattr(signs[0], "name", ""))
        else:
            draft.sharps, draft.key = _estimated_key(Counter(pitch.midi for pitch in part.pitches))
        endings = {
            id(bracket.getFirst()): int(bracket.number) if str(bracket.number) in ("1", "2") else 3
            for bracket in part.recurse().getElementsByClass("RepeatBracket")
        }
        bars = [_measure(one, endings.get(id(one), 0)) for one in part.getElementsByClass("Measure")]
        draft.bars = [bar for bar in bars if bar.sounds]
    return drafts


def _measure(measure: Any, ending: int) -> Bar:
    starts: dict[Fraction, Sound] = {}
    total = Fraction(0)
    for element in measure.flatten().notesAndRests:
        if element.duration.isGrace or "Harmony" in element.classes:
            continue
        at, length = _steps(element.offset), _steps(element.quarterLength)
        total = max(total, at + length)
        pitch = max((p.midi for p in getattr(element, "pitches", ())), default=REST)
        if at not in starts or pitch > starts[at][1]:
            tied = element.tie is not None and element.tie.type in ("start", "continue")
            starts[at] = (length, pitch, tied)
    notes = [(at, *sound) for at, sound in sorted(starts.items()) if sound[1] != REST]
    left, right = measure.leftBarline, measure.rightBarline
    return Bar(
        _in_turn(notes, total),
        begins_repeat=getattr(left, "direction", "") == "start",
        ending=ending,
        ends_repeat=getattr(right, "direction", "") == "end",
        ends_section=right is not None and right.type != "regular",
    )


def _in_turn(notes: Sequence[tuple[Fraction, Fraction, int, bool]], total: Fraction) -> list[Sound]:
    """Sounds of (start, length, pitch, tied), sorted by start: gaps become rests, overlaps are cut."""
    sounds: list[Sound] = []
    now = Fraction(0)
    ends = [*(note[0] for note in notes[1:]), total]
    for (start, length, pitch, tied), following in zip(notes, ends, strict=True):
        if start > now:
            sounds.append((start - now, REST, False))
        sounds.append((min(length, following - start), pitch, tied))
        now = start + sounds[-1][0]
    return [*sounds, (total - now, REST, False)] if total > now else sounds


def _steps(quarters: Any) -> Fraction:
    return Fraction(quarters).limit_denominator(1024) * STEPS_PER_QUARTER


# MIDI -------------------------------------------------------------------------------------------------------


def read_midi_file(item: Item) -> list[Draft]:
    """Every track with notes, a melody each; a track in several voices by note_seq's melody extraction.

    The metre is 4/4 where the file names none. The key is its first key signature, else Krumhansl's estimate
    over all tracks. MIDI marks no pickup: a first bar that begins with silence is taken for one.
    """
    _check_size(item.content)
    midi = _parse(item.content)
    tracks = [track for track in midi.instruments if not track.is_drum and track.notes]
    meters = {(sign.numerator, sign.denominator) for sign in midi.time_signature_changes}
    per_step = Fraction(midi.resolution, STEPS_PER_QUARTER)
    drafts = []
    for number, track in enumerate(tracks, 1):
        part = track.name.strip() or f"track {number}" if len(tracks) > 1 else ""
        drafts.append(draft := _draft(item, Path(item.source).stem, part))
        draft.signature = next(iter(meters), (4, 4))
        draft.sharps, draft.key = _midi_key(midi, tracks)
        notes = sorted(
            (midi.time_to_tick(note.start) / per_step, midi.time_to_tick(note.end) / per_step, note.pitch)
            for note in track.notes
        )
        try:
            if len(meters) > 1:
                raise UnusableError("metre changes")
            if len({sign.key_number for sign in midi.key_signature_changes}) > 1:
                raise UnusableError("key changes")
            draft.bars = [_midi_bar(notes, draft.signature)]
        except UnusableError as reason:
            draft.unusable = str(reason)
    return drafts


def _midi_bar(notes: list[tuple[Fraction, Fraction, int]], signature: tuple[int, int]) -> Bar:
    """A whole track as one long bar, from its first full bar on."""
    check_grid([start for start, _, _ in notes])
    if notes[-1][0] > MAX_STEPS:
        raise UnusableError("too long")
    if any(two[0] == one[0] or one[1] - two[0] > 1 for one, two in pairwise(notes)):
        notes = _extract_melody(notes, signature)
    bar = Fraction(16 * signature[0], signature[1])
    onset = nearest(notes[0][0])
    first = onset // bar * bar
    if onset > first and any(nearest(start) >= first + bar for start, _, _ in notes):
        first += bar
    kept = [
        (max(start - first, Fraction(0)), end - first, pitch)
        for start, end, pitch in notes
        if nearest(start) >= first
    ]
    total = -(-max(end for _, end, _ in kept) // bar) * bar
    return Bar(_in_turn([(start, end - start, pitch, False) for start, end, pitch in kept], total))


def _extract_melody(
    notes: Sequence[tuple[Fraction, Fraction, int]], signature: tuple[int, int]
) -> list[tuple[Fraction, Fraction, int]]:
    """note_seq's melody of a track in several voices: (start, end, pitch) in steps."""
    note_seq = _import_note_seq()
    bar = Fraction(16 * signature[0], signature[1])
    first = nearest(notes[0][0]) // bar * bar  # where note_seq's melody starts
    sequence = note_seq.NoteSequence(ticks_per_quarter=note_seq.STANDARD_PPQ)
    sequence.tempos.add(qpm=60.0 / STEPS_PER_QUARTER)  # a step is a second, whatever the file's tempi
    sequence.time_signatures.add(numerator=signature[0], denominator=signature[1])
    for start, end, pitch in notes:
        sequence.notes.add(pitch=pitch, velocity=100, start_time=float(start), end_time=float(end))
    sequence.total_time = max(note.end_time for note in sequence.notes)
    melodies = Melodies.from_note_sequences([sequence], Vocabulary(0, 128), polyphonic=True)
    return [
        (start + first, end + first, pitch)
        for pitch, start, end in (melodies.notes(0) if len(melodies) else ())
    ]


def _midi_key(midi: Any, tracks: Sequence[Any]) -> tuple[int, str]:
    if not midi.key_signature_changes:
        lengths: Counter[int] = Counter()
        for track in tracks:
            for note in track.notes:
                lengths[note.pitch] += note.end - note.start
        return _estimated_key(lengths)
    number = midi.key_signature_changes[
        0
    ].key_number  # 0 to 11 C major to B major, 12 to 23 C minor to B minor
    major = number % 12 if number < 12 else (number + 3) % 12
    names = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    sharps = (FIFTH * major + 5) % 12 - 5
    return sharps, f"{names[number % 12]} {'major' if number < 12 else 'minor'}"


def _estimated_key(lengths: Counter[int]) -> tuple[int, str]:
    """Krumhansl's estimate, by music21, from how long each MIDI pitch sounds: sharps and name."""
    from music21 import note, stream

    line = stream.Stream()
    for pitch, length in sorted(lengths.items()):
        line.append(note.Note(pitch, quarterLength=max(float(length), 0.01)))
    key = line.analyze("key")
    return int(key.sharps), _key_name(key.name)


def _key_name(name: str) -> str:
    """ "B- major", as music21 writes it, as "Bb major"; the tonic of a minor key in capitals."""
    return name.replace("-", "b", 1)[:1].upper() + name.replace("-", "b", 1)[1:]


def _draft(item: Item, name: str, part: str) -> Draft:
    return Draft(f"{item.source} ({part})" if part else item.source, f"{name} ({part})" if part else name)


def _check_size(path: str) -> None:
    if os.path.getsize(path) > MAX_FILE_BYTES:
        raise UnusableError("too long")


_READERS = {"abc": read_abc, "musicxml": read_musicxml, "midi": read_midi_file}
