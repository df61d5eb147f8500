"""What can be chosen by name, and how bars of music are taken. Imports nothing heavy: `--help` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rltuner.checks import check

NetworkName = Literal["linear", "mlp"]
RewardName = Literal["distance", "weighted", "jaccard", "f1"]
Start = Literal["random", "sparse", "empty"]
Cells = Literal["sounding", "onsets"]
PresetName = Literal["quick", "seed"]


@dataclass(frozen=True)
class BarOptions:
    """Which bars of a piece are taken, and how."""

    cells: Cells = "onsets"
    """What a cell of a bar says: `sounding`, a note sounds at this step (the seed's piano roll), or `onsets`, it
    begins."""
    transpose: bool = True
    """Move every piece to C major or A minor."""
    fold: bool = True
    """Move notes outside the board's by octaves; else they are left out."""
    least_cells: int = 20
    """Sounding cells that a bar must have, also where cells are onsets. 20 is the seed's."""
    least_keys: int = 2
    """Different notes that it must have. 2 is the seed's."""

    def __post_init__(self) -> None:
        check("launchpad", "least_cells", self.least_cells, 1, 8192)
        check("launchpad", "least_keys", self.least_keys, 1, 128)
