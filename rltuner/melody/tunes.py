"""Tunes: whole melodies with their metre and credits, files of them, and what is cut from them.

Conventions
-----------
* A tune starts at a bar line and fills whole bars; bar k starts at event k * steps_per_bar. What is played before the
  first bar line is its pickup, which is kept beside its events.
* Events are the classes of `grid`, in the canonical form: a silence is one NOTE_OFF followed by
  NO_EVENTs, and a silence at the start is NO_EVENTs only.
* A file of tunes is one safetensors file: "events" (int8, all tunes end to end), "offsets" (int64 [N + 1]:
  tune i is events[offsets[i]:offsets[i + 1]]), and one JSON object in the metadata: titles, credits, metres, keys, info.
  One metadata entry, since safetensors writes several in any order, and equal tunes must give equal bytes. Files of the
  format "rltuner tunes 1", with several entries, are read too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody.grid import NO_EVENT, NOTE_OFF, NUM_SPECIAL_EVENTS, Meter, Vocabulary
from rltuner.melody.melodies import Melodies
from rltuner.storing.atomic import write_atomically

FORMAT, FIRST_FORMAT = "rltuner tunes 2", "rltuner tunes 1"
METADATA = "rltuner"
TEST_TUNES = "test_tunes.safetensors"  # beside the Note RNN that did not learn from them
TRAINING_TUNES = "training_tunes.safetensors"  # beside the Note RNN that did
MAX_CLASS = 127  # the largest event class an int8 can hold


@dataclass(frozen=True)
class Tune:
    """One melody. Equal tunes have equal fields, credits included; tunes are hashable."""

    title: str
    """As the source names it; the file's name where it does not."""
    source: str
    """Where it was read, e.g. "oneills1850/0001-0050.abc #12", or the path inside the corpus folder."""
    credit: str
    """Who transcribed it (the `Z:` fields of ABC), "" if nobody is named."""
    meter: Meter
    """Metre of the whole tune."""
    events: tuple[int, ...]
    """Event classes, canonical; their number is a multiple of `meter.steps_per_bar`."""
    key: str = ""
    """Key as written, before transposition, e.g. "D dorian"; "" if unknown."""
    pickup: tuple[int, ...] = ()
    """Events before the first bar line, fewer than a bar of them, in the key of `events`; () without a pickup."""
    rhythm: str = ""
    """What kind of tune it says that it is (the `R:` field of ABC), such as "reel"; "" if nothing is said."""

    @property
    def intervals(self) -> tuple[int, ...]:
        """Semitones from each onset to the next: one fewer than there are onsets, () for fewer than two."""
        onsets = [event for event in self.events if event >= NUM_SPECIAL_EVENTS]
        return tuple(after - before for before, after in pairwise(onsets))


def save_tunes(path: str | os.PathLike[str], tunes: Sequence[Tune], info: Mapping[str, Any]) -> None:
    """Writes tunes and `info` (anything JSON holds) as one file, atomically: the old file or the new.

    Raises InputError where an event class exceeds 127, or the file cannot be written.
    """
    from safetensors.torch import save

    flat = [event for tune in tunes for event in tune.events]
    if flat and not 0 <= min(flat) <= max(flat) <= MAX_CLASS:
        raise InputError(
            f"{path}: event classes {min(flat)} to {max(flat)}; a file of tunes holds 0 to {MAX_CLASS}"
        )
    lengths = torch.tensor([0, *(len(tune.events) for tune in tunes)], dtype=torch.int64)
    cards = [
        {
            "title": tune.title,
            "source": tune.source,
            "credit": tune.credit,
            "key": tune.key,
            "meter": [tune.meter.steps_per_bar, tune.meter.steps_per_beat],
            **({"pickup": list(tune.pickup)} if tune.pickup else {}),
            **({"rhythm": tune.rhythm} if tune.rhythm else {}),
        }
        for tune in tunes
    ]
    data = save(
        {"events": torch.tensor(flat, dtype=torch.int8), "offsets": lengths.cumsum(0)},
        {METADATA: json.dumps({"format": FORMAT, "tunes": cards, "info": dict(info)})},
    )
    try:
        write_atomically(Path(path), data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None


def load_tunes(path: str | os.PathLike[str]) -> tuple[list[Tune], dict[str, Any]]:
    """The tunes and the info that `save_tunes` wrote.

    Raises InputError, naming the file, where it is missing, is no file of tunes, or contradicts itself.
    """
    from safetensors import safe_open

    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            content = _content(file.metadata() or {})
            events, offsets = file.get_tensor("events"), file.get_tensor("offsets")
        cards, info = content["tunes"], content["info"]
        _check_layout(events, offsets, len(cards))
        flat, bounds = events.tolist(), offsets.tolist()
        for card in cards:
            _check_card(card)
        tunes = [
            Tune(
                title=str(card["title"]),
                source=str(card["source"]),
                credit=str(card["credit"]),
                meter=Meter(*card["meter"]),
                events=tuple(flat[start:end]),
                key=str(card["key"]),
                pickup=tuple(card.get("pickup", [])),
                rhythm=card.get("rhythm", ""),
            )
            for card, start, end in zip(cards, bounds, bounds[1:], strict=False)
        ]
    except InputError as error:
        message = str(error)
        raise InputError(message if message.startswith(f"{path}:") else f"{path}: {message}") from None
    except Exception as error:  # safetensors and json raise their own kinds: each means a damaged file
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"{path}: not a readable file of tunes ({reason})") from None
    if not isinstance(info, dict):
        raise InputError(f"{path}: its info is a {type(info).__name__}; expected an object")
    return tunes, info


