"""Polyphonic files as notes in sixty-fourths of a 4/4 bar, and where their 4/4 bars begin.

MIDI is read by ticks. Where a file gives no tempo, its ticks say nothing of beats: tempo and first beat are then
estimated from its onsets by pretty_midi, and it is read by seconds. MusicXML is read as written, without repeats, by
music21. Drums are left out.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from rltuner.errors import InputError
from rltuner.melody.file_checks import check_musicxml
from rltuner.melody.midi import parse_midi
from rltuner.reading.estimated_key import estimated_key

STEPS = 64  # of a 4/4 bar
QUARTER = STEPS / 4
USUAL_QPM = 120.0  # where there is not enough to estimate a tempo from
LEAST_ONSETS = 4  # to estimate one
MIDI, XML = (".mid", ".midi"), (".xml", ".musicxml", ".mxl")


@dataclass(frozen=True)
class Piece:
    """Notes and bars of a file."""

    notes: list[tuple[float, float, int]]
    """(start, end, MIDI pitch) in steps from the beginning, not rounded."""
    bars: list[float]
    """Where each whole 4/4 bar begins, in steps."""
    others: int
    """Bars in other metres, or not whole."""
    sharps: int
    """Of its key, estimated by Krumhansl's profiles; 0 is C major or A minor."""
    qpm: float = 0.0
    """The tempo that was estimated; 0 where the file gives one."""


def read_piece(path: str | os.PathLike[str]) -> Piece:
    """Reads a MIDI or MusicXML file. InputError, naming it, where it cannot be read or has no notes."""
    name = os.fspath(path)
    piece = _read_midi(name) if name.lower().endswith(MIDI) else _read_xml(name)
    if not piece.notes:
        raise InputError(f"{name}: no notes in it")
    return piece


def _read_midi(path: str) -> Piece:
    midi = parse_midi(path)
    played = [note for track in midi.instruments if not track.is_drum for note in track.notes]
    if not played:
        return Piece([], [], 0, 0)
    qpm = 0.0 if _gives_tempo(path) else _estimated_tempo(midi, len(played))
    if qpm:
        begins = float(midi.estimate_beat_start()) if len(played) >= LEAST_ONSETS else 0.0
        scale = qpm / 60 * QUARTER
        notes = [((n.start - begins) * scale, (n.end - begins) * scale, n.pitch) for n in played]
        end = max(n[1] for n in notes)
        bars, others = [float(b) for b in range(0, math.ceil(end), STEPS)], 0
    else:
        per_step = midi.resolution / QUARTER
        notes = [
            (midi.time_to_tick(n.start) / per_step, midi.time_to_tick(n.end) / per_step, n.pitch)
            for n in played
        ]
        end = max(n[1] for n in notes)
        changes = [
            (midi.time_to_tick(c.time) / per_step, c.numerator, c.denominator)
            for c in midi.time_signature_changes
        ]
        bars, others = _bars_of(changes, end)
    return Piece(notes, bars, others, _sharps(notes), qpm)


def _gives_tempo(path: str) -> bool:
    import mido

    return any(message.type == "set_tempo" for track in mido.MidiFile(path).tracks for message in track)


def _estimated_tempo(midi: Any, notes: int) -> float:
    """Quarter notes a minute; the usual 120 where there are too few onsets."""
    if notes < LEAST_ONSETS:
        return USUAL_QPM
    try:
        qpm = float(midi.estimate_tempo())
    except (ValueError, IndexError):  # all onsets at one time
        return USUAL_QPM
    return qpm if math.isfinite(qpm) and qpm > 0 else USUAL_QPM


def _bars_of(changes: list[tuple[float, int, int]], end: float) -> tuple[list[float], int]:
    """The beginnings of 4/4 bars up to the end, and how many bars are in other metres. 4/4 where nothing is said."""
    if not changes or changes[0][0] > 0:
        changes = [(0.0, 4, 4), *changes]
    bars: list[float] = []
    others = 0
    for (begins, numerator, denominator), until in zip(
        changes, [*(change[0] for change in changes[1:]), end], strict=True
    ):
        size = STEPS * numerator / denominator
        count = max(0, math.ceil((until - begins) / size - 1e-6))
        if size == STEPS:
            bars += [begins + i * size for i in range(count)]
        else:
            others += count
    return bars, others


def _read_xml(path: str) -> Piece:
    from music21 import converter

    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    check_musicxml(path)
    try:
        score = converter.parse(path)
        parts = list(score.parts) or [score]
        notes = [
            (
                float(element.offset) * QUARTER,
                float(element.offset + element.quarterLength) * QUARTER,
                pitch.midi,
            )
            for part in parts
            for element in part.stripTies().flatten().notes
            if element.quarterLength > 0  # chord symbols have none
            for pitch in element.pitches
        ]
        bars: list[float] = []
        others = 0
        for measure in parts[0].getElementsByClass("Measure"):
            whole = measure.barDuration.quarterLength == 4 and measure.duration.quarterLength == 4
            if whole:
                bars.append(float(measure.offset) * QUARTER)
            else:
                others += 1
    except InputError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # music21 raises anything of broken files
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"{path}: not a readable MusicXML file ({reason})") from None
    return Piece(notes, bars, others, _sharps(notes))


def _sharps(notes: list[tuple[float, float, int]]) -> int:
    lengths: Counter[int] = Counter()
    for start, end, pitch in notes:
        lengths[pitch] += max(1, round(end - start))
    return estimated_key(lengths)[0] if lengths else 0


def nearest(steps: float) -> int:
    """The nearest whole step; halves go up."""
    return int(np.floor(steps + 0.5))
