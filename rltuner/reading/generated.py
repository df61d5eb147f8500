"""Reads the manifest.json that `rltuner generate` writes beside its files: by how much they were transposed."""

from __future__ import annotations

import json
from pathlib import Path

MANIFEST = "manifest.json"
MELODIES = ',\n "melodies": ['  # in the manifest, stands between its head and the list of melodies
LARGEST_HEAD = 1_000_000  # bytes that are read of a manifest; its head has some thousand
LOWEST_SHIFT = -5  # semitones; --key transposes by the smallest interval, -5 to 6
SHIFTS = range(
    -48, 45
)  # with the octaves of a primer that an imported network hears: the usual vocabulary stays MIDI's


def moved_by(folder: Path) -> int:
    """Semitones by which `rltuner generate` transposed the files in a folder, of `SHIFTS`.

    0 where there is no manifest, or it cannot be read, is not rltuner's or names no such shift.
    """
    if not (folder / MANIFEST).is_file():  # opening a named pipe would wait for a writer
        return 0
    try:
        with (folder / MANIFEST).open("rb") as file:
            start = file.read(LARGEST_HEAD).decode(errors="replace")
        head = json.loads(start.partition(MELODIES)[0] + "}")
    except (OSError, ValueError, RecursionError):
        return 0
    shift = head.get("moved_by") if isinstance(head, dict) and "rltuner" in head else None
    return shift if type(shift) is int and shift in SHIFTS else 0
