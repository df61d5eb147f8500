"""Mean, standard deviation and interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

EMPTY = ""  # a cell of what was not run
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Values of several seeds. Of one value the deviation and the interval are NaN, of none all are."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the values."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def deviation(self) -> float:
        """The standard deviation of the seeds, by n - 1."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan

    @property
    def half(self) -> float:
        """Half the width of the 95 % interval of the mean, by Student's t."""
        count = len(self.values)
        if count < 2:
            return math.nan
        return float(student.ppf((1 + CONFIDENCE) / 2, count - 1)) * self.deviation / math.sqrt(count)

    def text(self, digits: int = 1) -> str:
        """As a cell: mean ± half of the interval; the mean alone of one seed; "" of none."""
        if not self.values:
            return EMPTY
        mean = f"{self.mean:.{digits}f}"
        return mean if math.isnan(self.half) else f"{mean} ± {self.half:.{digits}f}"


def spread(values: Sequence[float]) -> Spread:
    """Of a list."""
    return Spread(tuple(values))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
