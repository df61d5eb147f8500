"""The answers as CSV files for other programs, with a codebook that explains every column."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rltuner.errors import InputError
from rltuner.storing.atomic import write_atomically
from rltuner.study.analysis.analyze import Analysis
from rltuner.study.folder import PLAN

ANSWERS, LISTENERS, CODEBOOK = "answers.csv", "listeners.csv", "codebook.md"


def export(analysis: Analysis, folder: Path) -> list[Path]:
    """Writes answers.csv (a row a trial), listeners.csv (a row a listener) and codebook.md; returns them.

    Raises InputError where the folder cannot be written to.
    """
    contents = {
        ANSWERS: _csv(answer_rows(analysis)),
        LISTENERS: _csv(listener_rows(analysis)),
        CODEBOOK: codebook(analysis).encode(),
    }
    return write_files(folder, contents)


def write_files(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    """Writes files into a folder, which is made; InputError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror})") from None
    return [folder / name for name in contents]


def answer_rows(analysis: Analysis) -> list[dict[str, object]]:
    """The rows of answers.csv."""
    status = {listener.number: listener.status for listener in analysis.listeners}
    rows = []
    for one in analysis.judgements:
        (first, second), (source, other) = one.item, one.sources
        a, b = ((first, source), (second, other)) if one.first_is_a else ((second, other), (first, source))
        rows.append(
            {
                "simulated": int(analysis.simulated is not None),
                "listener": one.listener,
                "included": int(status[one.listener] == "included"),
                "position": one.position,
                "kind": one.kind,
                "source_a": a[1],
                "source_b": b[1],
                "clip_a": a[0],
                "clip_b": b[0],
                **{question.id: one.answers[question.id] for question in analysis.study.plan.questions},
                "plays_a": one.plays[0],
                "plays_b": one.plays[1],
                "seconds": round(one.seconds, 2),
            }
        )
    return rows


def listener_rows(analysis: Analysis) -> list[dict[str, object]]:
    """The rows of listeners.csv."""
    return [
        {
            "simulated": int(analysis.simulated is not None),
            "listener": one.number,
            "status": one.status,
            "consented": datetime.fromtimestamp(one.consented_at, UTC).isoformat(timespec="seconds"),
            "finished": int(one.finished),
            "answered": one.answered,
            "missed_identical": one.missed[0],
            "missed_random": one.missed[1],
            **{asked.id: one.about.get(asked.id, "") for asked in analysis.study.plan.listener_questions},
        }
        for one in analysis.listeners
    ]


def codebook(analysis: Analysis) -> str:
    """What every column of both files means, as Markdown."""
    plan = analysis.study.plan
    listeners = "simulated listeners, no people" if analysis.simulated is not None else "people"
    lines = [
        f"# Codebook: {plan.texts.title}",
        "",
        f"The listeners are {listeners}. Study {analysis.study.digest}.",
        "",
        f"{analysis.rule}",
        "",
        f"## {ANSWERS}: one row for each trial that was answered",
        "",
        *_table(
            [
                ("simulated", "1: the listeners were simulated; 0: people"),
                ("listener", "number of the listener, from 0, in the order of consent"),
                ("included", f"1: the listener counts; 0: excluded, see `status` in {LISTENERS}"),
                ("position", f"place of the trial in the listener's session, 1 to {plan.trials}"),
                (
                    "kind",
                    "`pair` of two sources; catch trials: `identical` (the same clip twice), `random notes` (a human "
                    "tune against random notes)",
                ),
                ("source_a, source_b", "source of the melody played as A, as B"),
                ("clip_a, clip_b", "file of that melody in `stimuli/`"),
                *(
                    (
                        question.id,
                        f"“{question.text}” "
                        + ", ".join(f"{value} = {label}" for value, label in enumerate(question.answers, 1)),
                    )
                    for question in plan.questions
                ),
                ("plays_a, plays_b", "how often A and B were played to the end, as the page reports it"),
                ("seconds", "from the first time the pair was shown to the answer, by the server's clock"),
            ]
        ),
        "",
        f"## {LISTENERS}: one row for each listener who consented",
        "",
        *_table(
            [
                ("simulated, listener", "as above"),
                (
                    "status",
                    "`included`; `incomplete`: too few answers; `same recruiting id again`; `failed catch trials`",
                ),
                ("consented", "when, ISO 8601, UTC"),
                ("finished", "1: reached the last page"),
                ("answered", "trials answered, catch trials included"),
                ("missed_identical, missed_random", "catch trials missed, of either kind"),
                *(
                    (asked.id, f"“{asked.text}” " + "; ".join(asked.choices))
                    for asked in plan.listener_questions
                ),
            ]
        ),
        "",
        f"Sources are made from what `{PLAN}` and the study's key name. Empty cells: not answered.",
    ]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    body = [f"| {name} | {meaning.replace('|', '/')} |" for name, meaning in rows]
    return ["| column | meaning |", "|---|---|", *body]


def _csv(rows: Sequence[dict[str, object]]) -> bytes:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue().encode()