def _check_card(card: Mapping[str, Any]) -> None:
    """InputError where a metre is not two whole numbers, a pickup not fewer event classes than a bar, a kind no text."""
    meter, pickup, rhythm = card["meter"], card.get("pickup", []), card.get("rhythm", "")
    if not isinstance(meter, list) or len(meter) != 2 or any(type(steps) is not int for steps in meter):
        raise InputError(f"meter {str(meter)[:40]}: expected two whole numbers")
    if not isinstance(pickup, list) or any(type(e) is not int or not 0 <= e <= MAX_CLASS for e in pickup):
        raise InputError(f"pickup {str(pickup)[:40]}: expected event classes of 0 to {MAX_CLASS}")
    if len(pickup) >= max(1, meter[0]):
        raise InputError(f"pickup of {len(pickup)} events: a bar has {meter[0]}")
    if not isinstance(rhythm, str):
        raise InputError(f"rhythm {str(rhythm)[:40]}: expected a text")


def _content(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The metadata, decoded: "tunes" (a card for each tune) and "info". InputError for an unknown format."""
    if metadata.get("format") == FIRST_FORMAT:
        return {name: json.loads(metadata[name]) for name in ("tunes", "info")}
    content = json.loads(metadata.get(METADATA, "{}"))
    found = content.get("format", metadata.get("format")) if isinstance(content, dict) else None
    if found != FORMAT:
        raise InputError(f"not a file of tunes (format {str(found)[:40]!r})")
    return dict(content)


@cache
def human_tunes() -> tuple[Tune, ...]:
    """The shipped test tunes, which no shipped network has learned from: what *human* means in every command.

    Raises InputError where they are not installed.
    """
    return tuple(load_tunes(str(resources.files("rltuner.checkpoints") / "note_rnn" / TEST_TUNES))[0])


@cache
def training_tunes(note_rnn: Path | None = None) -> tuple[Tune, ...]:
    """The tunes that a Note RNN learned from, by the folder of its checkpoint; the shipped one's where none is given.

    () where the folder has none.
    """
    folder = (
        note_rnn if note_rnn is not None else Path(str(resources.files("rltuner.checkpoints"))) / "note_rnn"
    )
    file = folder / TRAINING_TUNES
    return tuple(load_tunes(file)[0]) if file.is_file() else ()


def windows(
    tunes: Sequence[Tune], length: int, meter: Meter | None = None, vocabulary: Vocabulary | None = None
) -> Melodies:
    """The tunes of one metre cut into windows [B, length]: human melodies to compare composed ones with.

    Windows of one tune never overlap, and each starts at a bar line: the first one at or after the end of the
    window before it. A remainder shorter than `length` is left out. A NOTE_OFF before a window's first onset
    becomes NO_EVENT (the note that it ended lies in the window before).

    Args:
      tunes: of any metres; those in another metre than `meter` are left out.
      length: events a window, at least 1.
      meter: 4/4 where not given.

    B is 0 where no tune in that metre is long enough. Raises InputError where `length` is below 1.
    """
    return windows_with_tunes(tunes, length, meter, vocabulary)[0]


def windows_with_tunes(
    tunes: Sequence[Tune], length: int, meter: Meter | None = None, vocabulary: Vocabulary | None = None
) -> tuple[Melodies, Tensor]:
    """`windows`, and the number of the tune that each comes from: int64 [B], into `tunes`."""
    if length < 1:
        raise InputError(f"length={length}: a window has at least one event")
    meter = meter if meter is not None else Meter()
    stride = -(-length // meter.steps_per_bar) * meter.steps_per_bar
    places = [
        (number, start)
        for number, tune in enumerate(tunes)
        if tune.meter == meter
        for start in range(0, len(tune.events) - length + 1, stride)
    ]
    rows = [_from_first_onset(tunes[number].events[start : start + length]) for number, start in places]
    events = torch.tensor(rows, dtype=torch.int64).reshape(len(rows), length)
    numbers = torch.tensor([number for number, _ in places], dtype=torch.int64)
    return Melodies(events, vocabulary=vocabulary, meter=meter), numbers


def first_bars(tunes: Sequence[Tune], meter: Meter | None = None) -> Tensor:
    """The first bar of every tune in that metre, int64 [N, steps_per_bar]: the human primer.

    The metre is 4/4 where not given. N is 0 where no tune is in that metre.
    """
    meter = meter if meter is not None else Meter()
    size = meter.steps_per_bar
    rows = [tune.events[:size] for tune in tunes if tune.meter == meter and len(tune.events) >= size]
    return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), size)


def _from_first_onset(events: tuple[int, ...]) -> list[int]:
    """The events in the canonical form: a NOTE_OFF before the first onset becomes NO_EVENT."""
    row = list(events)
    for step, event in enumerate(row):
        if event >= NUM_SPECIAL_EVENTS:
            break
        if event == NOTE_OFF:
            row[step] = NO_EVENT
    return row


def _check_layout(events: Tensor, offsets: Tensor, count: int) -> None:
    if events.dtype != torch.int8 or events.ndim != 1 or offsets.dtype != torch.int64 or offsets.ndim != 1:
        raise InputError("its tensors are not int8 events [M] and int64 offsets [N + 1]")
    if len(offsets) != count + 1:
        raise InputError(f"{len(offsets) - 1} tunes in its tensors, {count} in its list")
    if int(offsets[0]) != 0 or int(offsets[-1]) != len(events) or bool((offsets.diff() < 0).any()):
        raise InputError("its offsets do not divide its events")
    if len(events) and int(events.min()) < 0:
        raise InputError(f"event class {int(events.min())}; classes start at 0")
