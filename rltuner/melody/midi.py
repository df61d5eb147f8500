"""Notes on the sixteenth grid <-> MIDI files: written by mido, read by pretty_midi.

A note is (MIDI pitch, first step, step after the last); a step is a sixteenth. Files are read by ticks, not by
seconds, so that tempo changes and rounding of the tempo to microseconds cannot move a note.
"""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import Any

from rltuner.errors import InputError
from rltuner.melody.file_checks import check_midi
from rltuner.melody.grid import MAX_TICK, STEPS_PER_QUARTER, Meter
from rltuner.melody.key import Key

Note = tuple[int, int, int]

TICKS_PER_STEP = 120
VELOCITY = 100
MIN_QPM, MAX_QPM = 4.0, 1000.0  # microseconds per quarter have 24 bits in MIDI: 3.6 qpm is the least
ON_GRID = 0.1  # steps: a nearer onset counts as on the grid; programs that write MIDI are no more exact
MAX_NUMERATOR = 255  # of a time signature: MIDI stores it in one byte


def write_midi(
    notes: list[Note],
    path: str | os.PathLike[str],
    qpm: float,
    meter: Meter,
    program: int = 0,
    key: Key | None = None,
    ticks_per_step: int = TICKS_PER_STEP,
) -> None:
    """Writes notes as one instrument track with a tempo and a time signature.

    Args:
      notes: (MIDI pitch, first step, step after the last) each; those of one pitch must not overlap.
      path: file to write; its folder must exist.
      qpm: quarter notes a minute, in [4, 1000].
      meter: written as the time signature.
      program: General MIDI instrument, 0 (piano) to 127.
      key: its signature is written where it is given.
      ticks_per_step: 120 for steps of a sixteenth; a quarter has 480.

    Raises InputError where the tempo or the metre is out of range or the file cannot be written.
    """
    import mido

    if not (math.isfinite(qpm) and MIN_QPM <= qpm <= MAX_QPM):
        raise InputError(f"qpm={qpm}: the tempo must lie in [{MIN_QPM:g}, {MAX_QPM:g}] quarters a minute")
    numerator, denominator = meter.time_signature
    if numerator > MAX_NUMERATOR:
        raise InputError(f"metre {meter}: MIDI holds at most {MAX_NUMERATOR} beats a bar")
    # At one step a note ends before the next begins: False sorts before True.
    changes = sorted(
        [(end, False, pitch) for pitch, _, end in notes] + [(t, True, pitch) for pitch, t, _ in notes]
    )
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name="melody"))
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(qpm)))
    track.append(mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator))
    if key is not None:
        track.append(mido.MetaMessage("key_signature", key=key.signature))
    track.append(mido.Message("program_change", program=program))
    now = 0
    for step, begins, pitch in changes:
        kind = "note_on" if begins else "note_off"
        wait = (step - now) * ticks_per_step
        track.append(mido.Message(kind, note=pitch, velocity=VELOCITY if begins else 0, time=wait))
        now = step
    file = mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_STEP * STEPS_PER_QUARTER, tracks=[track])
    try:
        file.save(os.fspath(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None


def read_midi(path: str | os.PathLike[str]) -> tuple[list[Note], Meter]:
    """The notes of a MIDI file of one melody, such as `write_midi` makes, and the metre of its first time signature (4/4
    where it has none). What people have is read by `rltuner.reading`.

    Onsets and ends are rounded to the nearest step, a note to at least one step; a note that runs into the next
    onset by less than a step is cut there.

    Raises InputError: unreadable file, no notes, several tracks with notes, notes that sound together.
    """
    midi = parse_midi(path)
    tracks = [i for i in midi.instruments if not i.is_drum and i.notes]
    if not tracks:
        raise InputError(f"{path}: no notes in it; give a MIDI file with one melody")
    if len(tracks) > 1:
        raise InputError(f"{path}: {len(tracks)} tracks have notes; keep only the melody's track")
    ticks_per_step = midi.resolution / STEPS_PER_QUARTER
    notes: list[Note] = []
    last_end = 0.0  # of the last note, in steps, before rounding
    for note in sorted(tracks[0].notes, key=lambda n: (n.start, n.pitch)):
        begins, ends = (midi.time_to_tick(time) / ticks_per_step for time in (note.start, note.end))
        start = math.floor(begins + 0.5)
        end = max(math.floor(ends + 0.5), start + 1)
        if notes and (start == notes[-1][1] or last_end - begins >= 1):
            reason = "sound together" if begins < last_end else "fall on one sixteenth"
            raise InputError(
                f"{path}: two notes {reason} at {note.start:.2f} s (MIDI {notes[-1][0]} and {note.pitch}); "
                "a melody has one note at a time"
            )
        if notes:
            notes[-1] = (*notes[-1][:2], min(notes[-1][2], start))
        notes.append((note.pitch, start, end))
        last_end = ends
    signature = next(iter(midi.time_signature_changes), None)
    try:
        meter = (
            Meter()
            if signature is None
            else Meter.from_time_signature(signature.numerator, signature.denominator)
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return notes, meter


def parse_midi(path: str | os.PathLike[str]) -> Any:
    """The file as a `pretty_midi.PrettyMIDI`, whatever its tracks hold.

    Raises InputError, naming the file, where it is missing, not readable, no MIDI file, or beyond the limits of
    `file_checks`. pretty_midi's own limit of 1e7 ticks is put back here, since note_seq lifts it, whoever imports that.
    """
    import pretty_midi

    guarded = pretty_midi.pretty_midi
    guarded.MAX_TICK = min(guarded.MAX_TICK, MAX_TICK)
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path}: no such file" if not file.exists() else f"{path}: not a file")
    try:
        check_midi(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pretty_midi.PrettyMIDI(os.fspath(file))
    except PermissionError:
        raise InputError(f"{path}: not readable; check its permissions") from None
    except InputError:
        raise
    except Exception as error:  # parsers of broken files raise anything: every one means "not a MIDI file"
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"{path}: not a readable MIDI file ({reason})") from None
