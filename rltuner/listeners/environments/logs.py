"""Session logs of people, as CSV or Parquet, in place of a simulator.

Logs have a row a play, ordered by time within a session, with the columns

    session    any text or number
    song       its name, as in the items
    skipped    0 or 1
    time       optional: a number that does not fall within a session

or the layout of Yambda's listens (its documentation on Hugging Face, yandex/yambda): `uid`, `timestamp` (seconds),
`item_id` and `played_ratio_pct`; a session ends where nothing is played for half an hour, and what is played to less than
half is skipped. Items have a row a song: `song` (or `item_id`) and one numeric column a feature, or Yambda's `embed`, a
list.

`LoggedResponses` answers what the nearest logged state and action were answered: Euclidean distance between (the last 5
songs and answers, the song asked about). It abstains where nothing logged is near: farther away than 95 % of the logged
rows are from the nearest row of another session.

CSV is read by Python's own reader, Parquet by pyarrow: `pip install 'rltuner[logs]'`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rltuner.errors import InputError, suggest
from rltuner.listeners.environments.sessions import HISTORY, Answers, Opening

MOST_ROWS = 200_000  # of a file
LARGEST_FILE = 200_000_000  # bytes
MOST_FEATURES = 256
NEAR = 0.95  # quantile of distances within the logs
PAUSE, HALF = 1800, 50  # seconds between two of Yambda's sessions; per cent of a track
SAMPLE = 2_000  # rows from which the largest distance is computed


@dataclass(frozen=True)
class Logs:
    """Plays in order: of each its session, song and answer, int64 [M], int64 [M] and bool [M]."""

    session: Tensor
    song: Tensor
    kept: Tensor


def read_items(file: Path) -> tuple[list[str], Tensor]:
    """The songs and their features, standardised, float32 [N, d]. InputError, naming row and column, where they cannot be
    used."""
    names: list[str] = []
    rows: list[list[float]] = []
    columns: list[str] | None = None
    for number, row in enumerate(_rows(file), start=1):
        key = next((name for name in ("song", "item_id") if name in row), None)
        if key is None:
            raise InputError(f"{file}: no column song (or item_id); it has {', '.join(map(str, row))[:80]}")
        if columns is None:
            columns = [name for name in row if name != key]
        values = row["embed"] if "embed" in row else [row.get(name) for name in columns]
        if not isinstance(values, list) or not 1 <= len(values) <= MOST_FEATURES:
            raise InputError(f"{file}: row {number}: 1 to {MOST_FEATURES} features are needed")
        names.append(str(row[key]))
        rows.append([_number(value, file, number, "a feature") for value in values])
        if len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"{file}: row {number}: {len(rows[-1])} features, the first row has {len(rows[0])}"
            )
    if not rows:
        raise InputError(f"{file}: no items in it")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{file}: song {twice[:40]!r} is there twice")
    points = torch.tensor(rows)
    deviation = points.std(dim=0, correction=0)
    return names, (points - points.mean(dim=0)) / torch.where(deviation > 1e-9, deviation, 1.0)


def read_logs(file: Path, names: Sequence[str]) -> Logs:
    """The plays of a file. InputError, naming the row, for missing columns, unknown songs, values that are no numbers,
    and times out of order."""
    numbers = {name: number for number, name in enumerate(names)}
    sessions: dict[object, int] = {}
    last: dict[object, float] = {}
    session: list[int] = []
    song: list[int] = []
    kept: list[bool] = []
    for number, row in enumerate(_rows(file), start=1):
        is_yambda = "uid" in row
        wanted = (
            ("uid", "timestamp", "item_id", "played_ratio_pct")
            if is_yambda
            else ("session", "song", "skipped")
        )
        for column in wanted:
            if column not in row:
                raise InputError(f"{file}: no column {column}; it has {', '.join(map(str, row))[:80]}")
        who, what = str(row[wanted[0]]), str(row["item_id" if is_yambda else "song"])
        if what not in numbers:
            raise InputError(f"{file}: row {number}: unknown song {what[:40]!r}; {_near(what, names)}")
        time = row.get("timestamp" if is_yambda else "time")
        if time not in (None, ""):
            at = _number(time, file, number, "a time")
            if at < last.get(who, -math.inf):
                raise InputError(
                    f"{file}: row {number}: time {at:g} lies before {last[who]:g}, the one before it; sort by it"
                )
            if is_yambda and at - last.get(who, at) > PAUSE:
                sessions[who] = len(sessions) + len(session)  # a new number for the same listener
            last[who] = at
        if is_yambda:
            is_kept = _number(row["played_ratio_pct"], file, number, "played_ratio_pct") >= HALF
        else:
            answer = str(row["skipped"]).strip().lower()
            if answer not in ("0", "1", "true", "false"):
                raise InputError(f"{file}: row {number}: skipped = {answer[:20]!r} must be 0 or 1")
            is_kept = answer in ("0", "false")
        session.append(sessions.setdefault(who, len(sessions) + len(session)))
        song.append(numbers[what])
        kept.append(is_kept)
    if not session:
        raise InputError(f"{file}: no plays in it")
    return Logs(torch.tensor(session), torch.tensor(song), torch.tensor(kept))


class LoggedResponses:
    """See above.

    Args:
      points: of the songs, float32 [N, d], as `read_items` gives them.
      logs: of the same songs.

    Raises InputError where no session has 6 plays, 5 of a history and one answered.
    """

    def __init__(self, points: Tensor, logs: Logs) -> None:
        histories, songs, kept, owner = [], [], [], []
        for number in logs.session.unique().tolist():
            rows = (logs.session == number).nonzero()[:, 0]
            for end in range(HISTORY, len(rows)):
                histories.append(rows[end - HISTORY : end])
                songs.append(int(logs.song[rows[end]]))
                kept.append(bool(logs.kept[rows[end]]))
                owner.append(number)
        if not histories:
            raise InputError(f"the logs have no session of {HISTORY + 1} plays: nothing can be asked of them")
        self.points = points
        chosen = torch.stack(histories)  # (M, 5)
        self.opening_tunes, self.opening_kept = logs.song[chosen], logs.kept[chosen]
        answers = torch.where(self.opening_kept, 1.0, -1.0)
        states = torch.cat([points[self.opening_tunes], answers[..., None]], dim=2).flatten(1)
        self.keys = torch.cat([states, points[torch.tensor(songs)]], dim=1)  # (M, 5 (d + 1) + d)
        self.kept = torch.tensor(kept)
        self.reach = self._reach(torch.tensor(owner))

    def _reach(self, owner: Tensor) -> float:
        """How far away the nearest row of another session is, for 95 % of the rows; infinite for one session."""
        some = torch.randperm(len(owner), generator=torch.Generator().manual_seed(0))[:SAMPLE]
        nearest = []
        for part in some.split(256):
            distance = torch.cdist(self.keys[part], self.keys)
            nearest.append(distance.masked_fill(owner[part][:, None] == owner, math.inf).amin(dim=1))
        found = torch.cat(nearest)
        return float(found.quantile(NEAR)) if bool(found.isfinite().all()) else math.inf

    def open(self, count: int, generator: torch.Generator) -> Opening:
        """Histories drawn uniformly from the logs."""
        rows = torch.randint(len(self.kept), (count,), generator=generator)
        return Opening(self.opening_tunes[rows], self.opening_kept[rows])

    def answer(self, history: Tensor, tunes: Tensor, generator: torch.Generator) -> Answers:
        """What the nearest logged state and action were answered; not known where it is too far away."""
        asked = torch.cat([history, self.points[tunes]], dim=1)
        parts = [torch.cdist(part, self.keys).min(dim=1) for part in asked.split(256)]
        distance = torch.cat([part.values for part in parts])
        nearest = torch.cat([part.indices for part in parts])
        known = distance <= self.reach
        return Answers(self.kept[nearest] & known, known)

    def tensors(self) -> dict[str, Tensor]:
        """Nothing changes."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing changes."""


