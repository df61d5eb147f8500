"""Pictures: how tuning went, and what melodies look like. Readable in black and white."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rltuner.interrupts import importing
from rltuner.melody.key import pitch_name
from rltuner.melody.melodies import Melodies
from rltuner.storing.atomic import write_atomically


def plot_piano_rolls(melodies: Melodies, file: Path, title: str) -> None:
    """`piano_rolls_figure` as a PNG file."""
    save_png(piano_rolls_figure(melodies, title), file)


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


def pyplot() -> Any:
    """matplotlib without a display, imported late (over a second)."""
    with importing():
        import matplotlib

        matplotlib.use("Agg")
        matplotlib.rcParams["text.parse_math"] = False  # a $ in the name of a source is a $
        import matplotlib.pyplot as plt

    return plt
