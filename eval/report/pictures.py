"""The report's pictures, as matplotlib figures: black on a clear ground, told apart by line style, marker and hatching.

Each returns a figure; `svg_text` turns it into SVG that takes the page's own text colour, so that one drawing serves
light and dark pages, and `melody.plots.save_png` into a file.
"""

from __future__ import annotations

import html
import io
import math
from collections.abc import Sequence
from typing import Any

import torch

from rltuner.eval.judge import Judgement
from rltuner.eval.paper import autocorrelations
from rltuner.eval.sources import HUMAN, Source
from rltuner.eval.texture import (
    LONGEST,
    WIDEST,
    inter_onset_histogram,
    interval_histogram,
    pitch_class_histogram,
)
from rltuner.melody import NO_EVENT, NOTE_OFF, Melodies
from rltuner.melody.plots import pyplot
from rltuner.networks.divergence import COLDEST, log_probabilities
from rltuner.networks.policy import Policy

STYLES = ("-", "--", ":", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
LAGS = 16
MOST_PANELS = 6
GREY = "0.6"


def reward_kl_figure(judgements: Sequence[Judgement], c: float) -> Any | None:
    """What the rules pay against how far the policy went from the Note RNN for it; None without checkpoints or a book.

    Points of equal J = reward / c - KL lie on the grey lines.
    """
    points = [
        (j.name, j.counts["kl"].numerator.mean().item(), j.estimates["rule_total"].value / c)
        for j in judgements
        if "kl" in j.counts and "rule_total" in j.estimates
    ]
    if not points:
        return None
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    for (name, kl, reward), marker in zip(points, _cycle(MARKERS, len(points)), strict=True):
        axes.plot([kl], [reward], marker, color="black", markersize=8)
        axes.annotate(shortened(name), (kl, reward), xytext=(8, 6), textcoords="offset points", fontsize=10)
    kls, rewards = [p[1] for p in points], [p[2] for p in points]
    margin_x, margin_y = 0.15 * max(max(kls) - min(kls), 1), 0.15 * max(max(rewards) - min(rewards), 1)
    axes.set_xlim(min(kls) - margin_x, max(kls) + 1.6 * margin_x)
    axes.set_ylim(min(rewards) - margin_y, max(rewards) + margin_y)
    for _, kl, reward in points:
        axes.axline((kl, reward), slope=1, color=GREY, linewidth=0.6, zorder=0)
    axes.set(
        xlabel="KL to the Note RNN (nats per melody)",
        ylabel=f"rules' reward / c, c = {c:g} (nats per melody)",
    )
    return figure


def histograms_figure(judgements: Sequence[Judgement], human: Source | None) -> Any:
    """Pitch classes, intervals and onset-to-onset times of the first sources, human tunes as a line over them."""
    plt = pyplot()
    shown = judgements[:MOST_PANELS]
    kinds: tuple[tuple[str, Any, list[Any], range], ...] = (
        ("pitch class", pitch_class_histogram, list(NAMES), range(12)),
        ("interval, semitones", interval_histogram, list(range(-WIDEST, WIDEST + 1)), range(0, 25, 6)),
        ("onset to onset, sixteenths", inter_onset_histogram, list(range(1, LONGEST + 1)), range(1, 16, 2)),
    )
    figure, grid = plt.subplots(
        len(shown),
        3,
        figsize=(10, 1.55 * len(shown) + 0.5),
        sharey="col",
        layout="constrained",
        squeeze=False,
    )
    for row, judgement in zip(grid, shown, strict=True):
        for axes, (title, histogram, labels, ticks) in zip(row, kinds, strict=True):
            shares = _total_shares(histogram(judgement.source.melodies))
            axes.bar(range(len(labels)), shares, color="black", alpha=0.3)
            if human is not None and judgement.name != HUMAN:
                line = _total_shares(histogram(human.melodies))
                axes.step(range(len(labels)), line, where="mid", color="black", linewidth=1.3)
            axes.set_xticks(list(ticks), [str(labels[i]) for i in ticks])
            axes.tick_params(labelsize=7)
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            if judgement is shown[-1]:
                axes.set_xlabel(title, fontsize=9)
        row[0].set_ylabel(shortened(judgement.name), fontsize=9)
    return figure


def autocorrelation_figure(judgements: Sequence[Judgement]) -> Any:
    """Mean autocorrelation of the melodies' class numbers at lags 1 to 16."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
    styles = zip(_cycle(STYLES, len(judgements)), _cycle(MARKERS, len(judgements)), strict=True)
    for judgement, (style, marker) in zip(judgements, styles, strict=True):
        values = [
            float(autocorrelations(judgement.source.melodies, lag).nanmean()) for lag in range(1, LAGS + 1)
        ]
        axes.plot(
            range(1, LAGS + 1), values, linestyle=style, marker=marker, markersize=4, color="black", linewidth=1.1,
            label=shortened(judgement.name),
        )  # fmt: skip
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    axes.set_xticks(range(1, LAGS + 1))
    axes.set(xlabel="lag (sixteenths)", ylabel="autocorrelation")
    axes.legend(frameon=False, fontsize=9, ncols=2)
    return figure


def heat_map_figure(name: str, policy: Policy, melody: Melodies, temperature: float = 1.0) -> Any:
    """The probability of every event at every step of one melody; the events played are ringed.

    Args:
      melody: a batch of one, with the context it was composed after.
      temperature: at which it was composed.
    """
    plt = pyplot()
    with torch.no_grad():
        device = next(policy.parameters()).device
        log_policy = log_probabilities(policy, melody.to(device))[0] / max(temperature, COLDEST)
        shares = log_policy.softmax(dim=1).T.cpu()  # (V, T)
    vocabulary, length = policy.vocabulary, int(melody.lengths[0])
    figure, axes = plt.subplots(figsize=(0.22 * max(length, 24) + 1.6, 5.2), layout="constrained")
    image = axes.imshow(
        shares[:, :length].sqrt().numpy(), origin="lower", aspect="auto", cmap="gray_r", vmin=0, vmax=1
    )
    axes.plot(
        range(length),
        melody.events[0, :length].tolist(),
        "o",
        markersize=7,
        fillstyle="none",
        color=GREY,
        markeredgewidth=1.2,
    )
    marks = {NOTE_OFF: "rest", NO_EVENT: "hold"}
    marks |= {
        pitch - vocabulary.min_pitch + 2: f"C{pitch // 12 - 1}"
        for pitch in range(vocabulary.min_pitch, vocabulary.max_pitch)
        if pitch % 12 == 0
    }
    axes.set_yticks(list(marks), list(marks.values()))
    axes.set_xticks(range(0, length, melody.meter.steps_per_beat))
    axes.set(xlabel="step (sixteenths)", ylabel="event", title=shortened(name))
    bar = figure.colorbar(image, ax=axes, pad=0.01)
    bar.set_ticks([0, 0.1**0.5, 0.5, 0.5**0.5, 1], labels=["0", "0.1", "0.25", "0.5", "1"])
    bar.set_label("probability")
    return figure


def svg_text(figure: Any, prefix: str, label: str) -> str:
    """The figure as an SVG element that draws black in the page's text colour and has no ground; closes it.

    Args:
      prefix: of the element's ids, which must differ from those of the page's other pictures.
      label: what it shows, for those who do not see it.
    """
    plt = pyplot()
    buffer = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rltuner", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # What has no fill of its own is black by default; white is the ground that separates neighbours.
    text = text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" fill="currentColor" ', 1)
    for before in (' id="', "url(#", 'href="#'):
        text = text.replace(before, before + prefix + "-")
    return text.replace("#000000", "currentColor").replace("#ffffff", "Canvas")


def shortened(name: str, longest: int = 24) -> str:
    """The name, or its end where it is too long for a picture."""
    return name if len(name) <= longest else "…" + name[-longest + 1 :]


def _total_shares(counts: torch.Tensor) -> list[float]:
    total = counts.sum(dim=0)
    whole = float(total.sum())
    return [float(value) / whole if whole else math.nan for value in total]


def _cycle(values: Sequence[Any], count: int) -> list[Any]:
    return [values[i % len(values)] for i in range(count)]
