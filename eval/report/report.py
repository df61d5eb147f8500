"""The evaluator's report: report.html (self-contained), report.md, metrics.json, metrics.csv and plots/*.png."""

from __future__ import annotations

import csv
import html
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.eval.config import EvaluateConfig
from rltuner.eval.figures import json_text, remarks, what_was_judged, write_text
from rltuner.eval.judge import Judgement, effects
from rltuner.eval.likeness import draw
from rltuner.eval.report import page, pictures
from rltuner.eval.rows import Row
from rltuner.eval.sources import Source
from rltuner.eval.table import Columns, markdown_table
from rltuner.eval.tuning_curves import METRICS, tuning_figure, tuning_records
from rltuner.melody.plots import piano_rolls_figure
from rltuner.storing.checkpoints import find_checkpoint

ROLLS = 12
EFFECT_FLOOR = 0.2  # Cohen's "small"


def write_report(
    config: EvaluateConfig,
    judgements: Sequence[Judgement],
    rows: Sequence[Row],
    columns: Columns,
    figures: Mapping[str, Any],
    human: Source | None,
) -> None:
    """Writes everything into `config.report`, which exists and is empty; `human` is what likeness was measured to."""
    folder = config.report
    assert folder is not None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a name in letters that the pictures' font lacks
        drawn = _draw(config, judgements, human)
        try:
            (folder / "plots").mkdir()
            for name, _, figure in drawn:
                figure.savefig(folder / "plots" / f"{name}.png", dpi=120)
                # What it arranged stays, and is not worked out again for the page.
                figure.set_layout_engine("none")
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
        write_text(folder / "metrics.json", json_text(figures))
        write_text(folder / "metrics.csv", csv_text(judgements, rows))
        write_text(folder / "report.md", _markdown(config, judgements, rows, columns, drawn))
        write_text(folder / "report.html", _html(config, judgements, rows, columns, drawn))
        say(f"report: {folder / 'report.html'}, report.md, metrics.json, metrics.csv, plots/*.png")


Drawn = list[tuple[str, str, Any]]
"""File name, caption, figure."""


def _draw(config: EvaluateConfig, judgements: Sequence[Judgement], human: Source | None) -> Drawn:
    drawn: Drawn = []

    def add(kind: str, caption: str, figure: Any, source: str = "") -> None:
        """Adds a figure. Its file name is numbered: two sources may differ only in what a file name cannot hold."""
        whose = f"_{_file_name(source)}" if source else ""
        drawn.append((f"{len(drawn) + 1:02}_{kind}{whose}", caption, figure))

    if (figure := pictures.reward_kl_figure(judgements, config.c)) is not None:
        add(
            "reward_kl",
            "What the rules pay, against how far the policy went from the Note RNN for it. Along a grey line J = "
            "reward / c − KL is the same; higher lines are better.",
            figure,
        )
    add(
        "autocorrelation",
        "Mean autocorrelation of the melodies' class numbers by lag.",
        pictures.autocorrelation_figure(judgements),
    )
    first = "" if len(judgements) <= pictures.MOST_PANELS else f" The first {pictures.MOST_PANELS} sources."
    line = " The line is human." if human is not None else ""
    add(
        "histograms",
        "Share of the notes by pitch class, of the intervals, and of the times from onset to onset; the outermost bars "
        f"hold everything beyond.{line}{first}",
        pictures.histograms_figure(judgements, human),
    )
    for j in judgements:
        if (policy := j.source.policy) is not None:
            caption = f"{j.name}: the probability of every event at every step of one melody; rings are what was played."
            figure = pictures.heat_map_figure(j.name, policy, j.source.melodies[0], config.temperature)
            add("heat_map", caption, figure, j.name)
    generator = torch.Generator().manual_seed(config.seed)
    for j in judgements:
        rolls = draw(j.source.melodies, ROLLS, generator)
        caption = f"{j.name}: {len(rolls)} drawn at random."
        add("piano_rolls", caption, piano_rolls_figure(rolls, j.name), j.name)
    for j in judgements:
        if j.source.policy is not None and (records := _records(j.name)):
            tuned = j.source.policy.card.get("finetune", {})
            caption = f"{j.name}: what tuning earned by rule, and what it traded for it."
            c = float(tuned.get("c", config.c))
            add("tuning", caption, tuning_figure(records, c), j.name)
    return drawn


def _records(source: str) -> list[dict[str, Any]]:
    """metrics.jsonl of the run that made a checkpoint, where it lies beside it or in the run folder; else nothing."""
    try:
        folder = find_checkpoint(source)
        for place in (folder, folder.parent):
            if records := tuning_records(place / METRICS):
                return records
    except InputError:  # of another program, or damaged: the figures do not depend on it
        pass
    return []


