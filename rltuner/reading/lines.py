"""One line out of notes that sound together: a melody's highest notes, each up to the next.

Times are in steps, exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from rltuner.reading.bars import REST, Sound
from rltuner.reading.encoding import Note

TOGETHER = Fraction(1, 4)  # steps: notes that begin no further apart begin together
SHORTEST = Fraction(1)  # steps: what a note without length gets


@dataclass(frozen=True)
class Line:
    """Notes one after the other, and what it took."""

    notes: list[Note]
    chords: int
    """Places where several notes begin together; the highest was taken."""
    overlaps: int
    """Notes that were cut where the next begins, by more than a 64th."""
    covered: int
    """Notes left out, since they lie under a higher one that goes on."""
    empty: int
    """Notes without length, which last a sixteenth."""

    def remarks(self) -> list[str]:
        """What it took, a sentence each."""
        lines = []
        if self.chords:
            lines.append(f"{_many(self.chords, 'chord')}: the highest note of each is taken")
        if self.covered:
            lines.append(f"{_many(self.covered, 'note')} under a longer, higher one: left out")
        if self.overlaps:
            lines.append(f"{_many(self.overlaps, 'note')} cut where the next begins")
        if self.empty:
            lines.append(f"{_many(self.empty, 'note')} without length: kept as a sixteenth")
        return lines


def line_of(notes: Sequence[Note]) -> Line:
    """The melody in notes that may sound together.

    Of notes that begin together the highest is taken. A lower note that begins while a higher one sounds is left out
    where most of it lies under that one; else the note before it ends there, as where a player binds notes. A higher one
    ends the note before it.
    """
    found: list[Note] = []
    chords = overlaps = covered = empty = 0
    ordered = sorted(notes, key=lambda note: (note[0], -note[2]))
    index = 0
    while index < len(ordered):
        start = ordered[index][0]
        together, shortest = [ordered[index]], ordered[index][1]
        while index + len(together) < len(ordered):
            following = ordered[index + len(together)]
            if following[0] - start > TOGETHER or shortest <= following[0] > start:
                break
            together.append(following)
            shortest = min(shortest, following[1])
        index += len(together)
        chords += len({note[2] for note in together}) > 1
        onset, end, pitch = max(together, key=lambda note: (note[2], note[1]))
        if end <= onset:
            empty += 1
            end = onset + SHORTEST
        if found and found[-1][1] > onset:
            before = found[-1]
            under = min(before[1], end) - onset
            if pitch < before[2] and 2 * under > end - onset:
                covered += 1
                continue
            overlaps += before[1] - onset > TOGETHER
            found[-1] = (before[0], onset, before[2])
        found.append((onset, end, pitch))
    return Line(found, chords, overlaps, covered, empty)


def in_turn(notes: Sequence[tuple[Fraction, Fraction, int, bool]], total: Fraction) -> list[Sound]:
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


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
