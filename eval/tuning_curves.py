"""The records of a tuning run (metrics.jsonl), and their picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rltuner.errors import InputError
from rltuner.melody.plots import pyplot, save_png
from rltuner.storing.records import read_records

METRICS = "metrics.jsonl"  # in the folder of a run
RECORDED = ("updates", "events", "events_per_second", "rule_reward", "log_prior", "kl", "objective")


MOST_RECORDED = 1e30  # largest number in a record: far beyond any real one, and still plottable
_STYLES = ("-", "--", ":", "-.")


def tuning_records(file: Path) -> list[dict[str, Any]]:
    """All records of a run's metrics.jsonl; a last line that a crash cut short is left out.

    InputError for one that lacks what the picture draws: each must hold `RECORDED` and the same rules' rewards.
    """
    records = read_records(file)
    for number, record in enumerate(records, start=1):
        rules = {name for name in records[0] if name.startswith("rule_")}
        for name in sorted({*RECORDED, *rules}):
            value = record.get(name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not -MOST_RECORDED <= record[name] <= MOST_RECORDED:
                raise InputError(
                    f"{file}: line {number}: {name} = {str(value)[:40]} is not a record's; without that file the run "
                    "goes on too, and only its plot begins later"
                )
    return records


def plot_tuning(records: Sequence[dict[str, Any]], c: float, file: Path) -> None:
    """`tuning_figure` as a PNG file; nothing without records."""
    if records:
        save_png(tuning_figure(records, c), file)


def tuning_figure(records: Sequence[dict[str, Any]], c: float) -> Any:
    """How tuning went, from the records of metrics.jsonl, at least one.

    On the left what is traded for what, in nats a melody; on the right each rule's weighted reward a melody, on
    a scale of its own, with its last value.
    """
    plt = pyplot()
    events = [record["events"] / 1e6 for record in records]
    series = {
        "rules' reward / c": [record["rule_reward"] / c for record in records],
        "KL(π‖p)": [record["kl"] for record in records],
        "J = reward / c − KL": [record["objective"] for record in records],
        "log p": [record["log_prior"] for record in records],
    }
    rules = [name for name in records[0] if name.startswith("rule_") and name != "rule_reward"]
    columns = min(3, len(rules))
    rows = max(1, -(-len(rules) // 3))
    figure = plt.figure(figsize=(12, max(4.2, 1.5 * rows)), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.35))
    axes = left.subplots()
    for (label, values), style in zip(series.items(), _STYLES, strict=True):
        axes.plot(events, values, style, color="black", label=label, linewidth=1.4)
    _limit_to_most(axes, [value for values in series.values() for value in values])
    axes.set(xlabel="events composed (millions)", ylabel="nats per melody", title="What is traded for what")
    left.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    axes.grid(alpha=0.25)
    right.suptitle("Weighted reward per melody, by rule", fontsize=12)
    for name, panel in zip(
        rules, right.subplots(rows, columns, sharex=True, squeeze=False).flat, strict=False
    ):
        values = [record[name] for record in records]
        panel.plot(events, values, color="black", linewidth=1.2)
        _limit_to_most(panel, values)
        panel.set_title(f"{name[5:]}  {values[-1]:.2f}", fontsize=8, loc="left", pad=3)
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.25)
    right.supxlabel("events composed (millions)", fontsize=9)
    return figure


def _limit_to_most(axes: Any, values: list[float]) -> None:
    """Lets the early plunge of a penalty run out of the picture instead of flattening everything else."""
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 50], ordered[-1]
    margin = 0.08 * max(high - low, 1e-6)
    axes.set_ylim(low - margin, high + margin)
