"""Records of a run, metrics.jsonl: one JSON object a line, with "updates"."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rltuner.errors import InputError
from rltuner.storing.atomic import write_all, write_atomically


def append_record(file: Path, record: Mapping[str, Any]) -> None:
    """Appends a record and forces it to the disk, so that no state saved later survives a crash without it.

    Raises InputError where the file cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            write_all(descriptor, (json.dumps(record) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InputError(
            f"{file}: cannot be written ({error.strerror or error}); the last state saved is kept, and the run can be "
            "resumed from it"
        ) from None


def read_records(file: Path) -> list[dict[str, Any]]:
    """All records, [] where there is no file; a last line that a crash cut short is left out.

    Raises InputError for any other line that is not a JSON object with a whole number "updates".
    """
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or type(record.get("updates")) is not int:
                raise ValueError
            records.append(record)
        except (ValueError, RecursionError):
            if number < len(lines):
                raise InputError(f"{file}: line {number} is not a record") from None
    return records


def keep_records(file: Path, updates: int) -> None:
    """Drops the records of updates after number `updates`, that of the state which a resumed run goes on from."""
    kept = [record for record in read_records(file) if record["updates"] <= updates]
    write_atomically(file, "".join(json.dumps(record) + "\n" for record in kept).encode())
