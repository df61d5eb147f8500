"""The rows of the thesis' Figures 22 and 23, its learning curves in 3 and 4 dimensions, and what a budget makes of
them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

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
        return f"{where}{percentiles}{run.reward}-{run.observation}-n{run.n}-{gru}-{run.algorithm}".replace(
            "_", "-"
        )


def _row(
    updates: int,
    said: str,
    published: tuple[float, float] | None,
    n: int = 20,
    dimensions: int = 2,
    **other: object,
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
    _row(
        5_000,
        "not by 5k",
        (280, 59),
        reward="rating",
        observation="board",
        algorithm="acktr",
        recurrent=False,
    ),
)
"""Figures 22 and 23. Where the thesis names a number of updates in a figure's caption, that is the number run; its table
calls the two ACKTR rows recurrent, its text says that they are not, and its implementation could not."""
CURVES = (
    _row(40_000, "40k", None, dimensions=3),
    _row(130_000, "130k", None, dimensions=4),
)
"""Figures 24 and 25."""
OURS = (
    _row(10_000, "", None, observation="board", algorithm="acktr", recurrent=False, dimensions=3),
    _row(10_000, "", None, observation="board", algorithm="acktr", recurrent=False, dimensions=4),
)
"""Not in the thesis: what needs the fewest steps in 2 dimensions, in 3 and 4."""
TABLE = (*ROWS, *CURVES, *OURS)

Budget = Literal["quick", "seed"]
QUICK_STEPS = 576_000  # of the environment, of a network with a GRU
QUICK_UPDATES = {"acktr": 2_000, "a2c": 2_000}  # without a GRU


def budgeted(row: GridRow, budget: Budget, seed: int) -> GridRun:
    """The run of a row within a budget.

    "seed" is the thesis' own setting: 16 listeners, its updates. "quick" takes 32 listeners for A2C, a learning rate of
    0.002 that falls to 0 and rewards divided by 20, and 576,000 steps of the environment with a GRU, or 2,000 updates
    without; ACKTR keeps its 16 listeners and its rate. It is an eighth of the thesis' steps or less.
    """
    run = replace(row.run, seed=seed)
    if budget == "seed":
        return run
    if run.algorithm == "acktr":
        return replace(run, updates=QUICK_UPDATES["acktr"])
    updates = QUICK_STEPS // (32 * run.n) if run.recurrent else QUICK_UPDATES["a2c"]
    return replace(run, environments=32, learning_rate=2e-3, falls=True, reward_scale=0.05, updates=updates)
