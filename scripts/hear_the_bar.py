"""Whole tunes beside people's: what sources compose, and what a Note RNN predicts of test tunes.

    python scripts/hear_the_bar.py                                 # note_rnn in 4/4, 3/4 and 6/8, eight bars
    python scripts/hear_the_bar.py note_rnn tune --meters 4/4 --best-of 8 --bars 16
    python scripts/hear_the_bar.py --split                         # tunes that share a run with a test tune: 0

Ten thousand melodies of each primer in each metre, at temperature 1; some three minutes a column on two cores. --best-of
adds the first source's melodies chosen by the gauldin book, without training.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import torch

from rltuner.console import output_console
from rltuner.corpus.corpora import load_corpus
from rltuner.corpus.split import shared_runs, split_tunes
from rltuner.eval.copying import TrainingTunes
from rltuner.eval.counts import Estimate, replicate
from rltuner.eval.counts import estimates as estimates_of
from rltuner.eval.judge import Standards, judge
from rltuner.eval.rewards import reward_counts
from rltuner.eval.rows import HELD_OUT_ROWS, Row
from rltuner.eval.sources import HUMAN, Source, read_source
from rltuner.eval.table import markdown_table
from rltuner.generating.generate import best_of as best_of_each
from rltuner.melody import Melodies, Meter
from rltuner.melody.tunes import human_tunes, training_tunes
from rltuner.networks.compose import compose
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import load
from rltuner.pretraining.training import fit_of
from rltuner.rules import load_rulebook
from rltuner.rules.bars import by_bar

SECTION = "Whole tunes"
OLD, NEW = "gauldin_two_bars", "gauldin"
ROWS = (
    Row(OLD, f"{OLD} reward", SECTION, "", "reward"),
    Row(NEW, f"{NEW} reward", SECTION, "", "reward"),
    Row("first", "Onsets at the bar's first sixteenth", SECTION),
    Row("even", "… at its 2nd, 4th, … sixteenth", SECTION),
    Row("told_from_human", "Told from human, logistic", SECTION),
    Row("told_from_human_trees", "Told from human, trees", SECTION),
    *(Row(row.name, f"{row.title} (held out)", SECTION, "", "reward") for row in HELD_OUT_ROWS),
    Row("notes_in_repeated_motif", "Notes in repeated motif", SECTION),
    Row("returning", "Bars that return exactly", SECTION),
    Row("returning_in_rhythm", "… in rhythm", SECTION),
    Row("distinct", "Distinct melodies", SECTION),
    Row("edit_distance", "Mean edit distance of two", SECTION, "", "number"),
    Row("copied_16grams", "16 events of a training tune", SECTION),
    Row("compositions_starting_with_tonic", "Starting with the tonic", SECTION),
    Row("ends_on_tonic", "Ending on the tonic", SECTION),
    Row("half_cadences", "Bar 4 of 8 ends on the dominant", SECTION),
)


def rhythm(melodies: Melodies) -> dict[str, Estimate]:
    """Share of bars with an onset on their first sixteenth; mean share of those with one on each even sixteenth. Each
    with its 95 % interval."""
    onsets = by_bar(melodies, melodies.is_onset).double()
    by_melody = {"first": onsets[:, :, 0].mean(dim=1), "even": onsets[:, :, 1::2].mean(dim=(1, 2))}
    found = {}
    for name, values in by_melody.items():
        half = 1.96 * float(values.std()) / len(values) ** 0.5
        mean = float(values.mean())
        found[name] = Estimate(mean, mean - half, mean + half)
    return found


def columns(
    sources: Sequence[str], meter: Meter, bars: int, best_of: int, count: int
) -> Mapping[str, Mapping[str, Estimate]]:
    """The figures of people, and of each source after each primer."""
    length = bars * meter.steps_per_bar
    human = read_source(HUMAN, 0, length, meter=meter)
    batches: dict[str, tuple[Source, str]] = {f"human, {len(human.melodies)} windows": (human, "")}
    for source in sources:
        for primer in ("random_note", "none"):
            composed = read_source(source, count, length, primer=primer, meter=meter)
            batches[f"{source}, {primer}"] = (composed, primer)
    if best_of > 1:
        policy, book = load(sources[0]), load_rulebook(NEW)
        policy.network.meter = meter
        many = compose(policy, count * best_of, length, seed=1)
        batches[f"{sources[0]}, best of {best_of}"] = (
            Source(sources[0], best_of_each(many, book, best_of), policy=policy),
            "random_note",
        )
    found: dict[str, Mapping[str, Estimate]] = {}
    old, new, training = load_rulebook(OLD), load_rulebook(NEW), TrainingTunes(training_tunes())
    for name, (composed, primer) in batches.items():
        standards = Standards("C major", new, 0.8, human, training, primer=primer, length=length)
        estimates = judge(composed, standards).estimates
        by_old = reward_counts(composed.melodies, old)["total"]
        rewards = estimates_of({OLD: by_old}, replicate({OLD: by_old}, composed.groups), composed.groups)
        found[name] = {**estimates, **rewards, NEW: estimates["rule_total"], **rhythm(composed.melodies)}
    return found


def predictions(source: str) -> str:
    """Nats an event of the test tunes' first bars, each told as a whole tune, with nothing before them."""
    network, tunes = NoteRNN.load(source), human_tunes()
    meters = sorted({tune.meter for tune in tunes}, key=lambda m: -sum(tune.meter == m for tune in tunes))
    lines = [
        "| nats an event on the first | 2 bars | 8 bars | 16 bars | tunes |",
        "|---|---:|---:|---:|---:|",
    ]
    for meter in [None, *meters]:
        of_meter = [tune for tune in tunes if meter in (None, tune.meter)]
        fits = [fit_of(network, of_meter, bars) for bars in (2, 8, 16)]
        cells = " | ".join(f"{fit.nll:.3f}" for fit in fits)
        lines.append(f"| {meter or 'all metres'} | {cells} | {len(of_meter)} |")
    return "\n".join(lines)


def split() -> str:
    """How many test tunes share a run with a tune that is learned from, or looked at while learning."""
    parts = split_tunes(load_corpus("tunebooks", quiet=True).tunes)
    learned = [*parts["train"], *parts["validation"]]
    counts = ", ".join(
        f"{sum(shared_runs(parts['test'], learned, run))} of {run} events" for run in (32, 64, 128)
    )
    shipped = sum(shared_runs(human_tunes(), training_tunes()))
    return (
        f"{len(parts['test'])} test tunes; they share with the {len(learned)} others, in any key, a run: {counts}\n"
        f"of the shipped test tunes, {shipped} share a run of 32 events with a shipped training tune"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="*", default=["note_rnn"])
    parser.add_argument("--best-of", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--meters", nargs="+", default=["4/4", "3/4", "6/8"])
    parser.add_argument("--bars", type=int, default=8)
    parser.add_argument("--split", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.split:
        output_console.print(split(), markup=False, soft_wrap=True)
        return
    for source in options.sources:
        if load(source).kind == "note_rnn":
            output_console.print(predictions(source), markup=False, soft_wrap=True)
    for meter in options.meters:
        found = columns(options.sources, Meter.parse(meter), options.bars, options.best_of, options.count)
        title = f"\n{options.bars} bars of {meter}, {options.count:,} melodies, temperature 1\n\n"
        output_console.print(title + markdown_table(found, ROWS, True), markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
