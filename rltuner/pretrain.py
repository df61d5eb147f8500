"""Supervised training of a Note RNN on whole tunes from the zero input, and on windows of them."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from rltuner import __version__
from rltuner.atomic import sweep, write_atomically
from rltuner.config import PretrainConfig
from rltuner.corpus import Corpus, load_corpus, split_tunes
from rltuner.devices import usable_device
from rltuner.errors import InputError
from rltuner.interrupts import delayed_interrupt, saying_how_to_go_on
from rltuner.note_rnn import NoteRNN
from rltuner.run_state import (
    MANIFEST,
    append_record,
    create_folder,
    keep_records,
    load_state,
    locked,
    read_manifest,
    refuse_links,
    save_state,
)
from rltuner.storage import CONFIG, MODEL, check_tensors
from rltuner.stored_config import refuse_another_folder
from rltuner.training import Training, fit_of
from rltuner.tunes import TEST_TUNES, TRAINING_TUNES, Tune, save_tunes

STATE, METRICS = (
    "checkpoint",
    "metrics.jsonl",
)  # in the folder of the Note RNN: what a resumed training goes on from


def pretrain(config: PretrainConfig) -> Path:
    """Trains a Note RNN and writes its checkpoint, model card and test tunes; returns the folder.

    The weights kept are those with the lowest validation loss. With `resume` the training in that folder goes on with
    its own configuration and tunes, and ends as it would have without the stop. Ctrl-C saves and raises
    KeyboardInterrupt; the second one does not wait.

    Raises InputError where the folder exists, the corpus cannot be used, or the training cannot be resumed.
    """
    from rltuner.console import say

    folder = config.resume if config.resume is not None else config.out
    if config.resume is not None:
        config = resumed(config)
    elif folder.exists():
        raise InputError(f"{folder}: exists already; give another --out, or --resume {folder}")
    else:
        try:  # now, not after the corpus is parsed
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
    device = usable_device(config.device)
    torch.set_num_threads(config.threads)
    corpus = load_corpus(config.corpus, jobs=config.jobs or None)
    parts = split_tunes(corpus.tunes, config.seed)
    say(f"{corpus.name}: " + ", ".join(f"{len(tunes)} {part} tunes" for part, tunes in parts.items()))
    for part, tunes in parts.items():
        if not tunes:
            raise InputError(f"corpus {config.corpus}: no tune left for the {part} part; give more tunes")

    tunes_digest = hashlib.sha256(repr(parts).encode()).hexdigest()

    def save(path: Path) -> None:
        facts = {
            "best": training.best if math.isfinite(training.best) else None,
            "seconds": training.seconds,
            "config": settings_of(config),
            "tunes_sha256": tunes_digest,
        }
        save_state(path / STATE, training.updates, training.tensors(), **facts)

    with ExitStack() as held, saying_how_to_go_on("pretrain", folder):
        with delayed_interrupt() as interrupted:
            if config.resume is not None:
                training = _resumed_training(folder, held, config, parts["train"], device, tunes_digest)
            else:
                training = Training(config, parts["train"], device)
                held.enter_context(create_folder(folder, save))
            _train(training, parts["validation"], folder, save, interrupted)
        training.model.load_state_dict(training.best_weights)
        return _write(training.model, config, folder, corpus, parts, training.best, training.seconds)


def _resumed_training(
    folder: Path,
    held: ExitStack,
    config: PretrainConfig,
    tunes: list[Tune],
    device: torch.device,
    tunes_digest: str,
) -> Training:
    """The training where its last state was saved; the folder's lock goes to `held`."""
    refuse_links(folder, [".lock", METRICS, STATE, CONFIG, MODEL, TEST_TUNES, TRAINING_TUNES, "README.md"])
    held.enter_context(locked(folder))
    sweep(folder)
    manifest, tensors = load_state(folder / STATE)
    if manifest.get("tunes_sha256") != tunes_digest:
        raise InputError(
            f"{folder}: the tunes of corpus {config.corpus} are no longer those that the training began with; "
            "put them back, or start anew"
        )
    with torch.device("meta"):  # takes no memory, whatever the manifest asks for
        shapes = NoteRNN(hidden_sizes=config.hidden_sizes).state_dict()
    weights = {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}
    check_tensors({f"model.{name}": tensor for name, tensor in shapes.items()}, weights, folder / STATE)
    training = Training(config, tunes, device)
    training.restore(manifest, tensors, folder / STATE)
    keep_records(folder / METRICS, training.updates)
    return training


