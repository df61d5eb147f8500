"""What human melodies score by each rule, and what the Note RNN's samples score: is the rule true of music?

    python scripts/measure_rules.py            # the table in docs/rules.md; a minute, most of it parsing the corpus

Human melodies are the *validation* tunes of the `tunebooks` corpus, in 4/4 and a major key (transposed to C), cut into
windows of 32 events from bar lines; `tonic_frame` and `cadence`, which judge how a tune begins and ends, see first
and last windows only. The Note RNN composes 10,000 melodies of 32 events from random-note primers. Random melodies
have every event drawn evenly from all classes.

A rule's figures are its mean reward a melody. d is (human - Note RNN) / pooled standard deviation, with its standard
error by bootstrap over tunes and samples. The last column is (human - Note RNN) / pooled variance: the weight that
makes a normally distributed reward the log-likelihood ratio of human against composed, in nats, one rule at a time.
"""

from __future__ import annotations

import torch

import rltuner
from rltuner.corpus.corpora import load_corpus
from rltuner.corpus.split import split_tunes
from rltuner.melody import Melodies, Meter
from rltuner.melody.tunes import Tune, windows
from rltuner.rules import load_rulebook
from rltuner.rules.held_out import HELD_OUT
from rltuner.rules.making import make_rule, parameter_types

LENGTH, SAMPLES, RESAMPLED = 32, 10_000, 200
KEY = "C major"


def windows_by_tune(
    tunes: list[Tune], length: int
) -> tuple[Melodies, torch.Tensor, torch.Tensor, torch.Tensor]:
    """All windows; the number of the tune of each; bool: the first, the last window of its tune."""
    parts = [(index, windows([tune], length, tune.meter)) for index, tune in enumerate(tunes)]
    parts = [(index, part) for index, part in parts if len(part)]
    owner = torch.cat([torch.full((len(part),), index) for index, part in parts])
    first = torch.cat([torch.arange(len(part)) == 0 for _, part in parts])
    last = torch.cat([torch.arange(len(part)) == len(part) - 1 for _, part in parts])
    return Melodies.concatenate([part for _, part in parts]), owner, first, last


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


def cases() -> list[tuple[str, str, dict[str, object], str]]:
    """(title, rule, parameters, which windows) of every rule of the shipped books and the held-out ones."""
    found: list[tuple[str, str, dict[str, object], str]] = []
    for book in ("gauldin", "magenta"):
        for name, entry in load_rulebook(book).table["rules"].items():
            parameters = {key: value for key, value in entry.items() if key != "weight"}
            if name == "tonic_frame":
                found.append(("gauldin: tonic_frame, start", name, {**parameters, "end": 0.0}, "first"))
                found.append(("gauldin: tonic_frame, end", name, {**parameters, "start": 0.0}, "last"))
            else:
                found.append((f"{book}: {name}", name, parameters, "last" if name == "cadence" else "all"))
    found += [(f"held out: {name}", name, {}, "all") for name in HELD_OUT]
    return found


def major_tunes(meter: Meter) -> list[Tune]:
    validation = split_tunes(load_corpus("tunebooks").tunes, 0)["validation"]
    return [tune for tune in validation if tune.meter == meter and tune.key.lower().endswith("major")]


def print_rules() -> None:
    """The table of all rules, in 4/4."""
    tunes = major_tunes(Meter())
    human, owner, first, last = windows_by_tune(tunes, LENGTH)
    which = {"all": torch.ones_like(first), "first": first, "last": last}
    composed = rltuner.load("event_rnn").compose(SAMPLES, LENGTH, seed=0)
    random = Melodies(torch.randint(38, (SAMPLES, LENGTH), generator=torch.Generator().manual_seed(0)))
    print(
        f"{len(tunes)} tunes, {len(human)} windows, {int(first.sum())} of them first ones; {SAMPLES:,} samples\n"
    )
    print("| rule | human | Note RNN | random notes | d | evidence weight |")
    print("|---|---:|---:|---:|---:|---:|")
    for title, name, parameters, chosen in cases():
        if "key" in parameter_types(type(make_rule(name))):
            parameters = {"key": KEY, **parameters}
        rule = make_rule(name, parameters)
        scores = [rule(melodies).sum(dim=1) for melodies in (human, composed, random)]
        scores[0] = scores[0][which[chosen]]
        d, error, weight = effect(scores[0], owner[which[chosen]], scores[1])
        means = " | ".join(f"{float(score.mean()):.3f}" for score in scores)
        print(f"| {title} | {means} | {d:+.2f} ± {error:.2f} | {weight:+.2f} |")


def print_metres() -> None:
    """The gauldin book's total in every metre of the corpus: windows of two bars at least, and samples as long."""
    book, policy = load_rulebook("gauldin"), rltuner.load("event_rnn")
    print("\n| metre | tunes | windows | human | Note RNN | d |")
    print("|---|---:|---:|---:|---:|---:|")
    for signature, bars in (("4/4", 2), ("6/8", 3), ("2/4", 4), ("3/4", 3), ("9/8", 2)):
        meter = Meter.parse(signature)
        length = bars * meter.steps_per_bar
        tunes = major_tunes(meter)
        human, owner, _, _ = windows_by_tune(tunes, length)
        composed = policy.compose(SAMPLES, length, seed=0)
        composed = Melodies(composed.events, meter=meter)
        scores = [book.score(melodies)["total"].sum(dim=1) for melodies in (human, composed)]
        d, error, _ = effect(scores[0], owner, scores[1])
        means = " | ".join(f"{float(score.mean()):.2f}" for score in scores)
        print(f"| {meter}, {bars} bars | {len(tunes)} | {len(human)} | {means} | {d:+.2f} ± {error:.2f} |")


if __name__ == "__main__":
    torch.set_num_threads(2)
    print_rules()
    print_metres()
