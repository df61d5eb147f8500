"""Pictures: how tuning went, and what melodies look like. Readable in black and white."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rltuner.key import pitch_name
from rltuner.melody import Melodies

_STYLES = ("-", "--", ":", "-.")


def plot_tuning(records: Sequence[dict[str, Any]], c: float, file: Path) -> None:
    """How tuning went, from the records of metrics.jsonl; nothing without records.

    On the left what is traded for what, in nats a melody; on the right each rule's weighted reward a melody, on
    a scale of its own, with its last value.
    """
    if not records:
        return
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
    figure.savefig(file, dpi=120)
    plt.close(figure)


def plot_piano_rolls(melodies: Melodies, file: Path, title: str) -> None:
    """Up to 12 melodies, one small piano roll each: MIDI pitch against steps, bar lines in the melodies' metre."""
    plt = pyplot()
    count = min(12, len(melodies))
    rows = max(1, -(-count // 3))
    figure, grid = plt.subplots(
        rows, 3, figsize=(11, 1.9 * rows + 0.6), sharex=True, sharey=True, layout="constrained", squeeze=False
    )
    for index, axes in enumerate(grid.flat):
        if index >= count:
            axes.set_visible(False)
            continue
        for pitch, start, end in melodies.notes(index):
            axes.broken_barh(
                [(start, end - start)], (pitch - 0.5, 1), facecolor="black", edgecolor="white", linewidth=0.5
            )
        for bar in range(0, melodies.events.shape[1] + 1, melodies.meter.steps_per_bar):
            axes.axvline(bar, color="0.75", linewidth=0.8, zorder=0)
        axes.axhline(60, color="0.85", linewidth=0.8, zorder=0)
        axes.set_xlim(0, max(1, melodies.events.shape[1]))
        axes.set_title(f"{index + 1}", fontsize=8, loc="left", pad=2)
        axes.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=10)
    figure.supxlabel("sixteenths (bar lines grey)", fontsize=9)
    figure.supylabel("MIDI pitch (60 grey)", fontsize=9)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def plot_piano_roll(melodies: Melodies, index: int, title: str, sharps: int = 0) -> bytes:
    """One melody as a piano roll, a PNG: named pitches against bars and beats. The same melody gives the same bytes.

    `sharps`, of the key signature, decides how pitches are spelled. A melody without notes is an empty roll.
    """
    plt = pyplot()
    notes = melodies.notes(index)
    length, meter = int(melodies.lengths[index]), melodies.meter
    bars = max(1, -(-length // meter.steps_per_bar))
    low = min((pitch for pitch, _, _ in notes), default=60) - 2
    high = max((pitch for pitch, _, _ in notes), default=72) + 2
    width = min(40.0, max(7.0, 1.6 * bars))
    figure, axes = plt.subplots(figsize=(width, 1.4 + 0.17 * (high - low)), layout="constrained")
    steps = range(bars * meter.steps_per_bar + 1)
    for step in steps:
        if step % meter.steps_per_bar == 0:
            axes.axvline(step, color="0.35", linewidth=1.2, zorder=1)
        elif step % meter.steps_per_bar % meter.steps_per_beat == 0:
            axes.axvline(step, color="0.88", linewidth=0.8, zorder=0)
    for pitch in range(low, high + 1):
        if pitch % 12 in (1, 3, 6, 8, 10):  # black keys
            axes.axhspan(pitch - 0.5, pitch + 0.5, color="0.95", linewidth=0, zorder=-1)
    for pitch, start, end in notes:
        axes.broken_barh(
            [(start, end - start)],
            (pitch - 0.42, 0.84),
            facecolor="black",
            edgecolor="white",
            linewidth=0.8,
            zorder=2,
        )
    named = range(low, high + 1)
    axes.set_yticks(named, [pitch_name(pitch, sharps) for pitch in named], fontsize=7)
    starts = range(0, bars * meter.steps_per_bar, meter.steps_per_bar)
    axes.set_xticks(starts, [str(number) for number in range(1, bars + 1)], fontsize=8)
    axes.set(xlim=(0, bars * meter.steps_per_bar), ylim=(low - 0.5, high + 0.5), xlabel="bar", ylabel="pitch")
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=10, loc="left")
    picture = io.BytesIO()
    figure.savefig(picture, dpi=100, format="png")
    plt.close(figure)
    return picture.getvalue()


def _limit_to_most(axes: Any, values: list[float]) -> None:
    """Lets the early plunge of a penalty run out of the picture instead of flattening everything else."""
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 50], ordered[-1]
    margin = 0.08 * max(high - low, 1e-6)
    axes.set_ylim(low - margin, high + margin)


def pyplot() -> Any:
    """matplotlib without a display, imported late (over a second)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt
