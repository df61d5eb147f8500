"""What the configurations of all commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_type_hints

from rltuner.errors import InputError

DEFAULT_C = 0.8  # docs/algorithms.md says why


def check(where: str, name: str, value: float, low: float, high: float = math.inf) -> None:
    """InputError unless value is a finite number and low <= value <= high."""
    if not low <= value <= high or not math.isfinite(value):
        bounds = f"a finite number, at least {low:g}" if high == math.inf else f"in [{low:g}, {high:g}]"
        raise InputError(f"{where}: {name} = {value!r} must be {bounds}")


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
