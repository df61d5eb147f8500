"""What `rltuner evaluate` does: every figure of several sources in one table, and the report."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from rltuner.console import output_console, say
from rltuner.errors import InputError
from rltuner.eval.bound import bound
from rltuner.eval.config import EvaluateConfig
from rltuner.eval.copying import TrainingTunes
from rltuner.eval.counts import Estimate
from rltuner.eval.figures import json_text, remarks, report_of, what_was_judged, write_text
from rltuner.eval.judge import Judgement, Standards, judge
from rltuner.eval.published import PUBLISHED
from rltuner.eval.rows import Row, all_rows
from rltuner.eval.sources import HUMAN, Source, from_files, pooled, read_source
from rltuner.eval.table import Columns, terminal_table, without_intervals
from rltuner.melody import Meter
from rltuner.melody.key import Key
from rltuner.melody.tunes import training_tunes
from rltuner.networks.devices import usable_device
from rltuner.networks.policy import load
from rltuner.rules.book import RuleBook, load_rulebook


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Composes or reads the melodies of every source, judges them, prints the table, and writes what is asked for.

    Returns what the JSON file holds. Raises InputError for a source, key, metre, book, file or folder that cannot be
    used, and for sources on different grids.
    """
    torch.set_num_threads(config.threads)
    Key.parse(config.key)
    book = load_rulebook(config.rules) if config.rules is not None else None
    usable_device(config.device)
    if not config.sources:
        raise InputError("evaluate: name at least one source, such as: rltuner evaluate note_rnn")
    check_writable(config.json, config.report)
    if config.bars:
        config = dataclasses.replace(config, length=config.bars * _meter_of(config).steps_per_bar)
    sources = _read(config)
    _check_grids(sources)
    standards = Standards(
        config.key,
        book,
        config.c,
        _human(sources, config),
        TrainingTunes(training_tunes()),
        config.seed,
        config.primer,
        config.temperature,
        config.length,
    )
    judgements = []
    for source in sources:
        started = time.monotonic()
        if book is not None and book.meter is not None and book.meter != source.melodies.meter:
            say(
                f"{source.name}: in {source.melodies.meter}; the {book.name} book counts their bars in {book.meter}"
            )
        _hint_at_key(source, Key.parse(config.key))
        judgements.append(judge(source, standards))
        seconds = time.monotonic() - started
        say(f"{source.name}: {len(source.melodies):,} melodies judged in {seconds:.1f} s")
    rows = [row for row in all_rows(book, config.c) if any(row.name in j.estimates for j in judgements)]
    columns: dict[str, Mapping[str, Estimate]] = {j.name: j.estimates for j in judgements}
    if config.paper:
        columns |= without_intervals(PUBLISHED)
    _print(config, judgements, rows, columns)
    bounds = _bounds(config, judgements, book) if book is not None and config.bound else {}
    figures = report_of(config, judgements, bounds, book)
    if config.json is not None:
        write_text(config.json, json_text(figures))
    if config.report is not None:
        from rltuner.eval.report.report import write_report

        write_report(config, judgements, rows, columns, figures, standards.human)
    return figures


def _meter_of(config: EvaluateConfig) -> Meter:
    """The metre that bars are counted in: the one that is asked for, else the first checkpoint's, else 4/4."""
    if config.meter is not None:
        return Meter.parse(config.meter)
    for source in config.sources:
        with contextlib.suppress(
            InputError
        ):  # a file or a folder of them; what is neither is named when it is read
            return load(source).meter
    return Meter()


def _read(config: EvaluateConfig) -> list[Source]:
    """The sources in order; files that are named one by one are one source."""
    meter = Meter.parse(config.meter) if config.meter is not None else None
    found: list[Source] = []
    once = dict.fromkeys(source.rstrip("/") or source for source in config.sources)
    for name, files in pooled(list(once)):
        if files:
            source = from_files(name, files, meter, config.track)
        else:
            source = read_source(
                name,
                config.count,
                config.length,
                primer=config.primer,
                seed=config.seed,
                temperature=config.temperature,
                device=config.device,
                meter=meter,
                track=config.track,
            )
        names = [other.name for other in found] + list(PUBLISHED)
        number = 2
        while source.name in names:  # files of a folder beside the folder itself
            source, number = dataclasses.replace(source, name=f"{name} ({number})"), number + 1
        found.append(source)
    return found


