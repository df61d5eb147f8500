"""Pictures: how tuning went, and what melodies look like. Readable in black and white."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rltuner.atomic import write_atomically
from rltuner.interrupts import importing
from rltuner.key import pitch_name
from rltuner.melody import Melodies

_STYLES = ("-", "--", ":", "-.")


def plot_tuning(records: Sequence[dict[str, Any]], c: float, file: Path) -> None:
    """`tuning_figure` as a PNG file; nothing without records."""
    if records:
        save_png(tuning_figure(records, c), file)


def plot_piano_rolls(melodies: Melodies, file: Path, title: str) -> None:
    """`piano_rolls_figure` as a PNG file."""
    save_png(piano_rolls_figure(melodies, title), file)


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


def piano_rolls_figure(melodies: Melodies, title: str) -> Any:
    """Up to 12 melodies, one small piano roll each: MIDI pitch against steps, bar lines in the melodies' metre."""
    plt = pyplot()
    from matplotlib.collections import PolyCollection

    count, steps = min(12, len(melodies)), melodies.events.shape[1]
    pitches = [60, *(pitch for index in range(count) for pitch, _, _ in melodies.notes(index))]
    rows = max(1, -(-count // 3))
    figure, grid = plt.subplots(
        rows, 3, figsize=(11, 1.9 * rows + 0.6), sharex=True, sharey=True, layout="constrained", squeeze=False
    )
    for index, axes in enumerate(grid.flat):
        if index >= count:
            axes.set_visible(False)
            continue
        boxes = [
            ((start, pitch - 0.5), (end, pitch - 0.5), (end, pitch + 0.5), (start, pitch + 0.5))
            for pitch, start, end in melodies.notes(index)
        ]
        axes.add_collection(PolyCollection(boxes, facecolor="black", edgecolor="white", linewidth=0.5))
        bars = range(0, steps + 1, melodies.meter.steps_per_bar)
        axes.vlines(bars, 0, 127, color="0.75", linewidth=0.8, zorder=0)
        axes.hlines(60, 0, steps, color="0.85", linewidth=0.8, zorder=0)
        axes.set_xlim(0, max(1, steps))
        axes.set_ylim(min(pitches) - 2, max(pitches) + 2)
        axes.set_title(f"{index + 1}", fontsize=8, loc="left", pad=2)
        axes.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=10)
    figure.supxlabel("sixteenths (bar lines grey)", fontsize=9)
    figure.supylabel("MIDI pitch (60 grey)", fontsize=9)
    return figure


def save_png(figure: Any, file: Path) -> None:
    """Writes the figure as PNG, atomically, and closes it. Raises OSError, which names the file."""
    picture = io.BytesIO()
    figure.savefig(picture, dpi=120, format="png")
    pyplot().close(figure)
    write_atomically(file, picture.getvalue())


def plot_piano_roll(melodies: Melodies, index: int, title: str, sharps: int = 0, primer: int = 0) -> bytes:
    """One melody as a piano roll, a PNG: named pitches against bars and beats. The same melody gives the same bytes.

    `sharps`, of the key signature, decides how pitches are spelled; notes that begin before step `primer` are grey. A
    melody without notes is an empty roll.
    """
    plt = pyplot()
    notes = melodies.notes(index)
    size, beat = melodies.meter.steps_per_bar, melodies.meter.steps_per_beat
    bars = max(1, -(-int(melodies.lengths[index]) // size))
    low = min((pitch for pitch, _, _ in notes), default=60) - 2
    high = max((pitch for pitch, _, _ in notes), default=72) + 2
    # Inches; margins are set by hand, since matplotlib's automatic ones draw the picture twice.
    across, up = min(38.0, max(6.0, 1.5 * bars)), 0.17 * (high - low + 1)
    width, height = across + 0.8, up + 0.9
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0.65 / width, 0.5 / height, across / width, up / height))
    named = range(low, high + 1)
    black_keys = [pitch - 0.5 for pitch in named if pitch % 12 in (1, 3, 6, 8, 10)]
    axes.barh(black_keys, bars * size, 1, align="edge", color="0.95", zorder=-1)
    axes.vlines(range(0, bars * size, beat), low - 0.5, high + 0.5, color="0.88", linewidth=0.8, zorder=0)
    axes.vlines(range(0, bars * size, size), low - 0.5, high + 0.5, color="0.35", linewidth=1.2, zorder=1)
    axes.barh(
        [pitch for pitch, _, _ in notes],
        [end - start for _, start, end in notes],
        0.84,
        left=[start for _, start, _ in notes],
        color=["0.55" if start < primer else "black" for _, start, _ in notes],
        edgecolor="white",
        linewidth=0.8,
        zorder=2,
    )
    axes.set_yticks(named, [pitch_name(pitch, sharps) for pitch in named], fontsize=7)
    axes.set_xticks(range(0, bars * size, size), [str(bar) for bar in range(1, bars + 1)], fontsize=8)
    axes.set(xlim=(0, bars * size), ylim=(low - 0.5, high + 0.5), xlabel="bar", ylabel="pitch")
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
    with importing():
        import matplotlib

        matplotlib.use("Agg")
        matplotlib.rcParams["text.parse_math"] = False  # a $ in the name of a source is a $
        import matplotlib.pyplot as plt

    return plt
