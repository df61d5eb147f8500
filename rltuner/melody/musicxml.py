"""Melodies as MusicXML, by music21, which writes some twenty a second.

Bars, ties, rests, key and time signature are laid out here: music21 only writes them down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rltuner.melody.grid import STEPS_PER_QUARTER, Meter
from rltuner.melody.key import spelled
from rltuner.melody.melodies import Melodies

REST = -1
# Durations, in steps, that one note head can have, dotted or not: whole, dotted half, ... sixteenth.
_HEADS = (16, 12, 8, 6, 4, 3, 2, 1)

Sound = tuple[int, int, int]  # MIDI pitch or REST, first step, step after the last


def musicxml(
    melodies: Melodies, index: int, *, qpm: float, sharps: int = 0, program: int = 0, title: str = ""
) -> bytes:
    """One melody of a batch as a MusicXML document; the same melody gives the same bytes.

    The last bar is filled with silence. A melody without an event is one bar's rest.

    Args:
      melodies, index: the batch, and the place in it of the melody to write.
      qpm: quarter notes a minute.
      sharps: of the key signature; flats are negative.
      program: General MIDI instrument, 0 to 127.
      title: printed above the score.
    """
    from music21 import bar, clef, instrument, key, metadata, meter, stream, tempo
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    player = instrument.instrumentFromMidiProgram(program)
    player.partId, player.instrumentId = "P1", "P1-I1"  # music21 makes up names at random
    # Notes are written as they sound, and every program plays pitches, also those that music21 takes for drums.
    player.transposition, player.midiChannel = None, 0
    part = stream.Part(id="P1")
    part.partName = player.instrumentName
    length, size = int(melodies.lengths[index]), melodies.meter.steps_per_bar
    bars: list[Any] = [stream.Measure(number=number) for number in range(1, max(1, -(-length // size)) + 1)]
    bars[0].append(
        [player, clef.TrebleClef(), key.KeySignature(sharps), meter.TimeSignature(str(melodies.meter))]
    )
    bars[0].insert(0, tempo.MetronomeMark(number=float(f"{qpm:.6g}")))
    for number, start, element in _elements(melodies.notes(index), len(bars) * size, melodies.meter, sharps):
        bars[number].insert(start / STEPS_PER_QUARTER, element)
    bars[-1].rightBarline = bar.Barline("final")
    part.append(bars)
    part.makeAccidentals(inPlace=True)
    part.makeBeams(inPlace=True)
    score = stream.Score([part])
    score.metadata = metadata.Metadata(title=title, composer="rltuner")
    exporter = GeneralObjectExporter()
    exporter.makeNotation = False  # it would lay the notes out anew
    text: bytes = exporter.parse(score)
    return re.sub(rb"\s*<encoding-date>.*?</encoding-date>", b"", text)  # bytes must not depend on the day


def _elements(notes: list[Sound], total: int, meter: Meter, sharps: int) -> Iterator[tuple[int, int, Any]]:
    """Notes and rests that fill `total` steps: (bar, step in the bar, music21 object)."""
    from music21 import note, pitch, tie

    sounds: list[Sound] = []
    now = 0
    for sound in [*notes, (REST, total, total)]:
        if sound[1] > now:
            sounds.append((REST, now, sound[1]))
        sounds.append(sound)
        now = sound[2]
    for midi, start, end in sounds:
        pieces = list(heads(start, end, meter))
        for place, (first, steps) in enumerate(pieces):
            if midi == REST:
                element: Any = note.Rest()
            else:
                letter, alteration, octave = spelled(midi, sharps)
                name = letter + ("#" * alteration if alteration > 0 else "-" * -alteration)
                element = note.Note(pitch.Pitch(f"{name}{octave}"))
                if len(pieces) > 1:
                    kind = "start" if place == 0 else "stop" if place == len(pieces) - 1 else "continue"
                    element.tie = tie.Tie(kind)
            element.quarterLength = steps / STEPS_PER_QUARTER
            yield first // meter.steps_per_bar, first % meter.steps_per_bar, element


def heads(start: int, end: int, meter: Meter) -> Iterator[tuple[int, int]]:
    """Splits a sound from step `start` to `end` into note heads, to be tied: (first step, steps) of each, in order.

    * No head crosses a bar line.
    * A head that begins within a beat ends with that beat at the latest.
    * In compound metres, where beats are dotted, a head lies within one beat or fills whole beats.
    """
    beat = meter.steps_per_beat
    while start < end:
        in_beat = start % meter.steps_per_bar % beat
        room = min(end, start - start % meter.steps_per_bar + meter.steps_per_bar) - start
        to_next_beat = beat - in_beat
        if in_beat:
            room = min(room, to_next_beat)
        is_compound = beat % 3 == 0
        steps = next(
            head
            for head in _HEADS
            if head <= room and (not is_compound or head <= to_next_beat or head % beat == 0)
        )
        yield start, steps
        start += steps
