"""What `rltuner evaluate` does: the paper's rows of several sources in one table."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

import torch

from rltuner.config import EvaluateConfig
from rltuner.console import output_console, say
from rltuner.devices import usable_device
from rltuner.errors import InputError
from rltuner.eval.bound import bound
from rltuner.eval.diversity import distinct, distinct_share
from rltuner.eval.paper import PUBLISHED, evaluate
from rltuner.eval.rewards import held_out_rewards, mean_rewards
from rltuner.eval.table import rewards_table, terminal_table
from rltuner.key import Key
from rltuner.melody import Meter
from rltuner.policy import load
from rltuner.rules.book import RuleBook, load_rulebook
from rltuner.sources import melodies_of


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Composes or reads the melodies of every source, prints the table, and writes JSON where asked.

    Returns what the JSON file holds. Raises InputError for a source, key, metre, book or file that cannot be used.
    """
    torch.set_num_threads(config.threads)
    Key.parse(config.key)
    meter = Meter.parse(config.meter)
    book = load_rulebook(config.rules) if config.rules is not None else None
    usable_device(config.device)
    if not config.sources:
        raise InputError("evaluate: name at least one source, such as: rltuner evaluate note_rnn")
    if config.json is not None and (config.json.is_dir() or not config.json.parent.is_dir()):
        raise InputError(f"{config.json}: not a file name in a folder that exists")
    results: dict[str, dict[str, Any]] = {}
    for source in config.sources:
        started = time.monotonic()
        melodies = melodies_of(
            source,
            config.count,
            config.length,
            primer=config.primer,
            seed=config.seed,
            temperature=config.temperature,
            device=config.device,
            meter=meter,
        )
        results[source] = {
            "melodies": len(melodies),
            "steps": int(melodies.lengths.sum()),
            "distinct": distinct(melodies),
            "rows": evaluate(melodies, key=config.key),
            "held_out": held_out_rewards(melodies, key=config.key),
        }
        if book is not None:
            if book.meter is not None and book.meter != melodies.meter:
                say(f"{source}: in {melodies.meter}; the {book.name} book counts their bars in {book.meter}")
            results[source]["rules"] = mean_rewards(melodies, book)
        seconds = time.monotonic() - started
        say(
            f"{source}: {len(melodies):,} melodies, {distinct_share(melodies):.2%} distinct ({seconds:.1f} s)"
        )
    columns = {source: result["rows"] for source, result in results.items()}
    if config.paper:
        columns |= PUBLISHED
    output_console.print("\n" + f"The RL Tuner paper's rows, key of {config.key}")
    output_console.print(terminal_table(columns))
    if book is not None:
        output_console.print(f"Mean reward per melody by the {book.name} book, in {book.key}")
        output_console.print(rewards_table({source: result["rules"] for source, result in results.items()}))
    output_console.print("Mean reward per melody by held-out rules, which no shipped book rewards")
    output_console.print(rewards_table({source: result["held_out"] for source, result in results.items()}))
    if config.bound:
        assert book is not None
        for source in config.sources:
            _bound(source, config, book, results[source])
    report = {
        "key": config.key,
        "meter": config.meter,
        "book": book.record if book is not None else None,
        "length": config.length,
        "primer": config.primer,
        "seed": config.seed,
        "temperature": config.temperature,
        "sources": results,
    }
    if config.json is not None:
        text = json.dumps(_without_nan(report), indent=2, ensure_ascii=False) + "\n"
        try:
            config.json.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{config.json}: cannot be written ({error.strerror})") from None
    return report


def _bound(source: str, config: EvaluateConfig, book: RuleBook, result: dict[str, Any]) -> None:
    """Prints J and its gap to the optimum, and adds them to the result; says where a source is no checkpoint."""
    try:
        policy = load(source)
    except InputError:
        say(f"{source}: no checkpoint, so it has no J")
        return
    started = time.monotonic()
    found = bound(policy, book, config.c, config.length, seed=config.seed)
    result["bound"] = {**asdict(found), "gap": found.gap, "c": config.c}
    output_console.print(
        f"{source}: J = {found.objective:.1f} nats a melody at c = {config.c:g} (KL {found.kl:.1f}); the optimum is "
        f"at least {found.log_z:.1f} ± {found.error:.1f}, so the gap is at least {found.gap:.1f}",
        soft_wrap=True,
    )
    say(f"{source}: particles took {time.monotonic() - started:.0f} s")


def _without_nan(value: Any) -> Any:
    """The same with null for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _without_nan(entry) for name, entry in value.items()}
    return None if isinstance(value, float) and value != value else value
