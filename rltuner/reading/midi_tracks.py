"""MIDI files to drafts: a melody for each track with notes, in the bars that the time signatures make."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

from rltuner.errors import InputError
from rltuner.melody import STEPS_PER_QUARTER
from rltuner.melody.file_checks import check_midi
from rltuner.melody.midi import ON_GRID
from rltuner.melody.midi_events import DRUMS, MidiFile, read_events
from rltuner.reading.bars import REST, Bar, Draft, Signature, Sound, size_of
from rltuner.reading.encoding import Note, nearest
from rltuner.reading.layout import counted
from rltuner.reading.lines import Line, in_turn, line_of

SNAPPED = Fraction(
    1, 4
)  # steps: an onset no further from the grid is played inexactly, not written beside it
IN_C_MAJOR = 0.9  # of the notes; with fewer, a C major signature is a program's default
C_MAJOR = frozenset((0, 2, 4, 5, 7, 9, 11))
MAX_BARS = 20_000
MAJOR = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")  # from 7 flats on
MINOR = ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")

_DRUM_NAMES = re.compile(r"\b(drums?|drumset|percussions?|perc|schlagzeug|batterie|bateria)\b", re.IGNORECASE)

Ticks = tuple[int, int, int]
"""(first tick, tick of its end, MIDI pitch)"""


def read_midi_tracks(path: str, source: str) -> list[Draft]:
    """Every track with notes that are no drums, a melody each; the channels of a single track, where they sound
    together.

    Signatures hold wherever they stand, and of several at one tick the last; the metre is 4/4 before the first. A first
    bar that the next signature cuts short is a pickup. The key is the signature at the first note; without one, and where
    it is C major and less than nine notes of ten are in that scale, Krumhansl's estimate over all tracks.

    Raises InputError, naming the file, where it is missing, no MIDI file, or beyond the limits of `file_checks`.
    """
    try:
        file = read_events(check_midi(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not file.tracks:
        raise InputError(f"{path}: not a readable MIDI file (no track in it)")
    found = _voices(file)
    pitches: dict[int, float] = defaultdict(float)
    for _, notes in found:
        for start, end, pitch in notes:
            pitches[pitch] += (end - start) / file.ticks_per_quarter
    drafts = []
    for number, (name, notes) in enumerate(found, 1):
        part = (name or f"track {number}") if len(found) > 1 else ""
        draft = Draft(f"{source} ({part})" if part else source, Path(source).stem, name=name, is_open=True)
        draft.title += f" ({part})" if part else ""
        draft.remarks += file.remarks
        if any(note[3] == DRUMS for track in file.tracks for note in track.notes):
            draft.remarks.append("drums are left out")
        _set_bars(draft, file, notes)
        _set_key(draft, file, notes, pitches)
        drafts.append(draft)
    return drafts


def _voices(file: MidiFile) -> list[tuple[str, list[Ticks]]]:
    """(name, notes) of every track that has any and is no drums; a single track is divided by its channels, where those
    sound together."""
    found = []
    for track in file.tracks:
        notes = [note for note in track.notes if note[3] != DRUMS]
        if notes and not (_DRUM_NAMES.search(track.name.replace("_", " "))):
            found.append((track.name, notes))
    if len(found) == 1:
        channels: dict[int, list[Ticks]] = {}
        for start, end, pitch, channel in found[0][1]:
            channels.setdefault(channel, []).append((start, end, pitch))
        if len(channels) > 1 and _overlap([note[:3] for note in found[0][1]], file.ticks_per_quarter):
            return [(f"channel {channel + 1}", channels[channel]) for channel in sorted(channels)]
    return [(name, [note[:3] for note in notes]) for name, notes in found]


def _overlap(notes: Sequence[Ticks], per_quarter: int) -> bool:
    """Whether notes sound together by more than a sixteenth."""
    ordered, last = sorted(notes), 0
    for start, end, _ in ordered:
        if last - start > per_quarter / STEPS_PER_QUARTER:
            return True
        last = max(last, end)
    return False


def _set_bars(draft: Draft, file: MidiFile, notes: Sequence[Ticks]) -> None:
    per_step = Fraction(file.ticks_per_quarter, STEPS_PER_QUARTER)
    line = line_of([(start / per_step, end / per_step, pitch) for start, end, pitch in notes])
    draft.remarks += line.remarks()
    draft.rounded = sum(abs(onset - nearest(onset)) > ON_GRID for onset, _, _ in line.notes)
    draft.bars = _bars(_snapped(line), _segments(file, per_step))
    counted(draft.bars)


def _snapped(line: Line) -> list[Note]:
    """The notes, onsets near the grid on it: so that none begins before the bar line that it is played at."""
    result: list[Note] = []
    for onset, end, pitch in line.notes:
        step = Fraction(nearest(onset))
        start = step if abs(onset - step) <= SNAPPED else onset
        if result and result[-1][1] > start:
            result[-1] = (result[-1][0], start, result[-1][2])
        result.append((start, max(end, start + SNAPPED), pitch))
    return result


def _segments(file: MidiFile, per_step: Fraction) -> list[tuple[Fraction, Signature]]:
    """(first step, time signature) of every stretch in one metre; the first begins at 0."""
    changes = [(tick / per_step, (numerator, denominator)) for tick, numerator, denominator in file.meters]
    if not changes or changes[0][0] > 0:
        changes.insert(0, (Fraction(0), (4, 4)))
    result = [changes[0]]
    for at, signature in changes[1:]:
        cuts_first_bar = len(result) == 1 and at < size_of(result[0][1])
        if signature != result[-1][1] or cuts_first_bar:
            result.append((at, signature))
    return result


def _bars(notes: Sequence[Note], segments: Sequence[tuple[Fraction, Signature]]) -> list[Bar]:
    """The notes in bars, tied over bar lines; the last bar is filled with silence."""
    end = max((note[1] for note in notes), default=Fraction(0))
    lines: list[tuple[Fraction, Signature, bool]] = []  # where bars begin; whether a pickup
    for place, (at, signature) in enumerate(segments):
        until = segments[place + 1][0] if place + 1 < len(segments) else end
        is_pickup = (
            place == 0
            and len(segments) > 1
            and until < size_of(segments[1][1])
            and until <= size_of(signature)
        )
        if is_pickup:
            lines.append((at, segments[1][1], True))
            continue
        while at < min(until, end) and len(lines) < MAX_BARS:
            size = size_of(signature)
            rest = until - at
            whole = size <= rest or place + 1 == len(segments)
            lines.append((at, signature if whole else _signature_of(rest), False))
            at += size
    bars = []
    index = 0
    for place, (at, signature, is_pickup) in enumerate(lines):
        until = lines[place + 1][0] if place + 1 < len(lines) else max(end, at + size_of(signature))
        inside: list[tuple[Fraction, Fraction, int, bool]] = []
        while index < len(notes) and notes[index][1] <= at:
            index += 1
        for start, stop, pitch in islice(notes, index, None):
            if start >= until:
                break
            begins, ends = max(start, at), min(stop, until)
            inside.append((begins - at, ends - begins, pitch, stop > until))
        bars.append(Bar(in_turn(inside, until - at), signature=signature, is_pickup=is_pickup))
    return bars


def _signature_of(length: Fraction) -> Signature:
    """A time signature for a bar that another one cuts short; in 64ths, where it has no whole quarters or sixteenths."""
    for steps, denominator in ((4, 4), (1, 16)):
        if length % steps == 0:
            return int(length / steps), denominator
    return max(1, round(length * 4)), 64


def from_first_full_bar(bars: Sequence[Bar]) -> list[Bar]:
    """The bars as a corpus takes them: a first bar that begins with silence is a pickup, where another bar follows.

    MIDI marks no pickup but by a signature that cuts the first bar short.
    """
    first = next((at for at, bar in enumerate(bars) if any(sound[1] != REST for sound in bar.sounds)), 0)
    if first + 1 >= len(bars) or bars[first].is_pickup or bars[first].sounds[0][1] != REST:
        return list(bars[first:])
    later = any(pitch != REST for bar in bars[first + 1 :] for _, pitch, _ in bar.sounds)
    sounds: list[Sound] = bars[first].sounds[1:] if later else bars[first].sounds
    return [Bar(sounds, signature=bars[first].signature), *bars[first + 1 :]]


def _set_key(draft: Draft, file: MidiFile, notes: Sequence[Ticks], pitches: dict[int, float]) -> None:
    first, last = min(note[0] for note in notes), max(note[1] for note in notes)
    keys = [key for key in file.keys if key[0] <= first][-1:] + [
        key for key in file.keys if first < key[0] < last
    ]
    estimate = not keys
    if keys and keys[0][1:] == (0, False):
        inside = sum(pitch % 12 in C_MAJOR for _, _, pitch in notes)
        estimate = inside < IN_C_MAJOR * len(notes)
        if estimate:
            draft.remarks.append(
                f"its key signature is C major, as programs write by default, and {len(notes) - inside} of its "
                f"{len(notes)} notes are not of that scale: its key is estimated"
            )
    if estimate:
        draft.lengths, draft.is_key_written = pitches, False
        return
    draft.sharps = keys[0][1]
    draft.key = key_name(*keys[0][1:])
    changes = []
    for before, (tick, sharps, is_minor) in pairwise(keys):
        if sharps != before[1]:
            step = Fraction(tick * STEPS_PER_QUARTER, file.ticks_per_quarter)
            changes.append(f"bar {_bar_at(draft.bars, step)} to {key_name(sharps, is_minor)}")
    if changes:
        draft.unusable = "key changes"
        draft.remarks.append(f"the key changes, at {', '.join(changes[:4])}; notes are kept as written")


def key_name(sharps: int, is_minor: bool) -> str:
    """ "Bb major" for two flats, "G minor" for the same in minor."""
    return f"{(MINOR if is_minor else MAJOR)[sharps + 7]} {'minor' if is_minor else 'major'}"


def _bar_at(bars: Sequence[Bar], step: Fraction) -> int:
    now = Fraction(0)
    for bar in bars:
        now += bar.length
        if now > step:
            return bar.number
    return bars[-1].number if bars else 1
