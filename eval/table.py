"""The rows as a table: for the terminal and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from rltuner.eval.counts import Estimate
from rltuner.eval.rows import PAPER_ROWS, Row, best_of, by_section

Columns = Mapping[str, Mapping[str, Estimate]]
"""Source -> row name -> value and interval."""
LONGEST_HEAD = 9  # characters; longer names of sources are folded
NOTHING = Estimate(math.nan, math.nan, math.nan)


def without_intervals(columns: Mapping[str, Mapping[str, float]]) -> Columns:
    """Bare values, source -> row name -> value, as estimates whose intervals are NaN."""
    return {
        source: {name: Estimate(value, math.nan, math.nan) for name, value in values.items()}
        for source, values in columns.items()
    }


def cells(row: Row, columns: Columns, with_intervals: bool) -> list[str]:
    """What the row says of each source; the best one is marked by an asterisk where the intervals part."""
    found = {source: values.get(row.name, NOTHING) for source, values in columns.items()}
    best = best_of(row, found)
    return [
        row.text(value, with_intervals) + ("*" if source == best else "") for source, value in found.items()
    ]


def terminal_table(columns: Columns, rows: Sequence[Row] = PAPER_ROWS, width: int = 0) -> Group:
    """One line a row, one column a source, a heading a section where there are several.

    Intervals are shown where they fit into `width` characters; 6 sources without them fit into 80. Where even that is too
    much, the columns are shared out among several tables, one below the other; 0 asks for neither.
    """
    heads = [name.replace("paper ", "paper\n") for name in columns]
    titles = max(len(row.title) for row in rows) + 4
    shown, widths = _fitted(columns, rows, heads, True)
    if titles + sum(widths) + len(widths) > width:
        shown, widths = _fitted(columns, rows, heads, False)
    parts: list[list[int]] = [[]]
    for index, size in enumerate(widths):
        taken = titles + sum(widths[i] + 1 for i in parts[-1])
        if width and parts[-1] and taken + size + 1 > width:
            parts.append([])
        parts[-1].append(index)
    tables = [table for part in parts for table in _tables(rows, shown, heads, widths, part, titles - 4)]
    return Group(*tables)


def _tables(
    rows: Sequence[Row],
    shown: Mapping[Row, Sequence[str]],
    heads: Sequence[str],
    widths: Sequence[int],
    chosen: Sequence[int],
    titles: int,
) -> list[Table | Text]:
    """The chosen columns, a table a section under its heading, without rows that say nothing of them."""
    sections = by_section([row for row in rows if any(shown[row][i].strip("–\u00a0") for i in chosen)])
    parts: list[Table | Text] = []
    for section, found in sections.items():
        if len(by_section(rows)) > 1:
            parts.append(Text(section, style="bold"))
        table = Table(box=SIMPLE_HEAD, show_header=len(parts) < 2, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("", no_wrap=True, min_width=titles)
        table.add_column("", no_wrap=True, min_width=2)
        for i in chosen:
            table.add_column(Text(heads[i]), justify="right", overflow="fold", min_width=widths[i])
        for row in found:
            table.add_row(Text(row.title), row.wanted, *(Text(shown[row][i]) for i in chosen))
        parts.append(table)
    return parts


def _fitted(
    columns: Columns, rows: Sequence[Row], heads: Sequence[str], with_intervals: bool
) -> tuple[dict[Row, list[str]], list[int]]:
    """The cells of each row, padded so that asterisks do not move the figures, and the columns' widths."""
    shown = {row: cells(row, columns, with_intervals) for row in rows}
    has_marks = any(cell.endswith("*") for found in shown.values() for cell in found)
    if has_marks:
        shown = {row: [c if c.endswith("*") else c + "\u00a0" for c in found] for row, found in shown.items()}
    widths = [
        max(min(len(head), LONGEST_HEAD), *(len(found[i]) for found in shown.values()))
        for i, head in enumerate(heads)
    ]
    return shown, widths


def markdown_table(columns: Columns, rows: Sequence[Row] = PAPER_ROWS, with_intervals: bool = False) -> str:
    """The rows as Markdown: a table a section, under its heading where there are several."""
    lines = []
    sections = by_section(rows)
    for section, found in sections.items():
        if len(sections) > 1:
            lines += [f"### {section}", ""]
        lines += [
            "| row | wanted | " + " | ".join(name.replace("|", "\\|") for name in columns) + " |",
            "|---|:-:|" + "---:|" * len(columns),
        ]
        lines += [
            f"| {row.title.strip()} | {row.wanted} | "
            + " | ".join(cells(row, columns, with_intervals))
            + " |"
            for row in found
        ]
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"
