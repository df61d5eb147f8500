"""Melodies of a person's own: MIDI, ABC or MusicXML, at the pitch they are written in.

A song is read whenever a sensible melody is in it. What is changed on the way is one of its remarks, which every command
that reads it says.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from rltuner.errors import InputError
from rltuner.melody import NUM_SPECIAL_EVENTS, Melodies, Meter, Vocabulary
from rltuner.reading.abc.text import AbcTune, abc_tunes, decoded
from rltuner.reading.bars import Draft, UnusableError
from rltuner.reading.choice import chosen, listed, named_melody
from rltuner.reading.encoding import ANY_PITCH, encode_song
from rltuner.reading.estimated_key import estimated_key
from rltuner.reading.layout import lay_out
from rltuner.reading.midi_tracks import key_name
from rltuner.reading.parse import (
    KINDS,
    MAX_FILE_BYTES,
    SECONDS,
    Item,
    as_played,
    drafts_of,
    kind_of,
    meter_of,
    one_line,
)
from rltuner.reading.time_limit import OutOfTimeError, within

PARTS = {"midi": "track", "musicxml": "part", "abc": "voice"}  # what a file's melodies are called
NOT_NOTES = "recordings, pictures and PDFs hold no notes to read"


@dataclass(frozen=True)
class Song:
    """A melody as it was read."""

    melody: Melodies
    """A batch of one, in its own metre, from its first bar line on."""
    title: str
    key: str
    """As the file names it, "" where it names none; not always one that `Key.parse` knows."""
    remarks: tuple[str, ...]
    """What a person should know of how it was read; one sentence each."""
    signature: str = ""
    """Key that its key signature stands for, "" where it has none. In MIDI "" also for C major, which many programs
    write by default."""
    moved: int = 0
    """Semitones it was moved by, whole octaves, to fit the vocabulary."""
    rounded: int = 0
    """Number of onsets that lay off the grid of sixteenths, and were rounded to it."""
    pickup: tuple[int, ...] = ()
    """Events before the melody's first bar line, of classes of its vocabulary. A note of theirs that goes on after the
    bar line is a hold at the beginning of the melody."""
    source: str = ""
    """The file, and the number of the tune in it where it has several: "tunes.abc #12"."""


def read_song(path: str | os.PathLike[str], vocabulary: Vocabulary | None = None, track: str = "") -> Song:
    """The melody in a file. Repeats are played, onsets are rounded to sixteenths, of chords the top notes are taken.

    Of a file with several tunes the first is taken. Of several tracks, parts or voices the one that `track` names or
    counts (from 1) is taken, else the one that is named as a melody; else the first part or voice, while a MIDI file is
    refused with a list of its tracks. A melody that leaves the vocabulary is moved by octaves; else it stays in its key.

    Raises InputError, naming the file, where it is missing, broken, silent, of an unknown format, or wider than the
    vocabulary, and where no track can be chosen.
    """
    return _moved(Path(path), _read(Path(path), track, first=True)[0], vocabulary)


def read_songs(
    path: str | os.PathLike[str], vocabulary: Vocabulary | None = None, track: str = ""
) -> tuple[list[Song], list[str]]:
    """Every tune of a file, as `read_song` reads one; and what could not be read, a line each, which names the file.

    Raises InputError where none can be read.
    """
    songs: list[Song] = []
    errors: list[InputError] = []
    for one in _read(Path(path), track, first=False, errors=errors):
        try:
            songs.append(_moved(Path(path), one, vocabulary))
        except InputError as error:
            errors.append(error)
    if not songs:
        raise errors[0]
    return songs, [str(error) for error in errors]


def read_every(path: str | os.PathLike[str], track: str = "") -> tuple[list[Song], list[str]]:
    """Every tune of a file at its own pitch; and what could not be read. Raises InputError where nothing can."""
    errors: list[InputError] = []
    songs = _read(Path(path), track, first=False, errors=errors)
    if not songs:
        raise errors[0]
    return songs, [str(error) for error in errors]


def read_as_written(path: str | os.PathLike[str], track: str = "") -> Song:
    """The melody in a file as `read_song` reads it, at any MIDI pitch."""
    return _read(Path(path), track, first=True)[0]


def _read(file: Path, track: str, *, first: bool, errors: list[InputError] | None = None) -> list[Song]:
    """The songs of a file, or only its first; tunes that cannot be read go to `errors`, where it is given."""
    kind = _kind(file)
    songs: list[Song] = []
    items, remarks = _items(file, kind, first)
    for item in items:
        try:
            song = within(SECONDS, lambda item=item: _song(file, item, track))  # type: ignore[misc]
            songs.append(replace(song, remarks=(*remarks, *song.remarks)))
        except OutOfTimeError:
            raise InputError(f"{file}: it takes longer than {SECONDS:g} s to read") from None
        except InputError as error:
            if errors is None or len(items) == 1:
                raise
            errors.append(error)
    return songs


def _kind(file: Path) -> str:
    """abc, midi or musicxml: by what the file begins with, else by the ending of its name."""
    known = ", ".join(KINDS)
    if file.is_dir():
        raise InputError(f"{file}: a folder; name one file in it, of {known}")
    if not file.is_file():
        raise InputError(f"{file}: {'not a' if file.exists() else 'no such'} file; what is read are {known}")
    try:
        kind = kind_of(file)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error})") from None
    if kind is None:
        raise InputError(f"{file}: not one of {known}; {NOT_NOTES}")
    return kind


def _items(file: Path, kind: str, first: bool) -> tuple[list[Item], list[str]]:
    """What to read in the file, and what to say of it."""
    if kind != "abc":
        return [Item(kind, file.name, os.fspath(file))], []
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{file}: it has more than {MAX_FILE_BYTES:,} bytes")
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    try:
        tunes = abc_tunes(decoded(data))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    if first and len(tunes) > 1:
        return [_item(file, tunes[0])], [f"the first of {len(tunes)} tunes"]
    several = len(tunes) > 1
    return [_item(file, tune, several) for tune in tunes], []


def _item(file: Path, tune: AbcTune, several: bool = False) -> Item:
    return Item("abc", f"{file.name} #{tune.number}" if several else file.name, tune.text, tune.line)


def _song(file: Path, item: Item, track: str) -> Song:
    """The song in an item; raises InputError, naming the file."""
    name = f"{file}{item.source.removeprefix(file.name)}"
    try:
        drafts = drafts_of(item)
    except UnusableError as reason:
        raise InputError(f"{name}: {reason}") from None
    except InputError as error:
        says = str(error)
        raise InputError(says if says.startswith(str(file)) else f"{name}: {says}") from None
    except Exception as error:  # a parser of broken text raises anything
        says = one_line(error).replace(item.content, file.name)
        raise InputError(f"{name}: cannot be read ({says})") from None
    if not drafts:
        raise InputError(f"{name}: no notes")
    draft, remarks = _chosen(drafts, name, track, item.kind)
    try:
        return replace(_of_draft(draft, remarks), source=name)
    except UnusableError as reason:
        raise InputError(f"{name}: {reason}") from None


def _chosen(drafts: Sequence[Draft], name: str, track: str, kind: str) -> tuple[Draft, list[str]]:
    """The draft to read, and what to say of the choice."""
    what = PARTS[kind]
    if track:
        return chosen(drafts, track, name, what), []
    if len(drafts) == 1:
        return drafts[0], []
    melody = named_melody(drafts)
    if melody is not None:
        return melody, [
            f"of {len(drafts)} {what}s, the one named {melody.name!r}; another: --track NAME or NUMBER"
        ]
    if kind == "midi":
        raise InputError(
            f"{name}: {len(drafts)} tracks have notes; choose the melody with --track NAME or NUMBER: {listed(drafts)}"
        )
    return drafts[0], [f"the first of {len(drafts)} {what}s; another: --track NAME or NUMBER"]


def _of_draft(draft: Draft, remarks: Sequence[str]) -> Song:
    marks: list[str] = []
    layout = lay_out(as_played(draft.bars, marks))
    remarks = [*remarks, *draft.remarks, *layout.remarks, *marks]
    try:
        meter = meter_of(layout.signature)
    except UnusableError:
        meter = Meter()
        numerator, denominator = layout.signature
        remarks.append(
            f"the grid of sixteenths cannot hold its metre, {numerator}/{denominator}: bars are counted in {meter}"
        )
    found = encode_song(layout.lead, layout.sounds, meter, is_open=draft.is_open)
    rounded = found.rounded if draft.rounded is None else draft.rounded
    count = sum(event >= NUM_SPECIAL_EVENTS for event in (*found.pickup, *found.events))
    if rounded:
        remarks.append(
            f"{rounded} of its {count + found.lost} notes lie beside the grid and begin on its sixteenths"
        )
    if found.lost:
        remarks.append(f"{found.lost} notes shorter than a sixteenth left out: another begins on theirs")
    signature = (draft.key or key_name(draft.sharps, False)) if draft.is_key_written else ""
    return Song(
        Melodies([list(found.events)], None, None, ANY_PITCH, meter),
        draft.title,
        draft.key if draft.is_key_written else "",
        tuple(remarks),
        "" if draft.is_open and signature == "C major" else signature,
        rounded=rounded,
        pickup=found.pickup,
    )


def _moved(file: Path, song: Song, vocabulary: Vocabulary | None) -> Song:
    """The song in a vocabulary."""
    target = vocabulary if vocabulary is not None else Vocabulary()
    onsets = [event for event in song.pickup if event >= NUM_SPECIAL_EVENTS]
    melody, moved = _fitted(file, song.melody, target, [event - NUM_SPECIAL_EVENTS for event in onsets])
    shift = moved - target.min_pitch
    pickup = tuple(event + shift if event >= NUM_SPECIAL_EVENTS else event for event in song.pickup)
    remark = f"moved by {moved // 12:+d} octave{'s' if abs(moved) > 12 else ''} to fit the vocabulary"
    remarks = (*song.remarks, *([remark] if moved else []))
    return replace(song, melody=melody, remarks=remarks, moved=moved, pickup=pickup)


def _fitted(
    file: Path, melody: Melodies, vocabulary: Vocabulary, before: Sequence[int]
) -> tuple[Melodies, int]:
    """The melody in the vocabulary, and the semitones that it was moved by: as few octaves as that takes.

    Pitches `before` it must fit too.
    """
    pitches = [*before, *melody.pitch[melody.is_onset].tolist()]
    low, high = min(pitches), max(pitches)
    shifts = [
        12 * octaves
        for octaves in range(-10, 11)
        if low + 12 * octaves >= vocabulary.min_pitch and high + 12 * octaves < vocabulary.max_pitch
    ]
    if not shifts:
        known = f"the vocabulary ({vocabulary.min_pitch} to {vocabulary.max_pitch - 1})"
        if high - low >= vocabulary.max_pitch - vocabulary.min_pitch:
            raise InputError(f"{file}: MIDI pitches {low} to {high} are wider than {known}")
        raise InputError(
            f"{file}: MIDI pitches {low} to {high} fit into {known} by no move of whole octaves; transpose the file"
        )
    shift = min(shifts, key=abs)
    events = melody.events + (melody.vocabulary.min_pitch + shift - vocabulary.min_pitch) * melody.is_onset
    return Melodies(events, None, None, vocabulary, melody.meter), shift


def krumhansl_key(melody: Melodies) -> str:
    """The key of a batch of one by music21's Krumhansl-Schmuckler analysis, from how long each pitch sounds."""
    lengths = torch.zeros(128)
    for pitch, start, end in melody.notes(0):
        lengths[pitch] += end - start
    return estimated_key({pitch: int(length) for pitch, length in enumerate(lengths.tolist()) if length})[1]