def _hint_at_key(source: Source, key: Key) -> None:
    """A line where key signatures in the files are not the one of the key in which they are judged."""
    others: Counter[str] = Counter()
    for name in source.signatures:
        with contextlib.suppress(InputError):  # such as highland pipes
            others[name] += Key.parse(name).sharps != key.sharps
    own, count = max(others.items(), key=lambda item: item[1], default=("", 0))
    if count:
        say(
            f"{source.name}: the key signature of {count:,} of {len(source.melodies):,} files is that of {own}, and they "
            f'are judged in {key}; in their own: --key "{own}"'
        )


def _human(sources: list[Source], config: EvaluateConfig) -> Source | None:
    """The human windows that likeness is measured against; None where no test tune is as long, or in that metre."""
    for source in sources:
        if source.name == HUMAN:
            return source
    try:
        return read_source(HUMAN, 0, config.length, meter=sources[0].melodies.meter)
    except InputError:
        return None


def _check_grids(sources: list[Source]) -> None:
    """InputError where two sources have different event classes: their events do not mean the same."""
    first = sources[0]
    for other in sources[1:]:
        if other.melodies.vocabulary != first.melodies.vocabulary:
            raise InputError(
                f"{first.name} has {first.melodies.vocabulary}, {other.name} has {other.melodies.vocabulary}: their "
                "events do not compare; evaluate them one by one"
            )
        if other.melodies.meter != first.melodies.meter:
            raise InputError(
                f"{first.name} is in {first.melodies.meter}, {other.name} in {other.melodies.meter}: their bars do not "
                f"compare; evaluate them one by one, or give human and files --meter {first.melodies.meter}"
            )


def _print(config: EvaluateConfig, judgements: list[Judgement], rows: list[Row], columns: Columns) -> None:
    """The table and what must be said about it."""
    output_console.print(
        f"\nKey of {config.key}; {what_was_judged(judgements)}", markup=False, soft_wrap=True
    )
    output_console.print(terminal_table(columns, rows, output_console.width))
    for line in remarks(judgements):
        output_console.print(line, soft_wrap=True, markup=False)


def _bounds(
    config: EvaluateConfig, judgements: list[Judgement], book: RuleBook
) -> dict[str, dict[str, float]]:
    """Prints J of each checkpoint and its gap to the optimum; says where a source is no checkpoint."""
    found = {}
    for j in judgements:
        if j.source.policy is None:
            say(f"{j.name}: no checkpoint, so it has no J")
            continue
        started = time.monotonic()
        result = bound(j.source.policy, book, config.c, config.length, seed=config.seed)
        found[j.name] = {**asdict(result), "gap": result.gap, "c": config.c}
        output_console.print(
            f"{j.name}: J = {result.objective:.1f} nats a melody at c = {config.c:g} (KL {result.kl:.1f}; of other "
            f"melodies than above); the optimum is at least {result.log_z:.1f}, so the gap is at least {result.gap:.1f}, "
            f"both ± {result.error:.1f} (standard error)",
            soft_wrap=True,
            markup=False,
        )
        say(f"{j.name}: particles took {time.monotonic() - started:.0f} s")
    return found


def check_writable(json_file: Path | None, report: Path | None) -> None:
    """InputError, before minutes of work, where a file or folder cannot be written."""
    if json_file is not None:
        if os.path.isdir(json_file) or not os.path.isdir(json_file.parent):
            raise InputError(f"{json_file}: not a file name in a folder that exists")
        _try_to_write(json_file)
    if report is not None:
        if os.path.exists(report) and (not os.path.isdir(report) or any(report.iterdir())):
            raise InputError(f"{report}: exists and is not an empty folder; give another --report")
        try:
            report.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{report}: cannot be made ({error.strerror})") from None
        _try_to_write(report / "report.html")


def _try_to_write(file: Path) -> None:
    """InputError where the file cannot be opened for writing. What it held stays; a file made for the trial goes."""
    existed = os.path.exists(file)
    try:
        file.open("ab").close()
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror})") from None
    if not existed:
        file.unlink()
