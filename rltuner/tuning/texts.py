"""The texts that a tuning run leaves behind: report.md and the policy's model card."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rltuner.eval.objective import Objective
from rltuner.eval.rows import Row, reward_rows
from rltuner.eval.table import markdown_table, without_intervals
from rltuner.rules.book import RuleBook
from rltuner.tuning.collapse import AMONG
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.presets import preset
from rltuner.version import __version__

FEW_DISTINCT = 0.5  # of the Note RNN's share of distinct melodies; below, the policy has collapsed
NEAR_EACH_OTHER = 0.6  # of the distance between two of the Note RNN's melodies


@dataclass
class Findings:
    """The figures in the texts: of melodies composed before and after tuning, and of tuning itself."""

    columns: dict[str, dict[str, float]] = field(default_factory=dict)
    """The paper's rows, before and after; empty where the configuration asks for no evaluation."""
    distinct: dict[str, float] = field(default_factory=dict)
    """Share of distinct melodies, by the same names."""
    edit_distance: dict[str, float] = field(default_factory=dict)
    """Mean edit distance between two melodies, by the same names."""
    rewards: dict[str, dict[str, float]] = field(default_factory=dict)
    """Mean reward by rule, by the same names."""
    objective: Objective | None = None
    """Of the tuned policy, from the same melodies."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """metrics.jsonl."""

    @property
    def reward_rows(self) -> list[Row]:
        """Of the table of rewards."""
        return reward_rows(next(iter(self.rewards.values())))

    @property
    def collapse(self) -> str:
        """What shows that the policy settled on few melodies, or on one kind of melody, and what might help; "" for none.

        Distinct melodies may differ by a note: so the distance between them is looked at too, and what tuning recorded
        of the share that would be distinct among 100,000.
        """
        signs = []
        if self.distinct:
            before, after = self.distinct.values()
            if after < FEW_DISTINCT * before:
                signs.append(f"{after:.1%} of its melodies are distinct, of the Note RNN's {before:.1%}")
            before, after = self.edit_distance.values()
            if after < NEAR_EACH_OTHER * before:
                signs.append(
                    f"two of its melodies differ by {after:.2f}, two of the Note RNN's by {before:.2f}"
                )
        recorded = self.records[-1].get("distinct") if self.records else None
        if isinstance(recorded, int | float) and recorded < FEW_DISTINCT:
            signs.append(f"among {AMONG:,} melodies {recorded:.1%} would be distinct")
        if not signs:
            return ""
        return (
            f"the policy settled on few melodies, so its rows say little: {'; '.join(signs)}. Stop earlier (--events), "
            "count the rules less (--c higher), look less far ahead (--gamma lower) or bound how likely a melody may be "
            "(--likeliest lower)"
        )


def plain(config: FinetuneConfig) -> dict[str, Any]:
    """The configuration as JSON values, without the fields that belong to one machine."""
    values = asdict(config)
    for name in ("out", "config", "resume", "quiet"):
        del values[name]
    return values


def objective_text(found: Objective) -> str:
    """J of the tuned policy and what it is made of, in one line."""
    return (
        f"rules' reward {found.rule_reward:.2f}, log p under the Note RNN {found.log_prior:.2f} nats, "
        f"KL(π‖p) {found.kl:.2f} nats, J = E[Σ r/c] − KL = {found.objective:.2f} nats"
    )


def figures_text(config: FinetuneConfig, findings: Findings) -> str:
    """The table, the objective and the speed, as Markdown."""
    text = ""
    if findings.columns:
        shares = ", ".join(f"{name} {share:.2%}" for name, share in findings.distinct.items())
        distances = ""
        if not any(math.isnan(value) for value in findings.edit_distance.values()):
            each = ", ".join(f"{name} {value:.3f}" for name, value in findings.edit_distance.items())
            distances = f" Mean edit distance between two: {each}."
        text += (
            f"{config.evaluate:,} melodies of {config.length} events from random-note primers, seed {config.seed}.\n\n"
            f"{markdown_table(without_intervals(findings.columns))}\nDistinct melodies: {shares}.{distances}\n"
        )
    if findings.objective is not None:
        text += (
            "\nMeans per melody of the tuned policy, from the same melodies: "
            f"{objective_text(findings.objective)}.\n"
        )
    if findings.records:
        speed = sum(record["events_per_second"] for record in findings.records) / len(findings.records)
        text += f"\nTuned on {findings.records[-1]['events']:,} events at {speed:,.0f} events/s.\n"
    return text


def command_text(config: FinetuneConfig) -> str:
    """The flags that make the same policy again: the algorithm, the preset and what differs from it."""
    usual = preset(config.preset, algo=config.algo)
    flags = [f"--algo {config.algo} --preset {config.preset}"]
    for name, value in plain(config).items():
        if name not in ("algo", "preset", "samples", "evaluate", "checkpoint_every", "log_every", "device"):
            flag = "--" + name.replace("_", "-")
            if value != getattr(usual, name):
                switch = {True: flag, False: flag.replace("--", "--no-", 1)}
                flags.append(
                    switch[value] if isinstance(value, bool) else f"{flag} {shlex.quote(str(value))}"
                )
    return " ".join(flags)


def card_text(config: FinetuneConfig, book: RuleBook, findings: Findings) -> str:
    """The model card of a tuned policy."""
    return (
        f"# A policy tuned by {config.algo} learning\n\n"
        f"Started from the Note RNN `{config.note_rnn}`, tuned with the rule book `{book.name}` "
        f"(SHA-256 {book.digest[:16]}) at c = {config.c:g}, γ = {config.gamma:g}, seed {config.seed}, "
        f"by rltuner {__version__}. The whole configuration is in config.json. The tunes are the Note RNN's, which its "
        f"card names.\n\n    rltuner finetune {command_text(config)}\n\n"
        + figures_text(config, findings)
        + rewards_text(findings)
    )


def rewards_text(findings: Findings) -> str:
    """What each rule pays before and after, as Markdown; "" without an evaluation."""
    if not findings.rewards:
        return ""
    table = markdown_table(without_intervals(findings.rewards), findings.reward_rows)
    return f"\nMean weighted reward per melody, before division by c:\n\n{table}"


def report_text(
    config: FinetuneConfig, book: RuleBook, findings: Findings, digest: str, samples: list[Path]
) -> str:
    """report.md: table, plots, rewards by rule, configuration."""
    warning = f"**Warning:** {findings.collapse}.\n\n" if findings.collapse else ""
    return f"""# Tuning with {config.algo} learning

{warning}{figures_text(config, findings)}
## Rewards
{rewards_text(findings)}
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
