"""The texts beside a Note RNN: its model card and the credits of its tunes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rltuner.corpus.corpora import Corpus
from rltuner.melody.tunes import TEST_TUNES, TRAINING_TUNES, Tune
from rltuner.networks.note_rnn import NoteRNN
from rltuner.pretraining.config import PretrainConfig
from rltuner.pretraining.training import FIRST_BARS
from rltuner.version import __version__


def card_text(
    config: PretrainConfig,
    corpus: Corpus,
    parts: dict[str, list[Tune]],
    figures: dict[str, Any],
    model: NoteRNN,
) -> str:
    """The model card: what it is, its data, its figures, how it was made, its limits."""
    sizes = ", ".join(
        f"{len(tunes):,} {part} tunes ({sum(len(tune.events) for tune in tunes):,} events)"
        for part, tunes in parts.items()
    )
    first_bars = figures["test_nll_of_first_bars"]
    table = "\n".join(
        f"| {meter} | {fit['tunes']} | {fit['events']:,} | {fit['nll']:.3f} | {100 * fit['accuracy']:.1f} % | "
        + " | ".join(f"{first_bars[meter][n]:.3f}" if n in first_bars[meter] else "–" for n in FIRST_BARS)
        + " |"
        for meter, fit in {"all": figures["test"], **figures["test_by_meter"]}.items()
    )
    command = (
        f"rltuner pretrain --corpus {config.corpus} --updates {config.updates} --batch-events {config.batch_events} "
        f"--inputs {' '.join(config.inputs)} --seed {config.seed}"
    )
    weights = sum(parameter.numel() for parameter in model.parameters())
    return f"""# Note RNN

An LSTM that predicts the next event of a monophonic melody on a grid of sixteenths.

* {model.vocabulary}: 0 is NOTE_OFF, 1 is NO_EVENT, c >= 2 is the onset of MIDI pitch c + {model.vocabulary.min_pitch - 2}
* layers of {", ".join(map(str, model.hidden_sizes))} units, {weights:,} weights
* it hears {", ".join(model.inputs.names)} (docs/algorithms.md of rltuner, "What a Note RNN hears")

## Data

{sizes}. Transposed to no key signature with the mode kept, repeats expanded; the rules are in docs/corpus.md of
rltuner. Counts: {corpus.summary()}.

The transcribers are named in CREDITS.md, and with each tune in {TEST_TUNES} and {TRAINING_TUNES}, which hold the test and
the training tunes in encoded form.

## Figures

Negative log-likelihood in nats an event, and share of events that were the likeliest class, on whole test tunes from
the zero state; then nats an event on the first bars of those that have as many, told as if they were a whole tune.

| metre | tunes | events | nats an event | accuracy | {" | ".join(f"{n} bars" for n in FIRST_BARS)} |
|---|---:|---:|---:|---:|{"---:|" * len(FIRST_BARS)}
{table}

Validation tunes: {figures["validation_nll"]:.3f} nats an event. Training took {figures["training_seconds"]} s on
{config.device}, threads: {config.threads}.

## Made by

rltuner {__version__}, the whole configuration in config.json:

    {command}

## Limits

It knows only what is in its tunes and their modes of the white keys, one note at a time and nothing shorter than a
sixteenth. What it repeats, it repeats from one, two, four or eight bars before.
"""


def credits_text(corpus: Corpus) -> str:
    """Everyone whom the tunes credit, with the number of tunes."""
    counts = Counter(" ".join(tune.credit.split()) or "(nobody named)" for tune in corpus.tunes)
    lines = [
        f"* {credit}: {count}"
        for credit, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    return "# Transcribers, as the tunes name them, and their tunes\n\n" + "\n".join(lines) + "\n"
