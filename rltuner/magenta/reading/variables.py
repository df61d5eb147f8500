"""What the readers give: the variables of one checkpoint, their values read only when they are asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rltuner.errors import InputError

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
LARGEST_WEIGHTS = (
    64 << 20
)  # bytes of a network: 16 million numbers, two layers of 1024 units with room to spare
LARGEST_FILE = 256 << 20  # bytes that are read whole; a shard of which parts are read may be larger
MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Variables:
    """The variables of one checkpoint."""

    where: str
    """Names it in an error."""
    shapes: dict[str, tuple[int, ...]]
    """Of each variable, by name."""
    read: Callable[[str], Array]
    """Its values, float32; InputError where they are of another type, damaged or missing."""
    files: tuple[Path, ...] = field(default=())
    """That it is read from, the first of them the one that names it."""
    model: str = ""
    """What it says that it is, such as "attention_rnn"; "" where it says nothing."""
    description: str = ""
    """What else it says of itself."""
    attention: AttentionFound | None = None
    """What its graph or its description says of attention."""
    pitches: tuple[int, int] | None = None
    """Its lowest pitch, and the one after its highest, where it says so."""

    def values(self, names: Sequence[str]) -> dict[str, Array]:
        """The values of some of them. InputError before any is read where they are too large together."""
        total = sum(4 * math.prod(self.shapes[name]) for name in names)
        if total > LARGEST_WEIGHTS:
            raise InputError(
                f"{self.where}: its network has {total:,} bytes of weights; at most {LARGEST_WEIGHTS:,} are read"
            )
        return {name: self.read(name) for name in names}


@dataclass(frozen=True)
class AttentionFound:
    """How far attention reaches."""

    length: int | None
    """Steps, where that is said itself."""
    remembered: int | None
    """Else numbers that it remembers: steps times the units of the last layer inside."""
    source: str
    """Where it says so, for people."""


def checked_shape(shape: Sequence[int], name: str, where: str) -> tuple[int, ...]:
    """The shape, where it is one; InputError for negative sizes, or more dimensions or numbers than anything has."""
    if len(shape) > MOST_DIMENSIONS or any(not 0 <= size < 1 << 31 for size in shape):
        raise InputError(f"{where}: {name}: {str(list(shape))[:80]} is no shape")
    return tuple(shape)


def content_of(file: Path, largest: int = LARGEST_FILE) -> memoryview:
    """A whole file; InputError where it is none, cannot be read, or has more than `largest` bytes."""
    if not os.path.isfile(file):  # opening a named pipe would wait for a writer
        raise InputError(f"{file}: no such file")
    try:
        if file.stat().st_size > largest:
            raise InputError(f"{file}: it has {file.stat().st_size:,} bytes; at most {largest:,} are read")
        return memoryview(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error})") from None
