"""MusicXML and MIDI files to drafts, a melody for each part or track with notes.

music21 reads MusicXML, pretty_midi reads MIDI, and note_seq finds the melody of a track in several voices; all three
are imported when they are first needed. What becomes of the bars is in `bars`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from rltuner.melody import STEPS_PER_QUARTER, Melodies, Vocabulary
from rltuner.melody.file_checks import check_musicxml
from rltuner.melody.midi import parse_midi
from rltuner.melody.note_sequences import import_note_seq
from rltuner.reading.bars import FIFTH, MAX_STEPS, REST, Bar, Draft, Sound, UnusableError, check_grid, nearest

# MusicXML


def read_musicxml(path: str, source: str) -> list[Draft]:
    """Every part with notes, a melody each: of notes that start together the highest, cut at the next.

    The metre is None where the file names none. Without a key signature the key is Krumhansl's estimate.
    Raises InputError beyond the limits of `file_checks`; what music21 raises for a broken file passes through.
    """
    check_musicxml(path)
    from music21 import converter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are of single measures; what is wrong with the file is raised
        score = converter.parse(path, format="musicxml", forceSource=True, storePickle=False)
    parts = [part for part in (score.parts or [score]) if part.pitches]
    name = (score.metadata and score.metadata.title) or Path(source).stem
    drafts = []
    for number, part in enumerate(parts, 1):
        drafts.append(draft := _draft(source, str(name), f"part {number}" if len(parts) > 1 else ""))
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
            draft.sharps, draft.key = estimated_key(Counter(pitch.midi for pitch in part.pitches))
        endings = {
            id(bracket.getFirst()): int(bracket.number) if str(bracket.number) in ("1", "2") else 3
            for bracket in part.recurse().getElementsByClass("RepeatBracket")
        }
        bars = [_measure(one, endings.get(id(one), 0)) for one in part.getElementsByClass("Measure")]
        draft.polyphonic = any(_is_polyphonic(one) for one in part.getElementsByClass("Measure"))
        draft.bars = [bar for bar in bars if bar.sounds]
    return drafts


def _measure(measure: Any, ending: int) -> Bar:
    """A music21 measure as a bar, without grace notes and chord symbols; `ending` is the one that starts with it."""
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


def _is_polyphonic(measure: Any) -> bool:
    notes = [n for n in measure.flatten().notes if not n.duration.isGrace and "Harmony" not in n.classes]
    return len({n.offset for n in notes}) < len(notes) or any(len(n.pitches) > 1 for n in notes)


def _steps(quarters: Any) -> Fraction:
    """Quarters as steps; music21 gives floats, whose nearest simple fraction is what was written."""
    return Fraction(quarters).limit_denominator(1024) * STEPS_PER_QUARTER


# MIDI


def read_midi_tracks(path: str, source: str) -> list[Draft]:
    """Every track with notes, a melody each; a track in several voices by note_seq's melody extraction.

    The metre is 4/4 where the file names none. The key is its first key signature, else Krumhansl's estimate
    over all tracks. MIDI marks no pickup: a first bar that begins with silence is taken for one.
    """
    midi = parse_midi(path)
    tracks = [track for track in midi.instruments if not track.is_drum and track.notes]
    meters = {(sign.numerator, sign.denominator) for sign in midi.time_signature_changes}
    per_step = Fraction(midi.resolution, STEPS_PER_QUARTER)
    drafts = []
    for number, track in enumerate(tracks, 1):
        part = track.name.strip() or f"track {number}" if len(tracks) > 1 else ""
        drafts.append(draft := _draft(source, Path(source).stem, part))
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
    note_seq = import_note_seq()
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
    """(sharps, name) of the first key signature, else of Krumhansl's estimate over all tracks."""
    if not midi.key_signature_changes:
        lengths: Counter[int] = Counter()
        for track in tracks:
            for note in track.notes:
                lengths[note.pitch] += note.end - note.start
        return estimated_key(lengths)
    number = midi.key_signature_changes[0].key_number  # 0 to 11: C to B major, 12 to 23: C to B minor
    major = number % 12 if number < 12 else (number + 3) % 12
    names = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    sharps = (FIFTH * major + 5) % 12 - 5
    return sharps, f"{names[number % 12]} {'major' if number < 12 else 'minor'}"


# Both


def _in_turn(notes: Sequence[tuple[Fraction, Fraction, int, bool]], total: Fraction) -> list[Sound]:
    """Sounds of (start, length, pitch, tied), sorted by start: gaps become rests, overlaps are cut."""
    sounds: list[Sound] = []
    now = Fraction(0)
    ends = [*(note[0] for note in notes[1:]), total] if notes else []
    for (start, length, pitch, tied), following in zip(notes, ends, strict=True):
        if start > now:
            sounds.append((start - now, REST, False))
        sounds.append((min(length, following - start), pitch, tied))
        now = start + sounds[-1][0]
    return [*sounds, (total - now, REST, False)] if total > now else sounds


def estimated_key(lengths: Mapping[int, int]) -> tuple[int, str]:
    """Krumhansl's estimate, by music21, from how long each MIDI pitch sounds: sharps and name."""
    from music21 import note, stream

    line = stream.Stream()
    for pitch, length in sorted(lengths.items()):
        line.append(note.Note(pitch, quarterLength=max(float(length), 0.01)))
    key = line.analyze("krumhansl")  # plain "key" would be Aarden and Essen's
    return int(key.sharps), _key_name(key.name)


def _key_name(name: str) -> str:
    """ "B- major", as music21 writes it, as "Bb major"; the tonic of a minor key in capitals."""
    return name.replace("-", "b", 1)[:1].upper() + name.replace("-", "b", 1)[1:]


def _draft(source: str, name: str, part: str) -> Draft:
    return Draft(f"{source} ({part})" if part else source, f"{name} ({part})" if part else name)
