"""Supervised training of a Note RNN on windows of tunes: from a corpus to a checkpoint, and resumed after a stop."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import torch

from rltuner.console import progress_bar, say
from rltuner.corpus.corpora import Corpus, load_corpus
from rltuner.corpus.split import split_tunes
from rltuner.errors import InputError
from rltuner.interrupts import ENDING, cleanly_ended, delayed_interrupt, end_by
from rltuner.melody.tunes import TEST_TUNES, TRAINING_TUNES, Tune, save_tunes
from rltuner.networks.devices import usable_device
from rltuner.networks.note_rnn import NoteRNN
from rltuner.pretraining.card import card_text, credits_text
from rltuner.pretraining.config import PretrainConfig
from rltuner.pretraining.stored import METRICS, STATE, resumed, settings_of
from rltuner.pretraining.training import FIRST_BARS, Training, fit_of
from rltuner.storing.atomic import sweep, write_atomically
from rltuner.storing.checkpoints import CONFIG, MODEL, check_tensors
from rltuner.storing.records import append_record, keep_records
from rltuner.storing.run_folders import create_folder, locked, refuse_links
from rltuner.storing.state import load_state, save_state
from rltuner.storing.unfinished import saying_how_to_go_on

SECONDS_UNSAVED = 60.0  # at most, and an update
LEFT_OUT = "left_out.txt"  # beside the checkpoint: every tune of the corpus that it did not learn from, with the reason


def pretrain(config: PretrainConfig) -> Path:
    """Trains a Note RNN and writes its checkpoint, model card and test tunes; returns the folder.

    The weights kept are those with the lowest validation loss. With `resume` the training in that folder goes on with
    its own configuration and tunes, and ends as it would have without the stop. Ctrl-C saves and raises
    KeyboardInterrupt; the second one does not wait. SIGTERM and SIGHUP do likewise, and then what they always do.

    Raises InputError where the folder exists, the corpus cannot be used, or the training cannot be resumed.
    """
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

    with cleanly_ended(), ExitStack() as held, saying_how_to_go_on("pretrain", folder):
        with delayed_interrupt(*ENDING) as interrupted:
            if config.resume is not None:
                training = _resumed_training(folder, held, config, parts["train"], device, tunes_digest)
            else:
                training = Training(config, parts["train"], device)
                held.enter_context(create_folder(folder, save))
            _train(training, parts["validation"], folder, save, interrupted)
        if number := interrupted():  # where there was nothing left to learn
            end_by(number)
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
    refuse_links(
        folder, [".lock", METRICS, STATE, CONFIG, MODEL, TEST_TUNES, TRAINING_TUNES, "README.md", LEFT_OUT]
    )
    held.enter_context(locked(folder))
    sweep(folder)
    manifest, tensors = load_state(folder / STATE)
    if manifest.get("tunes_sha256") != tunes_digest:
        raise InputError(
            f"{folder}: the tunes of corpus {config.corpus} are no longer those that the training began with; "
            "put them back, or start anew"
        )
    with torch.device("meta"):  # takes no memory, whatever the manifest asks for
        shapes = NoteRNN(hidden_sizes=config.hidden_sizes, inputs=config.inputs).state_dict()
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
    interrupted: Callable[[], int],
) -> None:
    """All updates that are left; where a signal ends them early, all is saved, and it raises what it means."""
    config = training.config
    with progress_bar("pretraining", config.updates, completed=training.updates) as advance:
        saved, saved_at = training.updates, time.monotonic()
        before, started = training.seconds, time.monotonic()
        while training.updates < config.updates and not interrupted():
            loss, done = training.update(), training.updates
            if done % config.validate_every == 0 or done == config.updates:
                fit = training.validate(validation)
                say(f"update {done}: validation {fit.nll:.4f} nats an event, accuracy {fit.accuracy:.1%}")
                record = {"updates": done, "loss": loss, "nll": fit.nll, "accuracy": fit.accuracy}
                append_record(folder / METRICS, record)
            training.seconds = before + time.monotonic() - started
            is_due = done % config.checkpoint_every == 0 or time.monotonic() - saved_at >= SECONDS_UNSAVED
            if is_due or done == config.updates or interrupted():
                save(folder)
                saved, saved_at = done, time.monotonic()
            advance(1, f"loss {loss:.3f}" if done % 10 == 0 else None)
        if saved != training.updates:  # a signal came after the loop had looked for one
            save(folder)
    if number := interrupted():
        say(f"stopped after {training.updates} of {config.updates} updates")
        end_by(number)


def _write(
    model: NoteRNN,
    config: PretrainConfig,
    out: Path,
    corpus: Corpus,
    parts: dict[str, list[Tune]],
    validation: float,
    seconds: float,
) -> Path:
    """Writes the checkpoint, the test and training tunes, the model card and the credits; says the test figures."""
    tests = parts["test"]
    meters = sorted({tune.meter for tune in tests}, key=lambda m: (-m.steps_per_bar, m.steps_per_beat))
    of_meter = {"all": tests} | {str(m): [tune for tune in tests if tune.meter == m] for m in meters}
    fits = {meter: fit_of(model, tunes) for meter, tunes in of_meter.items()}
    first_bars = {
        meter: {bars: nll for bars in FIRST_BARS if math.isfinite(nll := fit_of(model, tunes, bars).nll)}
        for meter, tunes in of_meter.items()
    }
    figures = {
        "test": asdict(fits["all"]),
        "test_by_meter": {meter: asdict(fit) for meter, fit in fits.items() if meter != "all"},
        "test_nll_of_first_bars": first_bars,
        "validation_nll": validation,
        "training_seconds": round(seconds),
    }
    digest = model.save(out, training=settings_of(config), corpus=corpus.counts, figures=figures)
    save_tunes(out / TEST_TUNES, tests, {"corpus": corpus.name, "part": "test"})
    save_tunes(out / TRAINING_TUNES, parts["train"], {"corpus": corpus.name, "part": "train"})
    write_atomically(out / "README.md", card_text(config, corpus, parts, figures, model).encode())
    write_atomically(out / "CREDITS.md", credits_text(corpus).encode())
    write_atomically(out / LEFT_OUT, "".join(f"{line}\n" for line in corpus.left_out).encode())
    for meter, fit in fits.items():
        first = "".join(f"; first {bars} bars {nll:.3f}" for bars, nll in first_bars[meter].items())
        say(
            f"test, {meter}: {fit.nll:.4f} nats an event, accuracy {fit.accuracy:.1%}, {fit.tunes} whole tunes{first}"
        )
    say(f"{out}: written in {seconds:.0f} s; model SHA-256 {digest[:16]}")
    return out
