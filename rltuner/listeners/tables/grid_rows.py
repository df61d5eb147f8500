"""The rows of the thesis' Figures 22 and 23, its learning curves in 3 and 4 dimensions, and what a budget makes of them."""

from __future__ import annotations

from dataclasses import dataclass

from rltuner.listeners.training.grid_run import GridRun


@dataclass(frozen=True)
class GridRow:
    """A configuration that the thesis reports."""

    run: GridRun
    """With the thesis' own number of listeners and of updates."""
    published: tuple[float, float] | None
    """Its average reward and standard deviation over all targets (one run); None where only a curve is shown."""
    published_updates: str
    """After which it calls the model trained, as it says it."""

    @property
    def name(self) -> str:
        """As it is called in tables and folders."""
        run = self.run
        percentiles = "" if run.reward == "rating" else f"{run.percentiles}-"
        gru = "gru" if run.recurrent else "mlp"
        where = "" if run.dimensions == 2 else f"{run.dimensions}d-"
        return f"{where}{percentiles}{run.reward}-{run.observation}-n{run.n}-{gru}-{run.algorithm}".replace("_", "-")


def _row(
    updates: int, said: str, published: tuple[float, float] | None, n: int = 20, dimensions: int = 2, **other: object
) -> GridRow:
    return GridRow(GridRun(n=n, updates=updates, dimensions=dimensions, **other), published, said)  # type: ignore[arg-type]


ROWS = (
    _row(40_000, "40k", (168, 48), n=5, percentiles="top_target"),
    _row(80_000, "80k", (155, 66), n=5),
    _row(20_000, "20k", (178, 41), n=10),
    _row(14_000, "14k (12k)", (188, 8)),
    _row(14_000, "14k", (192, 11), observation="board"),
    _row(10_000, "10k", (189, 23), observation="board", algorithm="acktr", recurrent=False),
    _row(11_000, "11k", (300, 33), reward="rating"),
    _row(20_000, "20k", (305, 19), reward="rating", observation="board"),
    _row(20_000, "not by 20k", (253, 70), reward="rating", observation="board", recurrent=False),
    _row(5_000, "not by 5k", (280, 59), reward="rating", observation="board", algorithm="acktr", recurrent=False),
)
"""Figures 22 and 23. Where the thesis names a number of updates in a figure's caption, that is the number run; its table
calls the two ACKTR rows recurrent, its text says that they are not, and its implementation could not."""
CURVES = (
    _row(40_000, "40k", None, dimensions=3),
    _row(130_000, "130k", None, dimensions=4),
)
"""Figures 24 and 25."""
