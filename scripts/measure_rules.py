"""What human melodies score by each rule, and what the Note RNN's samples score: is the rule true of music?

    python scripts/measure_rules.py            # the tables in docs/rules.md; five minutes, most of it composing

Human melodies are the training and validation tunes of the `tunebooks` corpus, in 4/4 and a major key (transposed to C),
cut into windows of 8 and of 16 bars from bar lines. The Note RNN `note_rnn` composes 10,000 melodies of either length
from random-note primers. Random melodies have every event drawn evenly from all classes.

A rule's figures are its mean reward a melody. d is (human - Note RNN) / pooled standard deviation, with its standard
error by bootstrap over tunes and samples. Alone is (human - Note RNN) / pooled variance: the weight that makes a normally
distributed reward the log-likelihood ratio of human against composed, in nats, one rule at a time. Together is the weight
in a logistic regression of human against composed on all rules of the book at once, for both lengths (each with an
intercept of its own; L2 penalty of weight 5; at least 0): rules that say the same share it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize

import rltuner
from rltuner.corpus.corpora import load_corpus
from rltuner.corpus.split import split_tunes
from rltuner.eval.counts import batches
from rltuner.eval.rewards import reward_counts
from rltuner.melody import Melodies, Meter
from rltuner.melody.tunes import Tune, windows_with_tunes
from rltuner.rules import load_rulebook
from rltuner.rules.held_out import HELD_OUT
from rltuner.rules.making import make_rule, parameter_types

BARS, SAMPLES, RESAMPLED = (8, 16), 10_000, 200
PENALTY = 5.0  # of squared weights
KEY = "C major"


def windows_by_tune(tunes: list[Tune], length: int) -> tuple[Melodies, torch.Tensor]:
    """All windows, and the number of the tune of each."""
    melodies, numbers = windows_with_tunes(tunes, length, tunes[0].meter)
    return melodies, numbers.unique(return_inverse=True)[1]


def effect(human: torch.Tensor, owner: torch.Tensor, composed: torch.Tensor) -> tuple[float, float, float]:
    """d, its bootstrap standard error, and the difference over the pooled variance."""

    def d_of(one: torch.Tensor, other: torch.Tensor) -> tuple[float, float]:
        variance = float((one.var(unbiased=False) + other.var(unbiased=False)) / 2)
        difference = float(one.mean() - other.mean())
        return (difference / variance**0.5, difference / variance) if variance > 0 else (0.0, 0.0)

    generator = torch.Generator().manual_seed(0)
    tunes = owner.unique()
    sums = torch.zeros(int(owner.max()) + 1).index_add_(0, owner, human)
    squares = torch.zeros(int(owner.max()) + 1).index_add_(0, owner, human**2)
    counts = torch.bincount(owner).float()
    draws = []
    for _ in range(RESAMPLED):
        chosen = tunes[torch.randint(len(tunes), (len(tunes),), generator=generator)]
        n = counts[chosen].sum()
        mean, square = sums[chosen].sum() / n, squares[chosen].sum() / n
        other = composed[torch.randint(len(composed), (len(composed),), generator=generator)]
        variance = float((square - mean**2 + other.var(unbiased=False)) / 2)
        draws.append(float(mean - other.mean()) / variance**0.5 if variance > 0 else 0.0)
    d, weight = d_of(human, composed)
    return d, float(torch.tensor(draws).std()), weight


Case = tuple[str, str, dict[str, object]]


def cases() -> tuple[list[Case], list[Case]]:
    """(title, rule, parameters) of every rule of the gauldin book, one with two rewards as two; and of all others."""
    parts: dict[str, dict[str, dict[str, object]]] = {
        "tonic_frame": {"start": {"end": 0.0}, "end": {"start": 0.0}},
        "motif_return": {"exact": {"transposed": 0.0}, "moved": {"exact": 0.0}},
        "phrase_cadence": {"half": {"full": 0.0}, "full": {"half": 0.0}},
    }
    books = [load_rulebook(name).rules for name in ("gauldin", "gauldin_two_bars", "magenta")]
    rest = [name for rules in books[1:] for name in rules if name not in books[0]]
    named = (list(books[0]), [*dict.fromkeys(rest), *HELD_OUT])
    one, other = (
        [
            (f"{name}, {part}" if part else name, name, parameters)
            for name in names
            for part, parameters in parts.get(name, {"": {}}).items()
        ]
        for names in named
    )
    return one, other


def tunes_of(meter: Meter) -> list[Tune]:
    """Tunes in a major key that are no test tunes."""
    parts = split_tunes(load_corpus("tunebooks").tunes, 0)
    return [
        t
        for t in parts["train"] + parts["validation"]
        if t.meter == meter and t.key.lower().endswith("major")
    ]


def rewards(melodies: Melodies, cases: Sequence[Case]) -> torch.Tensor:
    """The rewards of each melody, [B, rules]."""
    found = []
    for _, name, parameters in cases:
        key = {"key": KEY} if "key" in parameter_types(type(make_rule(name))) else {}
        rule = make_rule(name, {**key, **parameters})
        found.append(torch.cat([rule(part).sum(dim=1) for part in batches(melodies)]))
    return torch.stack(found, dim=1)


def together(sets: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """The weight of each rule in telling people (first of each pair, [B, rules]) from the Note RNN (second)."""
    rules = sets[0][0].shape[1]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.tensor(parameters, requires_grad=True)
        total = PENALTY * weights[:rules].square().sum() / 2
        for index, pair in enumerate(sets):
            for sign, scores in zip((1, -1), pair, strict=True):
                odds = scores.double() @ weights[:rules] + weights[rules + index]
                total = total + len(pair[0]) * torch.nn.functional.softplus(-sign * odds).mean()
        total.backward()
        return float(total.detach()), weights.grad.numpy()

    bounds = [(0, None)] * rules + [(None, None)] * len(sets)
    start = np.zeros(rules + len(sets))
    return torch.tensor(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x[:rules])


def print_rules() -> None:
    """The tables of all rules, in 4/4."""
    tunes, policy = tunes_of(Meter()), rltuner.load("note_rnn")
    own, others = cases()
    sets, figures = [], []
    for bars in BARS:
        length = bars * Meter().steps_per_bar
        human, owner = windows_by_tune(tunes, length)
        drawn = torch.randint(38, (SAMPLES, length), generator=torch.Generator().manual_seed(0))
        three = [human, policy.compose(SAMPLES, length, seed=0), Melodies(drawn)]
        scores = [rewards(melodies, [*own, *others]) for melodies in three]
        sets.append((scores[0][:, : len(own)], scores[1][:, : len(own)]))
        figures.append((scores, owner))
        print(f"{bars} bars: {len(human)} windows of {int(owner.max()) + 1} tunes; {SAMPLES:,} samples")
    weights = together(sets)
    for bars, (scores, owner) in zip(BARS, figures, strict=True):
        print(f"\n| {bars} bars | human | Note RNN | random notes | d | alone | together |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for index, (title, _, _) in enumerate([*own, *others]):
            one, other, random = (score[:, index] for score in scores)
            d, error, weight = effect(one, owner, other)
            means = " | ".join(f"{float(score.mean()):.3f}" for score in (one, other, random))
            joint = f"{float(weights[index]):.2f}" if index < len(own) else "–"
            print(f"| {title} | {means} | {d:+.2f} ± {error:.2f} | {weight:+.2f} | {joint} |")


def print_metres() -> None:
    """The gauldin book's total in every metre of the corpus, at eight bars."""
    book, policy = load_rulebook("gauldin"), rltuner.load("note_rnn")
    print("\n| metre | tunes | windows | human | Note RNN | d |\n|---|---:|---:|---:|---:|---:|")
    for signature in ("4/4", "6/8", "2/4", "3/4", "9/8"):
        meter = Meter.parse(signature)
        tunes = tunes_of(meter)
        human, owner = windows_by_tune(tunes, 8 * meter.steps_per_bar)
        policy.network.meter = meter
        composed = policy.compose(SAMPLES, 8 * meter.steps_per_bar, seed=0)
        scores = [reward_counts(melodies, book)["total"].numerator.float() for melodies in (human, composed)]
        d, error, _ = effect(scores[0], owner, scores[1])
        means = " | ".join(f"{float(score.mean()):.2f}" for score in scores)
        print(f"| {meter} | {int(owner.max()) + 1} | {len(human)} | {means} | {d:+.2f} ± {error:.2f} |")


if __name__ == "__main__":
    torch.set_num_threads(2)
    print_rules()
    print_metres()
