"""The pieces of report.html: tables, pictures within the page, and the page around them."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

from rltuner.eval.report.pictures import svg_text
from rltuner.eval.rows import Row, by_section
from rltuner.eval.table import Columns, cells
from rltuner.melody.plots import pyplot


def picture(name: str, caption: str, figure: Any) -> str:
    """Line drawings as SVG in the page's colours; heat maps, which are pixels, as PNG."""
    if "heat_map" not in name:
        return svg_text(figure, name, caption)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    pyplot().close(figure)
    encoded = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="{html.escape(caption)}" src="data:image/png;base64,{encoded}">'


def rows_table(columns: Columns, rows: Sequence[Row]) -> str:
    """The one table, a heading a section."""
    heads = "".join(f"<th scope=col>{html.escape(name)}</th>" for name in columns)
    lines = [f"<div class=wide tabindex=0><table><thead><tr><th></th><th></th>{heads}</tr></thead>"]
    for section, found in by_section(rows).items():
        lines.append(
            f"<tbody><tr><th colspan={len(columns) + 2} class=section>{html.escape(section)}</th></tr>"
        )
        for row in found:
            values = "".join(
                f"<td{' class=best' if cell.endswith('*') else ''}>{html.escape(cell)}</td>"
                for cell in cells(row, columns, True)
            )
            indent = " class=sub" if row.title.startswith(" ") else ""
            lines.append(
                f"<tr><th scope=row{indent}>{html.escape(row.title.strip())}</th><td>{row.wanted}</td>{values}</tr>"
            )
        lines.append("</tbody>")
    return "".join(lines) + "</table></div>"


def plain_table(heads: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    """Cells under heads; the first of each line names the line."""
    head = "".join(f"<th scope=col>{html.escape(name)}</th>" for name in heads)
    body = "".join(
        f"<tr><th scope=row>{html.escape(row[0])}</th>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table
    )
    return (
        f"<div class=wide tabindex=0><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evaluation of melodies</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  background: Canvas; color: CanvasText; }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .7rem; text-align: right; white-space: nowrap }
th[scope=row], .section { text-align: left } th[scope=row] { font-weight: normal } .sub { padding-left: 1.8rem }
thead th { border-bottom: 1px solid }
.section { padding-top: 1rem; border-bottom: 1px solid var(--line) } tbody tr:hover { background: var(--soft) }
.best { font-weight: bold } .note { font-size: .85rem; margin: .3rem 0 }
.wide { overflow-x: auto } figure { margin: 1.5rem 0 }
figure svg, figure img { display: block; max-width: 100%; height: auto }
figure svg text { fill: currentColor }
figcaption { font-size: .85rem; max-width: 48rem }
@media print {
  :root { color-scheme: light } body { max-width: none; margin: 0; font-size: 11pt } .wide { overflow: visible }
  table { font-size: .7rem } th, td { padding: .1rem .3rem; white-space: normal }
  tr, figure { break-inside: avoid } h2, .section { break-after: avoid }
}
</style></head><body>
BODY
</body></html>
"""
