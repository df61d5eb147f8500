"""Supervised training of a Note RNN on whole tunes from the zero input, and on windows of them."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rltuner import __version__
from rltuner.config import PretrainConfig
from rltuner.corpus import Corpus, load_corpus, split_tunes
from rltuner.devices import usable_device
from rltuner.errors import InputError
from rltuner.note_rnn import NoteRNN
from rltuner.storage import write_atomically
from rltuner.tunes import TEST_TUNES, TRAINING_TUNES, Tune, save_tunes

IGNORED = -100  # target of a padded step


@dataclass(frozen=True)
class Fit:
    """How well a Note RNN predicts tunes."""

    nll: float
    """Negative log-likelihood in nats an event, whole tunes from the zero input."""
    accuracy: float
    """Share of events that were the likeliest class."""
    events: int
    """Number of events predicted."""
    tunes: int
    """Number of tunes."""


class Windows:
    """Random windows of tunes, as inputs and targets.

    Each tune is laid out as -1 (the zero input) and its events; a window of W inputs and the W events after them
    starts at the -1 with probability `from_start`, else anywhere. A tune is drawn in proportion to its length.
    """

    def __init__(self, tunes: Sequence[Tune], window: int, from_start: float, seed: int, device: str) -> None:
        rows = [torch.tensor([-1, *tune.events], dtype=torch.int64) for tune in tunes]
        self.flat = torch.cat(rows).to(device)
        self.lengths = torch.tensor([len(row) - 1 for row in rows])
        self.starts = torch.tensor([0, *(len(row) for row in rows)][:-1]).cumsum(0)
        self.window, self.from_start = window, from_start
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """inputs and targets, int64 [count, W]; targets past a tune's end are IGNORED."""
        tune = torch.multinomial(self.lengths.float(), count, replacement=True, generator=self.generator)
        length = self.lengths[tune]
        room = (length - self.window).clamp(min=0) + 1
        uniform = torch.rand((2, count), generator=self.generator)
        offset = torch.where(uniform[0] < self.from_start, 0, (uniform[1] * room).long())
        inside = offset[:, None] + torch.arange(self.window + 1)  # (count, W + 1), place in the tune
        past = inside > length[:, None]
        places = (self.starts[tune][:, None] + inside).clamp(max=len(self.flat) - 1)
        events = self.flat[places.to(self.flat.device)]
        past = past.to(self.flat.device)
        return events[:, :-1].masked_fill(past[:, :-1], 0), events[:, 1:].masked_fill(past[:, 1:], IGNORED)


@torch.no_grad()
def fit_of(model: NoteRNN, tunes: Sequence[Tune], batch_size: int = 64) -> Fit:
    """Predicts every event of whole tunes from the zero state. NaN without tunes."""
    device = next(model.parameters()).device
    loss, right, events = 0.0, 0, 0
    by_length = sorted(tunes, key=lambda tune: len(tune.events))
    for first in range(0, len(by_length), batch_size):
        rows = [
            torch.tensor([-1, *tune.events], dtype=torch.int64)
            for tune in by_length[first : first + batch_size]
        ]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORED).to(device)
        inputs, targets = padded[:, :-1].clamp(min=-1), padded[:, 1:]
        logits, _ = model(inputs)
        loss += float(
            nn.functional.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
            )
        )
        right += int((logits.argmax(dim=2) == targets).sum())
        events += int((targets != IGNORED).sum())
    return Fit(loss / events, right / events, events, len(tunes)) if events else Fit(math.nan, math.nan, 0, 0)


