"""What the manifest beside generated files says of them, for who reads the files again."""

from __future__ import annotations

import json
from pathlib import Path

MANIFEST = "manifest.json"
MELODIES = ',\n "melodies": ['  # ends what the manifest says of all melodies
LARGEST_HEAD = 1_000_000  # bytes; what stands before the melodies has some thousand
LOWEST_SHIFT = -5  # semitones; --key moves by the smallest interval


def moved_by(folder: Path) -> int:
    """Semitones that the files in a folder were moved by when they were generated; 0 without a manifest of ours."""
    if not (folder / MANIFEST).is_file():  # a pipe would be waited for
        return 0
    try:
        with (folder / MANIFEST).open("rb") as file:
            start = file.read(LARGEST_HEAD).decode(errors="replace")
        head = json.loads(start.partition(MELODIES)[0] + "}")
    except (OSError, ValueError, RecursionError):
        return 0
    shift = head.get("moved_by") if isinstance(head, dict) and "rltuner" in head else None
    return shift if type(shift) is int and LOWEST_SHIFT <= shift < LOWEST_SHIFT + 12 else 0
