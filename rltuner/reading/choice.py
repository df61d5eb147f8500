"""Which of several tracks, parts or voices is the melody: the one that is asked for, or that is named as one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rltuner.errors import InputError
from rltuner.reading.bars import Draft
from rltuner.reading.encoding import notes_of

MAX_LISTED = 20  # tracks in a refusal
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
# From the surest names on: what programs and collections call a melody.
_MELODY = (
    re.compile(
        r"\b(melod\w*|mélodie|mel|theme|tune|thema|tema)\b|旋律|メロディ|멜로디|мелоди", re.IGNORECASE
    ),
    re.compile(
        r"\b(vocals?|voice|vox|voc|lead(?:[ _]?(?:vocals?|voice|vox))?|sing(?:er|ing)?|solo|soprano|cantus|canto|chant|"
        r"gesang|stimme|voix|voz|lyrics?)\b",
        re.IGNORECASE,
    ),
)


def named_melody(drafts: Sequence[Draft]) -> Draft | None:
    """The one draft of several whose name says that it is the melody; None where none does, or more than one."""
    if len(drafts) < 2:
        return None
    for names in _MELODY:
        found = [draft for draft in drafts if names.search(re.sub(r"[\W_\d]+", " ", draft.name))]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def chosen(drafts: Sequence[Draft], track: str, file: object, what: str) -> Draft:
    """The draft that `track` names, or counts from 1. Raises InputError, with a list of them, where there is no such."""
    if track.isascii() and track.isdigit() and len(track) < 6:
        number = int(track)
        if 1 <= number <= len(drafts):
            return drafts[number - 1]
    wanted = track.strip().casefold()
    for fits in (
        wanted.__eq__,
        lambda name: wanted and name.startswith(wanted),
        lambda name: wanted and wanted in name,
    ):
        found = [draft for draft in drafts if fits(draft.name.strip().casefold())]
        if len(found) == 1:
            return found[0]
    raise InputError(f"{file}: no {what} {track!r}; it has {listed(drafts)}")


def listed(drafts: Sequence[Draft]) -> str:
    """ "1 'MELODY' (8 notes, C4 to C5), 2 'BASS' (4 notes, C2 to D2)"."""
    lines = []
    for number, draft in enumerate(drafts[:MAX_LISTED], 1):
        pitches = [
            pitch for _, _, pitch in notes_of([sound for bar in draft.bars for sound in bar.sounds])[0]
        ]
        name = f" {draft.name!r}" if draft.name else ""
        many = "1 note" if len(pitches) == 1 else f"{len(pitches)} notes"
        span = f", {_tone(min(pitches))} to {_tone(max(pitches))}" if pitches else ""
        lines.append(f"{number}{name} ({many}{span})")
    more = f" and {len(drafts) - MAX_LISTED} more" if len(drafts) > MAX_LISTED else ""
    return ", ".join(lines) + more


def _tone(pitch: int) -> str:
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"
