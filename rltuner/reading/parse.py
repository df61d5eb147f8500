"""From a file or an ABC text to tunes: it is read, its bars become events, and what is dropped says why.

The readers are `abc_notation` and `scores`; the rules that every format shares are `bars`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from rltuner.errors import InputError
from rltuner.interrupts import importing
from rltuner.melody import Meter, Vocabulary
from rltuner.melody.note_sequences import import_note_seq
from rltuner.melody.tunes import Tune
from rltuner.reading.abc_notation import read_abc
from rltuner.reading.bars import Draft, UnusableError, align, encode, expand_repeats
from rltuner.reading.scores import read_midi_tracks, read_musicxml
from rltuner.reading.time_limit import OutOfTimeError, within

PARSER_VERSION = 6  # raise it with every change that alters a tune, so that cached corpora are parsed again
LONGEST_BAR = 256  # steps, 16 whole notes; one bar of 1000000000/1 would be a list of that many events
SECONDS = (
    4.0  # of CPU time a tune, a thousand times what one takes; the signal can come late, but within 5 it ends
)
READERS: dict[str, Callable[[str, str], list[Draft]]] = {  # kind -> reader of (content, source)
    "abc": read_abc,
    "musicxml": read_musicxml,
    "midi": read_midi_tracks,
}


MAX_FILE_BYTES = 10_000_000  # the parsers have tighter limits
KINDS = {
    ".mid": "midi",
    ".midi": "midi",
    ".abc": "abc",
    ".xml": "musicxml",
    ".musicxml": "musicxml",
    ".mxl": "musicxml",
}
"""What a file is, by the ending of its name."""


@dataclass(frozen=True)
class Item:
    """One unit of parsing: the text of an ABC tune, or a file."""

    kind: str
    """abc, musicxml or midi."""
    source: str
    """Where it was found, such as "airs/0001.abc #12"; becomes `Tune.source`."""
    content: str
    """The ABC text, or the path of the file."""


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
    """Imports the libraries of the reader of that kind, outside its time limit: imports can take longer than that."""
    with importing():
        import_module("music21.converter")
        import_module("music21.abcFormat")
        if kind == "midi":
            import_module("pretty_midi")
            import_note_seq()


def _parse_item(item: Item, vocabulary: Vocabulary) -> list[Parsed]:
    try:
        drafts = READERS[item.kind](item.content, item.source)
    except UnusableError as reason:
        return [Parsed(item.source, str(reason))]
    except MemoryError:
        raise
    except Exception as error:  # a parser of broken text raises anything; one tune must not end the corpus
        return [Parsed(item.source, "broken", detail=_one_line(error).replace(item.content, item.source))]
    if not drafts:
        return [Parsed(item.source, "no notes")]
    return [finish(draft, vocabulary) for draft in drafts]


def finish(draft: Draft, vocabulary: Vocabulary) -> Parsed:
    """A draft as a tune on the grid, or the reason why it is dropped."""
    marks: list[str] = []
    try:
        if draft.unusable:
            raise UnusableError(draft.unusable)
        if draft.signature is None:
            raise UnusableError("no metre")
        try:
            # Cut time has the bar of 4/4, and tunebooks print the same reel in either: one metre here.
            meter = Meter.from_time_signature(*((4, 4) if draft.signature == (2, 2) else draft.signature))
        except (InputError, ZeroDivisionError):
            raise UnusableError("metre off the grid") from None
        if meter.steps_per_bar > LONGEST_BAR:
            raise UnusableError("metre off the grid")
        bars = draft.bars
        if any(bar.begins_repeat or bar.ends_repeat or bar.ending for bar in bars):
            played = expand_repeats(bars)
            marks.append("repeats taken as written" if played is None else "repeats expanded")
            bars = bars if played is None else played
        pickup, events = encode(*align(bars, meter.steps_per_bar), draft.sharps, meter, vocabulary)
        tune = Tune(draft.title, draft.source, draft.credit, meter, events, draft.key, pickup, draft.rhythm)
    except UnusableError as reason:
        return Parsed(draft.source, str(reason))
    except MemoryError:
        raise
    except Exception as error:
        return Parsed(draft.source, "broken", detail=_one_line(error))
    return Parsed(draft.source, "kept", tune, marks=tuple(marks))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