def csv_text(judgements: Sequence[Judgement], rows: Sequence[Row]) -> str:
    """One line for each source and metric, with intervals and the effect size against the first source."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["source", "melodies", "metric", "title", "section", "value", "low", "high", "d", "d_low", "d_high"]
    )
    for j in judgements:
        differences = effects(j, judgements[0]) if j is not judgements[0] else {}
        for row in rows:
            if row.name not in j.estimates:
                continue
            figures = [j.estimates[row.name]] + ([differences[row.name]] if row.name in differences else [])
            numbers = [x for e in figures for x in (e.value, e.low, e.high)]
            written = ["" if x != x else f"{x:.9g}" for x in numbers] + [""] * (6 - len(numbers))
            writer.writerow(
                [j.name, len(j.source.melodies), row.name, row.title.strip(), row.section, *written]
            )
    return out.getvalue()


def _settings(config: EvaluateConfig, judgements: Sequence[Judgement]) -> str:
    text = f"Key of {config.key}; {what_was_judged(list(judgements))}"
    if any(j.source.policy is not None for j in judgements):
        text += (
            f"; composed with seed {config.seed}, temperature {config.temperature:g}, primer {config.primer}, "
            f"{config.length} events each"
        )
    return text + "."


def _effect_rows(judgements: Sequence[Judgement], rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    """For each row the effect sizes against the first source; only rows where one parts from 0 and is not small."""
    found = {j.name: effects(j, judgements[0]) for j in judgements[1:]}
    result = []
    parent = ""
    for row in rows:
        parent = parent if row.title.startswith(" ") else row.title
        values = [found[j.name].get(row.name) for j in judgements[1:]]
        if any(e is not None and abs(e.value) >= EFFECT_FLOOR and (e.low > 0 or e.high < 0) for e in values):
            cell = [f"{e.value:+.2f} [{e.low:+.2f}, {e.high:+.2f}]" if e is not None else "–" for e in values]
            title = row.title.strip() if not row.title.startswith(" ") else f"{parent}, {row.title.strip()}"
            result.append((title, cell))
    return result


def _copies(judgements: Sequence[Judgement]) -> list[tuple[str, ...]]:
    return [
        (j.name, str(copy.index + 1), str(copy.start), str(copy.events), copy.tune.title, copy.tune.source)
        for j in judgements
        for copy in j.copies[:3]
    ]


def _files(judgements: Sequence[Judgement]) -> list[str]:
    """What must be known of files that were read, or could not be."""
    return [
        line
        for j in judgements
        for line in (*(f"left out: {reason}" for reason in j.source.left_out), *j.source.remarks)
    ]


_COPY_HEADS = ("source", "melody", "from event", "events", "tune", "from")
_COPY_TEXT = (
    "The longest stretches that the most-copying melodies share with a training tune, in any key, three a source. Human "
    "tunes of one tradition share a good deal with each other, so compare with `human`."
)
_EFFECT_TEXT = (
    "Cohen's d: difference / standard deviation between melodies, with its 95 % interval. Shown where it is at least "
    f"{EFFECT_FLOOR:g} for a source and its interval leaves out 0; all of them are in metrics.csv."
)


def _markdown(
    config: EvaluateConfig,
    judgements: Sequence[Judgement],
    rows: Sequence[Row],
    columns: Columns,
    drawn: Drawn,
) -> str:
    parts = ["# Evaluation", _settings(config, judgements), markdown_table(columns, rows, True)]
    parts += remarks(list(judgements))
    if len(judgements) > 1:
        heads = ["row", *(j.name for j in judgements[1:])]
        table = [(title, *values) for title, values in _effect_rows(judgements, rows)]
        parts += [f"## Differences from {judgements[0].name}", _EFFECT_TEXT, _markdown_rows(heads, table)]
    parts += ["## Copying", _COPY_TEXT, _markdown_rows(_COPY_HEADS, _copies(judgements))]
    if files := _files(judgements):
        parts += ["## Files", "\n".join(f"* {line}" for line in files)]
    parts.append("## Pictures")
    parts += [f"![{caption}](plots/{name}.png)\n\n{caption}" for name, caption, _ in drawn]
    return "\n\n".join(parts) + "\n"


def _markdown_rows(heads: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(heads), "|" + "---|" * len(heads), *map(line, table)])


def _html(
    config: EvaluateConfig,
    judgements: Sequence[Judgement],
    rows: Sequence[Row],
    columns: Columns,
    drawn: Drawn,
) -> str:
    body = ["<h1>Evaluation</h1>", f"<p>{html.escape(_settings(config, judgements))}</p>"]
    body.append(page.rows_table(columns, rows))
    body.append("".join(f"<p class=note>{html.escape(line)}</p>" for line in remarks(list(judgements))))
    if len(judgements) > 1:
        heads = ["row", *(j.name for j in judgements[1:])]
        table = [(title, *values) for title, values in _effect_rows(judgements, rows)]
        body.append(
            f"<h2>Differences from {html.escape(judgements[0].name)}</h2><p>{html.escape(_EFFECT_TEXT)}</p>"
        )
        body.append(page.plain_table(heads, table))
    body.append(f"<h2>Copying</h2><p>{html.escape(_COPY_TEXT).replace('`', '')}</p>")
    body.append(page.plain_table(_COPY_HEADS, _copies(judgements)))
    if files := _files(judgements):
        body.append(
            "<h2>Files</h2><ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in files) + "</ul>"
        )
    body.append("<h2>Pictures</h2>")
    for name, caption, figure in drawn:
        body.append(
            f"<figure>{page.picture(name, caption, figure)}<figcaption>{html.escape(caption)}</figcaption></figure>"
        )
    return page.PAGE.replace("BODY", "\n".join(body))


def _file_name(source: str) -> str:
    """The name as a file system of any kind takes it: the last 40 of its letters."""
    kept = "".join(
        letter if (letter.isascii() and letter.isalnum()) or letter in "-_" else "_" for letter in source
    )
    return kept.strip("_")[-40:] or "source"
