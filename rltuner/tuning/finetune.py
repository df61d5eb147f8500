"""Fine-tuning: the one loop of Q, Psi and G learning. A round of it is in `round`:

compose a batch of melodies -> score them with the rule book -> keep them -> learn from them and from kept ones
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from rltuner.console import progress_bar, say
from rltuner.errors import InputError
from rltuner.interrupts import ENDING, cleanly_ended, delayed_interrupt, end_by, importing
from rltuner.melody import Meter, Vocabulary
from rltuner.melody.key import Key
from rltuner.networks.devices import usable_device
from rltuner.networks.note_rnn import NoteRNN
from rltuner.rules.book import RuleBook, load_rulebook
from rltuner.rules.check import refuse_broken_rules
from rltuner.rules.contract import RuleError
from rltuner.storing.unfinished import saying_how_to_go_on
from rltuner.tuning.collapse import AMONG, has_collapsed
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.learner import Learner
from rltuner.tuning.replay import Replay
from rltuner.tuning.round import rounds_of, tune_round
from rltuner.tuning.run_folder import RunFolder
from rltuner.tuning.stored_config import resumed_config

LOOK_EVERY = 10  # rounds between two looks of the guard against collapse
SECONDS_UNSAVED = 60.0  # at most, and a round
PROGRESS = (
    "{events_per_second:,.0f} events/s  J {objective:.1f}  KL {kl:.1f}  "
    "rules {rule_reward:.0f}  log p {log_prior:.0f}"
)
OnRecord = Callable[[dict[str, Any]], object]


def finetune(config: FinetuneConfig, on_record: OnRecord | None = None) -> Path:
    """Tunes a Note RNN and writes a run folder; returns its path.

    Args:
      config: what to tune, and how.
      on_record: called with each record of metrics.jsonl (docs/algorithms.md), every `log_every` rounds. What it raises
        ends the run, which goes on from its last state with `resume`.

    With `resume` the run goes on with the configuration stored in its folder, and ends as it would have without the
    stop; only the fields in `stored_config.RESUMABLE` may differ from it.

    Raises InputError, before anything is written, for a checkpoint, rule book or device that cannot be used, an output
    folder that exists, or a run that cannot be resumed so. Ctrl-C lets the round end, saves and raises
    KeyboardInterrupt; the second one does not wait. SIGTERM and SIGHUP do likewise, and then what they always do.
    """
    with importing():
        from rltuner.tuning.results import write_results

    if config.resume is not None:
        config = resumed_config(config)
    torch.set_num_threads(config.threads)
    usable_device(config.device)
    note_rnn = NoteRNN.load(config.note_rnn)
    if config.resume is not None and config.rules.endswith(".py"):
        RunFolder(config.resume).check_code(config.rules)
    book = load_rulebook(config.rules)
    note_rnn.meter = meter_of(config, book) or note_rnn.meter  # the policy composes in it
    if config.bars:
        length = config.bars * note_rnn.meter.steps_per_bar
        config = dataclasses.replace(config, length=length)
    refuse_unfit_vocabulary(config.note_rnn, note_rnn.vocabulary, book)
    refuse_broken_rules(book, note_rnn.vocabulary, note_rnn.meter, config.length)
    learner = Learner(note_rnn, config)
    replay = Replay(config.replay, config.smc_replay if config.smc else 0)
    generator = torch.Generator().manual_seed(config.seed)
    with cleanly_ended(), ExitStack() as held:
        with delayed_interrupt(*ENDING) as interrupted:
            if config.resume is not None:
                folder, updates = RunFolder(config.resume), 0
                held.enter_context(folder.opened())
                folder.check_book(book)
                updates = folder.restore(learner, replay, generator)
            else:
                folder, lock = RunFolder.create(config, book, learner, replay, generator)
                held.enter_context(lock)
                updates = 0
            held.enter_context(saying_how_to_go_on("finetune", folder.path))
            _tune(folder, config, book, learner, replay, generator, updates, interrupted, on_record)
        if number := interrupted():  # where there was nothing left to tune
            end_by(number)
        learner.engine.release()  # so that the policy composes what `generate` composes, to the last bit
        write_results(folder, config, book, note_rnn, learner.policy)
    return folder.path


def _tune(
    folder: RunFolder,
    config: FinetuneConfig,
    book: RuleBook,
    learner: Learner,
    replay: Replay,
    generator: torch.Generator,
    updates: int,
    interrupted: Callable[[], int],
    on_record: OnRecord | None,
) -> None:
    """All rounds after the first `updates`; where a signal ends them early, all is saved, and it raises what it means."""
    total = rounds_of(config)
    if updates >= total:
        if not config.quiet:
            say(f"{folder.path}: tuned to its end; its results are written again (a larger --events goes on)")
        return
    events = config.batch_size * config.length
    if not config.quiet:
        say(
            f"{config.algo} learning with the {book.name} book from {config.note_rnn}; run folder {folder.path}"
        )
    whole, before = total * events, updates * events
    with progress_bar("tuning", whole, completed=before, quiet=config.quiet) as advance:
        started, counted = time.monotonic(), updates
        collapsed = _has_collapsed(folder, config)
        saved, saved_at = updates, time.monotonic()
        while updates < total and not collapsed and not interrupted():
            is_looked_at = config.least_distinct > 0 and (updates + 1) % LOOK_EVERY == 0
            is_recorded = (updates + 1) % config.log_every == 0 or updates + 1 == total or is_looked_at
            state, kept = generator.get_state(), replay.counts
            try:
                record = tune_round(learner, replay, book, generator, updates, measured=is_recorded)
            except RuleError as error:  # raised before anything is learned in this round
                if (
                    replay.counts == kept
                ):  # else the replay has this round's melodies, and would get them twice
                    folder.save(learner, replay, generator.set_state(state), updates)
                raise RuleError(
                    f"round {updates + 1}: {error}. A state before it is saved in {folder.path}, which goes on only "
                    "with the rules it began with; with the rule mended, start a new run (--config takes its settings)"
                ) from None
            updates += 1
            if is_recorded:
                speed = (updates - counted) * events / (time.monotonic() - started)
                started, counted = time.monotonic(), updates
                record = {
                    "updates": updates,
                    "events": updates * events,
                    "events_per_second": speed,
                    **record,
                }
                folder.log(record)
                advance(0, PROGRESS.format(**record))
                collapsed = is_looked_at and _has_collapsed(folder, config)
            is_due = updates % config.checkpoint_every == 0 or time.monotonic() - saved_at >= SECONDS_UNSAVED
            if is_due or updates == total or collapsed or interrupted():
                folder.save(learner, replay, generator, updates)
                saved, saved_at = updates, time.monotonic()
            advance(events, None)
            if is_recorded and on_record is not None:
                on_record(record)
        if saved != updates:  # a signal came after the round's look for one
            folder.save(learner, replay, generator, updates)
    if collapsed:
        say(
            f"ended after {updates} of {total} rounds: among {AMONG:,} melodies fewer than {config.least_distinct:.0%} "
            "would be distinct (--least-distinct)"
        )
    if number := interrupted():
        say(f"stopped after {updates} of {total} rounds")
        end_by(number)


def _has_collapsed(folder: RunFolder, config: FinetuneConfig) -> bool:
    """Whether the guard of --least-distinct ends the run. What else is logged between its looks changes nothing."""
    looks = [record for record in folder.records() if record["updates"] % LOOK_EVERY == 0]
    return has_collapsed(looks, config.least_distinct)


def meter_of(config: FinetuneConfig, book: RuleBook) -> Meter | None:
    """The metre that is asked for, by the configuration or by the book; InputError where they differ."""
    wanted = Meter.parse(config.meter) if config.meter else None
    if wanted is not None and book.meter is not None and wanted != book.meter:
        raise InputError(
            f"finetune: --meter {wanted}, and the {book.name} book counts bars in {book.meter}; leave one of them out"
        )
    return wanted or book.meter


def refuse_unfit_vocabulary(name: str, vocabulary: Vocabulary, book: RuleBook) -> None:
    """InputError where the Note RNN cannot play the tonic of the book's key, so that no tuning could please it."""
    tonic = Key.parse(book.key).tonic_pitch
    if not vocabulary.min_pitch <= tonic < vocabulary.max_pitch:
        raise InputError(
            f"{name} has {vocabulary}; the {book.name} book, written for {Vocabulary()}, has its tonic at MIDI {tonic}: "
            "use a Note RNN that can play it, or a book in another key"
        )