def _rows(file: Path) -> Iterator[dict[Any, Any]]:
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    if file.stat().st_size > LARGEST_FILE:
        raise InputError(f"{file}: it has more than {LARGEST_FILE:,} bytes; take a part of it")
    if file.suffix.lower() == ".parquet":
        yield from _parquet(file)
        return
    if file.suffix.lower() != ".csv":
        raise InputError(f"{file}: logs and items are .csv or .parquet files")
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            for number, row in enumerate(csv.DictReader(opened)):
                _check_count(file, number)
                if None in row or None in row.values():
                    raise InputError(f"{file}: row {number + 1}: not as many values as there are columns")
                yield row
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"{file}: cannot be read ({error})") from None


def _parquet(file: Path) -> Iterator[dict[Any, Any]]:
    if find_spec("pyarrow") is None:
        raise InputError(
            f"{file}: Parquet needs pyarrow, which is not installed: pip install 'rltuner[logs]'"
        )
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file) as opened:
            _check_count(file, opened.metadata.num_rows - 1)
            for batch in opened.iter_batches(batch_size=4096):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{file}: cannot be read ({' '.join(str(error).split())[:120]})") from None


def _check_count(file: Path, number: int) -> None:
    if number >= MOST_ROWS:
        raise InputError(f"{file}: more than {MOST_ROWS:,} rows; take a part of it")


def _number(value: object, file: Path, row: int, what: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
        if math.isfinite(number):
            return number
    except (TypeError, ValueError):
        pass
    raise InputError(f"{file}: row {row}: {what} is {str(value)[:20]!r}, no finite number")


def _near(name: str, names: Sequence[str]) -> str:
    return suggest(name, list(names)) if len(names) <= 2000 else "it is not among the items"
