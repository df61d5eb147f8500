"""The paper's rows as a table: for the terminal and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table

from rltuner.eval.paper import ROW_TITLES

Columns = Mapping[str, Mapping[str, float]]
"""Source -> row name -> value."""

_CORRELATIONS = ("autocorrelation_lag1", "autocorrelation_lag2", "autocorrelation_lag3")
_SMALLER_IS_BETTER = ("notes_excessively_repeated", "notes_not_in_key")


def format_value(row: str, value: float) -> str:
    """A percentage with two digits, or a correlation with its sign; a dash where there is nothing to count."""
    if math.isnan(value):
        return "–"
    return f"{value:+.3f}" if row in _CORRELATIONS else f"{value:.2%}"


def direction(row: str) -> str:
    """What the rules ask of a row: lower, higher or near 0."""
    if row in _CORRELATIONS:
        return "→0"
    return "↓" if row in _SMALLER_IS_BETTER else "↑"


def terminal_table(columns: Columns) -> Table:
    """One line a row of the paper, one column a source; 6 sources fit into 80 characters."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name.replace("paper ", "paper\n"), justify="right", overflow="fold")
    for row, row_title in ROW_TITLES.items():
        cells = (format_value(row, values[row]) for values in columns.values())
        table.add_row(row_title, direction(row), *cells)
    return table


def rewards_table(columns: Columns) -> Table:
    """Mean rewards: one line a rule, one column a source."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", overflow="fold")
    for rule in next(iter(columns.values())):
        cells = ("–" if math.isnan(values[rule]) else f"{values[rule]:+.3f}" for values in columns.values())
        table.add_row(rule, *cells)
    return table


def rewards_markdown(columns: Columns) -> str:
    """The same as Markdown."""
    lines = ["| rule | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    rules = next(iter(columns.values()))
    lines += [
        f"| {rule} | " + " | ".join(f"{column[rule]:+.3f}" for column in columns.values()) + " |"
        for rule in rules
    ]
    return "\n".join(lines) + "\n"


def markdown_table(columns: Columns) -> str:
    """The same as Markdown."""
    lines = [
        "| row | wanted | " + " | ".join(columns) + " |",
        "|---|:-:|" + "---:|" * len(columns),
    ]
    for row, row_title in ROW_TITLES.items():
        cells = " | ".join(format_value(row, values[row]) for values in columns.values())
        lines.append(f"| {row_title} | {direction(row)} | {cells} |")
    return "\n".join(lines) + "\n"
