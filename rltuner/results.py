"""What a tuning run leaves behind: the policy with its card, the table before and after, samples, plots, report.md."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rltuner import __version__
from rltuner.compose import compose
from rltuner.config import FinetuneConfig
from rltuner.console import output_console, say
from rltuner.eval.paper import evaluate
from rltuner.eval.plots import plot_piano_rolls, plot_tuning
from rltuner.eval.table import Columns, markdown_table, terminal_table
from rltuner.note_rnn import NoteRNN
from rltuner.policy import Policy
from rltuner.rules.book import RuleBook
from rltuner.run_folder import RunFolder
from rltuner.storage import write_atomically

SAMPLE_QPM = 100.0
FEW_DISTINCT = 0.5  # of the Note RNN's share of distinct melodies; below, the policy has collapsed


def write_results(
    folder: RunFolder, config: FinetuneConfig, book: RuleBook, note_rnn: NoteRNN, policy: Policy
) -> None:
    """Writes everything, then prints the table and where things are."""
    digest = policy.save(
        folder.policy, made_by=f"rltuner {__version__}", finetune=plain(config), rules=dict(book.table)
    )
    samples = write_samples(folder.samples, policy, config)
    before_name, after_name = config.note_rnn, f"tuned ({config.algo})"
    columns: dict[str, dict[str, float]] = {}
    distinct: dict[str, float] = {}
    if config.evaluate:
        for name, composer in ((before_name, Policy("note_rnn", note_rnn)), (after_name, policy)):
            melodies = compose(composer, config.evaluate, config.length, seed=config.seed)
            columns[name] = evaluate(melodies, key=book.key)
            distinct[name] = len(melodies.events.unique(dim=0)) / len(melodies)
    records = folder.records()
    folder.plots.mkdir(exist_ok=True)
    plot_tuning(records, config.c, folder.plots / "tuning.png")
    rolls = compose(policy, 12, config.length, seed=config.seed)
    plot_piano_rolls(
        rolls, folder.plots / "piano_rolls.png", title=f"12 melodies of the tuned policy ({config.algo})"
    )
    report = report_text(config, book, records, columns, distinct, digest, samples)
    write_atomically(folder.report, report.encode())
    write_atomically(
        folder.policy / "README.md", card_text(config, book, records, columns, distinct).encode()
    )

    if columns:
        title = f"The RL Tuner paper's rows, {config.evaluate:,} melodies of {config.length} events each"
        output_console.print(terminal_table(columns, title))
        output_console.print(
            "distinct melodies: " + ", ".join(f"{n} {share:.2%}" for n, share in distinct.items())
        )
        if distinct[after_name] < FEW_DISTINCT * distinct[before_name]:
            say(
                "the policy settled on few melodies, so its rows say little; "
                "stop earlier (--events), count the rules less (--c higher) or look less far ahead (--gamma lower)"
            )
    output_console.print(f"policy   {folder.policy}  (SHA-256 {digest[:16]})", soft_wrap=True)
    output_console.print(f"report   {folder.report}, {folder.plots}/*.png", soft_wrap=True)
    if samples:
        output_console.print(f"samples  {samples[0]} … {samples[-1].name}", soft_wrap=True)
    say(f"listen, or go on: rltuner evaluate {folder.policy} --paper; rltuner generate {folder.policy}")


def plain(config: FinetuneConfig) -> dict[str, Any]:
    """The configuration as JSON values, without the fields that belong to one machine."""
    values = asdict(config)
    for name in ("out", "config", "resume"):
        del values[name]
    return values


def write_samples(folder: Path, policy: Policy, config: FinetuneConfig) -> list[Path]:
    """A few melodies as MIDI files."""
    folder.mkdir(exist_ok=True)
    melodies = compose(policy, config.samples, config.length, seed=config.seed)
    files = [folder / f"melody-{index + 1:02}.mid" for index in range(config.samples)]
    for index, file in enumerate(files):
        melodies.to_midi(file, index, SAMPLE_QPM)
    return files


def figures_text(
    records: list[dict[str, Any]], config: FinetuneConfig, columns: Columns, distinct: dict[str, float]
) -> str:
    """The table and the last figures of tuning, as Markdown."""
    text = ""
    if columns:
        shares = ", ".join(f"{name} {share:.2%}" for name, share in distinct.items())
        text += (
            f"{config.evaluate:,} melodies of {config.length} events from random-note primers, seed {config.seed}.\n\n"
            f"{markdown_table(columns)}\nDistinct melodies: {shares}.\n"
        )
    if records:
        last = records[-1]
        speed = sum(record["events_per_second"] for record in records) / len(records)
        text += (
            "\nAt the end of tuning, means per melody: "
            f"rules' reward {last['rule_reward']:.2f}, log p under the Note RNN {last['log_prior']:.2f} nats, "
            f"KL(π‖p) {last['kl']:.2f} nats, J = E[Σ r/c] − KL = {last['objective']:.2f} nats. "
            f"{last['events']:,} events at {speed:,.0f} events/s.\n"
        )
    return text


def card_text(
    config: FinetuneConfig,
    book: RuleBook,
    records: list[dict[str, Any]],
    columns: Columns,
    distinct: dict[str, float],
) -> str:
    """The model card of a tuned policy."""
    return (
        f"# A policy tuned by {config.algo} learning\n\n"
        f"Started from the Note RNN `{config.note_rnn}`, tuned with the rule book `{book.name}` "
        f"(SHA-256 {book.digest[:16]}) at c = {config.c:g}, γ = {config.gamma:g}, seed {config.seed}, "
        f"by rltuner {__version__}. The whole configuration is in config.json.\n\n"
        + figures_text(records, config, columns, distinct)
    )


def report_text(
    config: FinetuneConfig,
    book: RuleBook,
    records: list[dict[str, Any]],
    columns: Columns,
    distinct: dict[str, float],
    digest: str,
    samples: list[Path],
) -> str:
    """report.md: table, plots, rewards by rule, configuration."""
    rules = ""
    if records:
        first, last = records[0], records[-1]
        rows = [
            f"| {name} | {first[f'rule_{name}']:.2f} | {last[f'rule_{name}']:.2f} |" for name in book.rules
        ]
        rules = "\n".join(["| rule | first record | last record |", "|---|---:|---:|", *rows]) + "\n"
    return f"""# Tuning with {config.algo} learning

{figures_text(records, config, columns, distinct)}
## Rewards

Weighted reward per melody, before division by c.

{rules}
![Rewards, KL and objective while tuning](plots/tuning.png)

![Piano rolls of 12 melodies](plots/piano_rolls.png)

## Files

Policy `policy/` (SHA-256 of the model {digest}), {len(samples)} MIDI files in `samples/`, every record of tuning in
`metrics.jsonl`.

## Configuration

```json
{json.dumps(plain(config), indent=2)}
```
"""
