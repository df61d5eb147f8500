"""One melody of a person's own: MIDI, ABC or MusicXML, at the pitch it is written in."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import torch

from rltuner.errors import InputError
from rltuner.melody import Melodies, Vocabulary, events_of_notes
from rltuner.melody.midi import read_midi_melody
from rltuner.reading.abc_notation import decoded, split_abc
from rltuner.reading.bars import REST, Bar, UnusableError
from rltuner.reading.parse import KINDS, MAX_FILE_BYTES, READERS, SECONDS, finish, warm_up
from rltuner.reading.scores import estimated_key
from rltuner.reading.time_limit import OutOfTimeError, within

ANY_PITCH = Vocabulary(0, 128)


@dataclass(frozen=True)
class Song:
    """A melody as it was read."""

    melody: Melodies
    """A batch of one, in its own metre."""
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
    """Events before the melody's first bar line, of classes of its vocabulary; of ABC and MusicXML, which mark it."""


def read_song(path: str | os.PathLike[str], vocabulary: Vocabulary | None = None) -> Song:
    """The melody in a file. Repeats are played, a pickup is left out, onsets are rounded to sixteenths.

    Of a file with several tunes or parts the first is taken. A melody that leaves the vocabulary is moved by octaves;
    else it stays in its key.

    Raises InputError, naming the file, where it is missing, broken, in several voices, silent, of an unknown format, or
    wider than the vocabulary.
    """
    file = Path(path)
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise InputError(f"{file}: not one of {', '.join(KINDS)}")
    song = _read(file, kind)
    melody, moved = _fitted(file, song.melody, vocabulary if vocabulary is not None else Vocabulary())
    remark = f"moved by {moved // 12:+d} octave{'s' if abs(moved) > 12 else ''} to fit the vocabulary"
    remarks = (*song.remarks, *([remark] if moved else []))
    return replace(song, melody=melody, remarks=remarks, moved=moved, pickup=())


def read_as_written(path: str | os.PathLike[str]) -> Song:
    """The melody in a file as `read_song` reads it, at any MIDI pitch; a name of no known ending is taken for MIDI."""
    file = Path(path)
    return _read(file, KINDS.get(file.suffix.lower(), "midi"))


def _read(file: Path, kind: str) -> Song:
    if not file.is_file():
        raise InputError(f"{file}: {'not a' if file.exists() else 'no such'} file")
    if kind != "midi":
        warm_up(kind)
    try:
        return within(SECONDS, lambda: _from_midi(file) if kind == "midi" else _from_score(file, kind))
    except OutOfTimeError:
        raise InputError(f"{file}: it takes longer than {SECONDS:g} s to read") from None


def _from_midi(file: Path) -> Song:
    found = read_midi_melody(file)
    melody = Melodies(events_of_notes(found.notes, ANY_PITCH), None, None, ANY_PITCH, found.meter)
    return Song(melody, file.stem, "", (), found.key, rounded=found.rounded)


def _from_score(file: Path, kind: str) -> Song:
    """ABC and MusicXML, by the corpus's parser without its transposition."""
    content = str(file)
    remarks = []
    if kind == "abc":
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                raise InputError(f"{file}: it has more than {MAX_FILE_BYTES:,} bytes")
            data = file.read_bytes()
        except OSError as error:
            raise InputError(f"{file}: cannot be read ({error.strerror})") from None
        try:
            tunes = split_abc(decoded(data))
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
        if len(tunes) > 1:
            remarks.append(f"the first of {len(tunes)} tunes")
        content = tunes[0]
    try:
        drafts = READERS[kind](content, file.name)
    except UnusableError as reason:
        raise InputError(f"{file}: {reason}") from None
    except Exception as error:  # a parser of broken text raises anything
        says = str(error).removeprefix(f"{file}: ").replace(content, file.name)
        raise InputError(f"{file}: cannot be read ({' '.join(says.split())[:160]})") from None
    if not drafts:
        raise InputError(f"{file}: no notes")
    if len(drafts) > 1:
        remarks.append(f"the first of {len(drafts)} parts")
    if drafts[0].polyphonic:
        raise InputError(f"{file}: several notes at once; a melody has one at a time")
    parsed = finish(replace(drafts[0], sharps=0), ANY_PITCH)
    if parsed.tune is None:
        raise InputError(f"{file}: {parsed.detail or parsed.outcome}")
    remarks += list(parsed.marks)
    melody = Melodies([list(parsed.tune.events)], None, None, ANY_PITCH, parsed.tune.meter)
    rounded = sum(_off_grid(bar) for bar in drafts[0].bars)
    key = parsed.tune.key
    return Song(
        melody, parsed.tune.title, key, tuple(remarks), key, rounded=rounded, pickup=parsed.tune.pickup
    )


def _off_grid(bar: Bar) -> int:
    """Onsets in a bar, as it is written, that lie beside the grid."""
    ends = list(accumulate(length for length, _, _ in bar.sounds))
    starts = zip([Fraction(0), *ends], bar.sounds, strict=False)
    return sum(start.denominator > 1 and pitch != REST for start, (_, pitch, _) in starts)


def _fitted(file: Path, melody: Melodies, vocabulary: Vocabulary) -> tuple[Melodies, int]:
    """The melody in the vocabulary, and the semitones that it was moved by: as few octaves as that takes."""
    pitches = melody.pitch[melody.is_onset]
    if not len(pitches):
        raise InputError(f"{file}: no notes")
    low, high = int(pitches.min()), int(pitches.max())
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
