"""From a file or an ABC text to tunes: it is read, its bars become events, and what is dropped says why.

The readers are `abc`, `musicxml` and `midi_tracks`; the rules that every format shares are `layout` and
`encoding`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from rltuner.errors import InputError
from rltuner.interrupts import importing
from rltuner.melody import Meter, Vocabulary
from rltuner.melody.midi_events import unwrapped
from rltuner.melody.tunes import Tune
from rltuner.reading.abc.notation import read_abc
from rltuner.reading.abc.text import AbcTune
from rltuner.reading.bars import Bar, Draft, Signature, UnusableError
from rltuner.reading.choice import named_melody
from rltuner.reading.encoding import encode
from rltuner.reading.estimated_key import estimated_key
from rltuner.reading.layout import align, settle
from rltuner.reading.midi_tracks import from_first_full_bar, read_midi_tracks
from rltuner.reading.musicxml import read_musicxml
from rltuner.reading.repeats import expand_repeats, has_signs
from rltuner.reading.time_limit import OutOfTimeError, within

PARSER_VERSION = 7  # raise it with every change that alters a tune, so that cached corpora are parsed again
LONGEST_BAR = 256  # steps, 16 whole notes; one bar of 1000000000/1 would be a list of that many events
SECONDS = (
    4.0  # of CPU time a tune, a thousand times what one takes; the signal can come late, but within 5 it ends
)
MAX_FILE_BYTES = 10_000_000  # the parsers have tighter limits
KINDS = {
    ".mid": "midi",
    ".midi": "midi",
    ".smf": "midi",
    ".kar": "midi",
    ".rmi": "midi",
    ".abc": "abc",
    ".xml": "musicxml",
    ".musicxml": "musicxml",
    ".mxl": "musicxml",
}
"""What a file is, by the ending of its name."""


def kind_of(file: Path, data: bytes | None = None) -> str | None:
    """abc, midi or musicxml, by what the file begins with, else by the ending of its name; None for what is none.

    Raises OSError where it cannot be read.
    """
    if data is None:
        with file.open("rb") as opened:
            data = opened.read(4096)
    if unwrapped(data)[:4] == b"MThd":
        return "midi"
    known = KINDS.get(file.suffix.lower())
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if known is not None and (data[:2] == b"PK" or start[:5].lower() in (b"<?xml", b"<!doc", b"<scor")):
        return "musicxml"
    if known is None and re.search(rb"(?m)^X:", data) and re.search(rb"(?m)^K:", data):
        return "abc"
    return known


@dataclass(frozen=True)
class Item:
    """One unit of parsing: the text of an ABC tune, or a file."""

    kind: str
    """abc, musicxml or midi."""
    source: str
    """Where it was found, such as "airs/0001.abc #12"; becomes `Tune.source`."""
    content: str
    """The ABC text, or the path of the file."""
    line: int = 1
    """Line of the file that an ABC text begins in."""


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
    is_final: bool = True
    """False where another try may end otherwise: it ran out of time or memory, or its process ended. Never cached."""


def parse_item(item: Item, vocabulary: Vocabulary) -> list[Parsed]:
    """All tunes of an item. Never raises: what cannot be read, or not in 4 seconds of CPU time, is "broken"."""
    warm_up(item.kind)
    try:
        return within(SECONDS, lambda: _parse_item(item, vocabulary))
    except OutOfTimeError:
        return [unfinished(item, f"it takes longer than {SECONDS:g} s to read")]
    except MemoryError:
        return [unfinished(item, "it needs more memory than there is")]


def unfinished(item: Item, reason: str) -> Parsed:
    """The outcome of an item whose reading ran out of time or memory: "broken", but not final."""
    return Parsed(item.source, "broken", detail=reason, is_final=False)


def warm_up(kind: str) -> None:
    """Imports what estimates keys, outside its time limit: the import can take longer than that."""
    if kind != "abc":
        with importing():
            import_module("music21.analysis.discrete")
            import_module("music21.stream")


def drafts_of(item: Item) -> list[Draft]:
    """What the reader of its kind makes of an item; raises UnusableError, InputError, and whatever parsers raise."""
    if item.kind == "abc":
        return read_abc(AbcTune(item.content, item.line), item.source)
    return (read_musicxml if item.kind == "musicxml" else read_midi_tracks)(item.content, item.source)


def _parse_item(item: Item, vocabulary: Vocabulary) -> list[Parsed]:
    try:
        drafts = drafts_of(item)
    except UnusableError as reason:
        return [Parsed(item.source, str(reason))]
    except MemoryError:
        raise
    except Exception as error:  # a parser of broken text raises anything; one tune must not end the corpus
        says = one_line(error).removeprefix(f"{item.content}: ")
        return [Parsed(item.source, "broken", detail=says.replace(item.content, item.source))]
    if not drafts:
        return [Parsed(item.source, "no notes")]
    if item.kind == "abc":
        return [finish(drafts[0], vocabulary)]
    melody = named_melody(drafts) if item.kind == "midi" else None
    if melody is None:
        return [finish(draft, vocabulary) for draft in drafts]
    return [
        finish(draft if draft is melody else replace(draft, unusable="accompaniment"), vocabulary)
        for draft in drafts
    ]


def meter_of(signature: Signature) -> Meter:
    """The metre of a time signature; UnusableError ("metre off the grid") where the grid or a bar cannot hold it."""
    try:
        meter = Meter.from_time_signature(*signature)
    except (InputError, ZeroDivisionError):
        raise UnusableError("metre off the grid") from None
    if meter.steps_per_bar > LONGEST_BAR:
        raise UnusableError("metre off the grid")
    return meter


def as_played(bars: list[Bar], marks: list[str]) -> list[Bar]:
    """The bars with their repeats; `marks` is told of them."""
    if not has_signs(bars):
        return bars
    played = expand_repeats(bars)
    marks.append("repeats taken as written" if played is None else "repeats expanded")
    return bars if played is None else played


def finish(draft: Draft, vocabulary: Vocabulary) -> Parsed:
    """A draft as a tune of a corpus, or the reason why it is dropped."""
    marks: list[str] = []
    try:
        if draft.unusable:
            raise UnusableError(draft.unusable)
        bars = settle(from_first_full_bar(draft.bars) if draft.is_open else draft.bars)
        signatures = {bar.signature for bar in bars}
        if len(signatures) > 1:
            raise UnusableError("metre changes")
        signature = next(iter(signatures), None)
        if signature is None:
            raise UnusableError("no metre")
        # Cut time has the bar of 4/4, and tunebooks print the same reel in either: one metre here.
        meter = meter_of((4, 4) if signature == (2, 2) else signature)
        bars = as_played(bars, marks)
        sharps, key = estimated_key(draft.lengths) if draft.lengths else (draft.sharps, draft.key)
        pickup, events = encode(*align(bars, meter.steps_per_bar), sharps, meter, vocabulary)
        tune = Tune(draft.title, draft.source, draft.credit, meter, events, key, pickup, draft.rhythm)
    except UnusableError as reason:
        return Parsed(draft.source, str(reason))
    except MemoryError:
        raise
    except Exception as error:
        return Parsed(draft.source, "broken", detail=one_line(error))
    return Parsed(draft.source, "kept", tune, marks=tuple(marks))


def one_line(error: Exception) -> str:
    """What an error says, in one line of 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__
