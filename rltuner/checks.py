"""What the configurations of all commands share."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import get_type_hints

from rltuner.errors import InputError

DEFAULT_C = 0.8  # docs/algorithms.md says why
MOST_LAYERS, MOST_UNITS = 16, 16_384  # of a network
# Beyond what any machine does; below that memory decides.
MOST_THREADS = 512
MOST_EVENTS = 100_000  # of a melody: 6250 bars
MOST_MELODIES = 10_000_000  # composed, kept or judged
MOST_AT_ONCE = 1_000_000  # melodies, windows or particles in one step
MOST_FILES = 100_000
MOST_ROUNDS = 10**9  # updates, or rounds


def check(where: str, name: str, value: float, low: float, high: float = math.inf) -> None:
    """InputError unless value is a finite number that a float can hold, and low <= value <= high."""
    if not low <= value <= min(high, sys.float_info.max):
        bounds = (
            f"a finite number, at least {low:g}" if high == math.inf else f"in [{_text(low)}, {_text(high)}]"
        )
        raise InputError(f"{where}: {name} = {str(value)[:40]} must be {bounds}")


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def tidy(config: object) -> None:
    """Turns text into paths where a field is a path; InputError where a whole number is something else."""
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if kind in (Path, Path | None) and isinstance(value, str):
            object.__setattr__(config, name, Path(value))
        if kind is int and type(value) is not int:
            raise InputError(f"{name} = {value!r} must be a whole number")


def check_seed(where: str, seed: int) -> None:
    """InputError unless the seed is one that every generator takes, with room for those counted up from it."""
    check(where, "seed", seed, 0, 2**53)