def _train(
    training: Training,
    validation: list[Tune],
    folder: Path,
    save: Callable[[Path], None],
    interrupted: Callable[[], bool],
) -> None:
    """All updates that are left; raises KeyboardInterrupt, with all saved, where Ctrl-C came meanwhile."""
    from rltuner.console import progress_bar, say

    config = training.config
    with progress_bar("pretraining", config.updates) as advance:
        advance(training.updates, None)
        saved = training.updates
        before, started = training.seconds, time.monotonic()
        while training.updates < config.updates and not interrupted():
            loss, done = training.update(), training.updates
            if done % config.validate_every == 0 or done == config.updates:
                fit = training.validate(validation)
                say(f"update {done}: validation {fit.nll:.4f} nats an event, accuracy {fit.accuracy:.1%}")
                record = {"updates": done, "loss": loss, "nll": fit.nll, "accuracy": fit.accuracy}
                append_record(folder / METRICS, record)
            training.seconds = before + time.monotonic() - started
            if done % config.checkpoint_every == 0 or done == config.updates or interrupted():
                save(folder)
                saved = done
            advance(1, f"loss {loss:.3f}" if done % 10 == 0 else None)
        if saved != training.updates:  # Ctrl-C came after the update's look at it
            save(folder)
    if interrupted():
        say(f"stopped after {training.updates} of {config.updates} updates")
        raise KeyboardInterrupt


def settings_of(config: PretrainConfig) -> dict[str, Any]:
    """The configuration as JSON values, without the fields that say where it came from and goes to."""
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()}
    return {name: value for name, value in values.items() if name not in ("out", "resume")}


RESUMABLE = ("threads", "jobs", "device", "checkpoint_every")
"""What may be changed when a training is resumed; the rest is its own."""


def resumed(config: PretrainConfig) -> PretrainConfig:
    """The configuration stored in `config.resume`, with the changes that a resumed training allows.

    A `config` with nothing but `resume` set asks for no change; for one, replace fields of `stored_settings`. Raises
    InputError for a change of anything else.
    """
    folder = config.resume
    assert folder is not None
    stored = stored_settings(folder)
    if config == PretrainConfig(resume=folder):
        return stored
    refuse_another_folder(folder, config.out)
    own = settings_of(stored)
    for name, value in settings_of(config).items():
        if name not in RESUMABLE and value != own[name]:
            raise InputError(
                f"{folder}: the training has {name} = {own[name]!r}, not {value!r}; only {', '.join(RESUMABLE)} can "
                "be changed when it goes on"
            )
    return replace(stored, **{name: getattr(config, name) for name in RESUMABLE})


def stored_settings(folder: Path) -> PretrainConfig:
    """The configuration of the training in the folder, to be resumed there. InputError where there is none."""
    where, stored = folder / STATE / MANIFEST, read_manifest(folder / STATE).get("config")
    usual = settings_of(PretrainConfig())
    if not isinstance(stored, dict) or stored.keys() != usual.keys():
        raise InputError(f"{where}: not that of a training that can be resumed")
    for name, value in stored.items():
        if type(value) is not type(usual[name]) and not (
            isinstance(usual[name], float) and type(value) is int
        ):
            raise InputError(
                f"{where}: {name} = {str(value)[:40]} must be of type {type(usual[name]).__name__}"
            )
    sizes = stored["hidden_sizes"]
    if any(type(size) is not int for size in sizes):
        raise InputError(f"{where}: hidden_sizes = {str(sizes)[:40]} must be whole numbers")
    try:
        return PretrainConfig(**{**stored, "hidden_sizes": tuple(sizes)}, out=folder, resume=folder)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _write(
    model: NoteRNN,
    config: PretrainConfig,
    out: Path,
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
    digest = model.save(out, training=settings_of(config), corpus=corpus.counts, figures=figures)
    save_tunes(out / TEST_TUNES, tests, {"corpus": corpus.name, "part": "test"})
    save_tunes(out / TRAINING_TUNES, parts["train"], {"corpus": corpus.name, "part": "train"})
    write_atomically(out / "README.md", card_text(config, corpus, parts, figures, model).encode())
    write_atomically(out / "CREDITS.md", credits_text(corpus).encode())
    say(f"test: {whole.nll:.4f} nats an event, accuracy {whole.accuracy:.1%}, {whole.tunes} whole tunes")
    for meter, fit in by_meter.items():
        say(f"  {meter}: {fit.nll:.4f} nats, accuracy {fit.accuracy:.1%}, {fit.tunes} tunes")
    say(f"{out}: written in {seconds:.0f} s; model SHA-256 {digest[:16]}")
    return out


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
