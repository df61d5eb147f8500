"""The figures of several sources as plain values and as sentences."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rltuner.errors import InputError
from rltuner.eval.config import EvaluateConfig
from rltuner.eval.judge import Judgement, effects
from rltuner.eval.paper import ROW_TITLES
from rltuner.eval.sources import HUMAN
from rltuner.rules.book import RuleBook
from rltuner.version import __version__

FEW = 100  # windows; with fewer, likeness is a guess


def what_was_judged(judgements: list[Judgement]) -> str:
    """How many melodies each source gave."""
    return ", ".join(
        f"{j.name}: {(n := len(j.source.melodies)):,} {'melody' if n == 1 else 'melodies'}"
        for j in judgements
    )


def remarks(judgements: list[Judgement]) -> list[str]:
    """What a reader must know of the figures; one sentence or two each."""
    lines = ["± is half of a 95 % interval. * is the best of its row, where the intervals part."]
    for row in ("autocorrelation", "leaps"):
        counts = [f"{j.name} {j.left_out[row]:,}" for j in judgements if row in j.left_out]
        if counts:
            lines.append(f"Melodies left out of {row}, having nothing to count: {', '.join(counts)}.")
    lines += [
        f"{j.name}: left out, since they could not be used: {len(j.source.left_out)} of its files."
        for j in judgements
        if j.source.left_out
    ]
    for j in judgements:
        if 0 < j.likeness_windows < FEW and j.name != HUMAN:
            lines.append(
                f"{j.name}: its likeness rests on {j.likeness_windows} windows of the human tunes' length."
            )
    if any(j.name == HUMAN for j in judgements):
        lines.append("human: its likeness is that of one half of its tunes to the other.")
    share = {j.name: j.estimates["distinct"].value for j in judgements}
    for name, value in share.items():
        if value < 0.5:
            lines.append(
                f"{name}: only {value:.2%} of its melodies are distinct. Rows of rules and J say little about a source "
                "that plays the same melodies again; look at diversity, entropy and likeness."
            )
    return lines


def report_of(
    config: EvaluateConfig,
    judgements: list[Judgement],
    bounds: Mapping[str, Mapping[str, float]],
    book: RuleBook | None,
) -> dict[str, Any]:
    """Everything as plain values, for JSON: settings, and for each source its figures with their intervals."""
    sources = {}
    for j in judgements:
        differences = effects(j, judgements[0]) if j is not judgements[0] else {}
        sources[j.name] = {
            "melodies": len(j.source.melodies),
            "steps": int(j.source.melodies.lengths.sum()),
            "meter": str(j.source.melodies.meter),
            "left_out_files": list(j.source.left_out),
            "remarks": list(j.source.remarks),
            "left_out_melodies": j.left_out,
            "likeness_windows": j.likeness_windows,
            "rows": {name: j.estimates[name].value for name in ROW_TITLES},
            "metrics": {name: asdict(estimate) for name, estimate in j.estimates.items()},
            "effect_against_first": {name: asdict(effect) for name, effect in differences.items()},
            "most_copied": [
                {
                    "melody": c.index,
                    "events": c.events,
                    "start": c.start,
                    "tune": c.tune.title,
                    "source": c.tune.source,
                }
                for c in j.copies
            ],
            **({"bound": dict(bounds[j.name])} if j.name in bounds else {}),
        }
    return {
        "rltuner": __version__,
        "key": config.key,
        "book": book.record if book is not None else None,
        "c": config.c,
        "length": config.length,
        "primer": config.primer,
        "seed": config.seed,
        "temperature": config.temperature,
        "sources": sources,
    }


def json_text(figures: Mapping[str, Any]) -> str:
    """As JSON, with null for NaN and infinity, which JSON does not have."""
    return json.dumps(_without_nan(figures), indent=2, ensure_ascii=False) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_text(file: Path, text: str) -> None:
    """Writes a text file in UTF-8; InputError where it cannot be written."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror})") from None