def learning_rate_at(update: int, config: PretrainConfig) -> float:
    """Warmed up over 2 % of the updates, then lowered to 0 along a cosine."""
    warm = max(1, config.updates // 50)
    if update < warm:
        return config.learning_rate * (update + 1) / warm
    return (
        config.learning_rate * 0.5 * (1 + math.cos(math.pi * (update - warm) / max(1, config.updates - warm)))
    )


def pretrain(config: PretrainConfig) -> Path:
    """Trains a Note RNN and writes its checkpoint, model card and test tunes; returns the folder.

    The weights kept are those with the lowest validation loss. Raises InputError where the folder exists or the
    corpus cannot be used.
    """
    from rltuner.console import progress_bar, say

    if config.out.exists():
        raise InputError(f"{config.out}: exists already; give another --out")
    try:  # now, not after the training
        config.out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{config.out}: cannot be made ({error.strerror})") from None
    device = usable_device(config.device)
    torch.set_num_threads(config.threads)
    corpus = load_corpus(config.corpus, jobs=config.jobs or None)
    parts = split_tunes(corpus.tunes, config.seed)
    say(f"{corpus.name}: " + ", ".join(f"{len(tunes)} {part} tunes" for part, tunes in parts.items()))
    for part, tunes in parts.items():
        if not tunes:
            raise InputError(f"corpus {config.corpus}: no tune left for the {part} part; give more tunes")

    model = NoteRNN(hidden_sizes=config.hidden_sizes, seed=config.seed).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
    windows = Windows(parts["train"], config.window, config.from_start, config.seed, config.device)
    best, best_weights = math.inf, model.state_dict()
    started = time.monotonic()
    with progress_bar("pretraining", config.updates) as advance:
        for update in range(config.updates):
            optimiser.param_groups[0]["lr"] = learning_rate_at(update, config)
            inputs, targets = windows.draw(config.batch_size)
            logits, _ = model(inputs)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            optimiser.step()
            if (update + 1) % config.validate_every == 0 or update + 1 == config.updates:
                fit = fit_of(model, parts["validation"])
                say(
                    f"update {update + 1}: validation {fit.nll:.4f} nats an event, accuracy {fit.accuracy:.1%}"
                )
                if fit.nll < best:
                    best = fit.nll
                    best_weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            advance(1, f"loss {float(loss.detach()):.3f}" if update % 10 == 0 else None)
    seconds = time.monotonic() - started
    model.load_state_dict(best_weights)
    return _write(model, config, corpus, parts, best, seconds)


def _write(
    model: NoteRNN,
    config: PretrainConfig,
    corpus: Corpus,
    parts: dict[str, list[Tune]],
    validation: float,
    seconds: float,
) -> Path:
    """Checkpoint, test tunes and model card."""
    from rltuner.console import say

    tests = parts["test"]
    whole = fit_of(model, tests)
    meters = sorted({tune.meter for tune in tests}, key=lambda m: (-m.steps_per_bar, m.steps_per_beat))
    by_meter = {str(meter): fit_of(model, [t for t in tests if t.meter == meter]) for meter in meters}
    figures = {
        "test": asdict(whole),
        "test_by_meter": {meter: asdict(fit) for meter, fit in by_meter.items()},
        "validation_nll": validation,
        "training_seconds": round(seconds),
    }
    settings = {
        name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()
    }
    del settings["out"]
    digest = model.save(config.out, training=settings, corpus=corpus.counts, figures=figures)
    save_tunes(config.out / TEST_TUNES, tests, {"corpus": corpus.name, "part": "test"})
    save_tunes(config.out / TRAINING_TUNES, parts["train"], {"corpus": corpus.name, "part": "train"})
    write_atomically(config.out / "README.md", card_text(config, corpus, parts, figures, model).encode())
    write_atomically(config.out / "CREDITS.md", credits_text(corpus).encode())
    say(f"test: {whole.nll:.4f} nats an event, accuracy {whole.accuracy:.1%}, {whole.tunes} whole tunes")
    for meter, fit in by_meter.items():
        say(f"  {meter}: {fit.nll:.4f} nats, accuracy {fit.accuracy:.1%}, {fit.tunes} tunes")
    say(f"{config.out}: written in {seconds:.0f} s; model SHA-256 {digest[:16]}")
    return config.out


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
    table = "\n".join(
        f"| {meter} | {fit['tunes']} | {fit['events']:,} | {fit['nll']:.3f} | {100 * fit['accuracy']:.1f} % |"
        for meter, fit in {"all": figures["test"], **figures["test_by_meter"]}.items()
    )
    command = (
        f"rltuner pretrain --corpus {config.corpus} --updates {config.updates} --batch-size {config.batch_size} "
        f"--window {config.window} --seed {config.seed}"
    )
    weights = sum(parameter.numel() for parameter in model.parameters())
    return f"""# Note RNN

An LSTM that predicts the next event of a monophonic melody on a grid of sixteenths.

* {model.vocabulary}: 0 is NOTE_OFF, 1 is NO_EVENT, c >= 2 is the onset of MIDI pitch c + {model.vocabulary.min_pitch - 2}
* layers of {", ".join(map(str, model.hidden_sizes))} units, {weights:,} weights

## Data

{sizes}. Transposed to no key signature with the mode kept, repeats expanded; the rules are in docs/corpus.md of
rltuner. Counts: {corpus.summary()}.

The transcribers are named in CREDITS.md, and with each tune in {TEST_TUNES} and {TRAINING_TUNES}, which hold the test and
the training tunes in encoded form.

## Figures

Negative log-likelihood in nats an event, and share of events that were the likeliest class, on whole test tunes from
the zero state.

| metre | tunes | events | nats an event | accuracy |
|---|---:|---:|---:|---:|
{table}

Validation tunes: {figures["validation_nll"]:.3f} nats an event. Training took {figures["training_seconds"]} s on
{config.device}, threads: {config.threads}.

## Made by

rltuner {__version__}, the whole configuration in config.json:

    {command}

## Limits

It knows only what is in its tunes and their modes of the white keys, one note at a time and nothing shorter than a
sixteenth. It loses the thread after a few bars, which is what tuning is for.
"""


def credits_text(corpus: Corpus) -> str:
    """Everyone whom the tunes credit, with the number of tunes."""
    counts = Counter(" ".join(tune.credit.split()) or "(nobody named)" for tune in corpus.tunes)
    lines = [
        f"* {credit}: {count}"
        for credit, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    return "# Transcribers, as the tunes name them, and their tunes\n\n" + "\n".join(lines) + "\n"
