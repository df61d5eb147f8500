"""Fine-tuning: the one loop of Q, Psi and G learning.

    compose a batch of melodies -> score them with the rule book -> keep them -> learn from them and from kept ones

Melodies are composed by the policy as it is, rewards are computed for whole batches afterwards (acting never needs
them), and learning unrolls whole melodies from their first event. Only `backups` tells the algorithms apart.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch

from rltuner.backups import reward
from rltuner.collapse import AMONG, LOOKED_AT, expected_distinct, has_collapsed
from rltuner.config import FinetuneConfig
from rltuner.console import progress_bar, say
from rltuner.devices import usable_device
from rltuner.errors import InputError
from rltuner.exploration import steered, with_a_passage_repeated
from rltuner.interrupts import delayed_interrupt, importing, saying_how_to_go_on
from rltuner.key import Key
from rltuner.learner import Learner
from rltuner.melody import Melodies, Vocabulary
from rltuner.note_rnn import NoteRNN
from rltuner.objective import divergence, log_probabilities
from rltuner.recurrence import undivided
from rltuner.replay import Replay
from rltuner.rules.book import RuleBook, load_rulebook
from rltuner.rules.check import refuse_broken_rules
from rltuner.rules.contract import RuleError
from rltuner.run_folder import RunFolder
from rltuner.stored_config import resumed_config

RECORD_EVERY = 10  # rounds
PROGRESS = "{events_per_second:,.0f} events/s  rules {rule_reward:.0f}  log p {log_prior:.0f}  KL {kl:.1f}"


def finetune(config: FinetuneConfig) -> Path:
    """Tunes a Note RNN and writes a run folder; returns its path.

    With `resume` the run goes on with the configuration stored in its folder, and ends as it would have without the
    stop; only the fields in `stored_config.RESUMABLE` may differ from it.

    Raises InputError, before anything is written, for a checkpoint, rule book or device that cannot be used, an output
    folder that exists, or a run that cannot be resumed so. Ctrl-C lets the round end, saves and raises
    KeyboardInterrupt; the second one does not wait.
    """
    with importing():
        from rltuner.results import write_results

    if config.resume is not None:
        config = resumed_config(config)
    torch.set_num_threads(config.threads)
    usable_device(config.device)
    note_rnn = NoteRNN.load(config.note_rnn)
    if config.resume is not None and config.rules.endswith(".py"):
        RunFolder(config.resume).check_code(config.rules)
    book = load_rulebook(config.rules)
    if book.meter is not None:
        note_rnn.meter = book.meter  # the policy composes in the book's metre
    refuse_unfit_vocabulary(config.note_rnn, note_rnn.vocabulary, book)
    refuse_broken_rules(book, note_rnn.vocabulary, note_rnn.meter, config.length)
    learner = Learner(note_rnn, config)
    replay = Replay(config.replay, config.smc_replay if config.smc else 0)
    generator = torch.Generator().manual_seed(config.seed)
    with ExitStack() as held:
        with delayed_interrupt() as interrupted:
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
            _tune(folder, config, book, learner, replay, generator, updates, interrupted)
        for network in (learner.policy.network, learner.policy.prior):
            if network is not None:
                network.compiled = False  # to compose what `generate` composes, to the last bit
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
    interrupted: Callable[[], bool],
) -> None:
    """All rounds after the first `updates`; raises KeyboardInterrupt where Ctrl-C ended them early."""
    total = rounds_of(config)
    if updates >= total:
        say(f"{folder.path}: tuned to its end; its results are written again (a larger --events goes on)")
        return
    events = config.batch_size * config.length
    say(f"{config.algo} learning with the {book.name} book from {config.note_rnn}; run folder {folder.path}")
    with progress_bar("tuning", total * events) as advance:
        advance(updates * events, None)
        started, counted = time.monotonic(), updates
        collapsed = has_collapsed(folder.records(), config.least_distinct)
        saved = updates
        while updates < total and not collapsed and not interrupted():
            is_recorded = (updates + 1) % RECORD_EVERY == 0 or updates + 1 == total
            before, kept = generator.get_state(), replay.counts
            try:
                record = tune_round(learner, replay, book, generator, updates, measured=is_recorded)
            except RuleError as error:  # raised before anything is learned in this round
                if (
                    replay.counts == kept
                ):  # else the replay has this round's melodies, and would get them twice
                    folder.save(learner, replay, generator.set_state(before), updates)
                raise RuleError(
                    f"round {updates + 1}: {error}. A state before it is saved in {folder.path}, which goes on only "
                    "with the rules it began with; with the rule mended, start a new run (--config takes its settings)"
                ) from None
            updates += 1
            if is_recorded:
                speed = (updates - counted) * events / (time.monotonic() - started)
                started, counted = time.monotonic(), updates
                folder.log(
                    {"updates": updates, "events": updates * events, "events_per_second": speed, **record}
                )
                advance(0, PROGRESS.format(events_per_second=speed, **record))
                collapsed = has_collapsed(folder.records(), config.least_distinct)
            if updates % config.checkpoint_every == 0 or updates == total or collapsed or interrupted():
                folder.save(learner, replay, generator, updates)
                saved = updates
            advance(events, None)
        if saved != updates:  # Ctrl-C came after the round's look at it
            folder.save(learner, replay, generator, updates)
    if collapsed:
        say(
            f"ended after {updates} of {total} rounds: among {AMONG:,} melodies fewer than {config.least_distinct:.0%} "
            "would be distinct (--least-distinct)"
        )
    if interrupted():
        say(f"stopped after {updates} of {total} rounds")
        raise KeyboardInterrupt


def refuse_unfit_vocabulary(name: str, vocabulary: Vocabulary, book: RuleBook) -> None:
    """InputError where the Note RNN cannot play the tonic of the book's key, so that no tuning could please it."""
    tonic = Key.parse(book.key).tonic_pitch
    if not vocabulary.min_pitch <= tonic < vocabulary.max_pitch:
        raise InputError(
            f"{name} has {vocabulary}; the {book.name} book, written for {Vocabulary()}, has its tonic at MIDI {tonic}: "
            "use a Note RNN that can play it, or a book in another key"
        )


def rounds_of(config: FinetuneConfig) -> int:
    """Rounds (each composes a batch and learns from it) that compose at least the configured events."""
    return -(-config.events // (config.batch_size * config.length))


def judge(
    learner: Learner, book: RuleBook, melodies: Melodies
) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """The book's scores [B, T] on the CPU, the rewards of the algorithm [B, T], and log p of every class [B, T, V]."""
    config = learner.config
    waited_for = learner.log_prior_soon(melodies)
    try:
        heard = melodies.to("cpu")
        scores = book.score(heard)
        total = book.earned(heard, scores) if config.as_earned else scores["total"]
    finally:
        all_log_prior = waited_for()  # no thread goes on after an error in a rule
    log_prior = all_log_prior.gather(2, melodies.events[..., None])[..., 0]
    return scores, reward(learner.backup, total.to(config.device) / config.c, log_prior), all_log_prior


@undivided()
def tune_round(
    learner: Learner,
    replay: Replay,
    book: RuleBook,
    generator: torch.Generator,
    updates: int,
    measured: bool = False,
) -> dict[str, float]:
    """Composes a batch, scores it, and learns from it and from kept melodies.

    Returns, where `measured`, the record for metrics.jsonl (docs/algorithms.md defines every field): the figures of the
    melodies composed, under the policy that composed them.
    """
    config = learner.config
    done = updates / rounds_of(config)
    melodies = learner.compose(
        config.batch_size,
        config.length,
        generator=generator,
        temperature=0.0 if config.greedy else 1.0,
        epsilon=config.epsilon_end + (config.epsilon - config.epsilon_end) * max(0.0, 1 - 2 * done),
    )
    melodies = melodies.to(config.device)
    scores, rewards, all_log_prior = judge(learner, book, melodies)
    record: dict[str, float] = {}
    if measured:
        by_rule = {name: float(values.sum(dim=1).mean()) for name, values in scores.items()}
        rule_reward = by_rule.pop("total")
        kl = float(divergence(log_probabilities(learner.policy, melodies), all_log_prior, melodies).mean())
        record = {
            "rule_reward": rule_reward,
            "log_prior": float(all_log_prior.gather(2, melodies.events[..., None]).sum(dim=(1, 2)).mean()),
            "kl": kl,
            "objective": rule_reward / config.c - kl,
            "distinct": expected_distinct(learner.policy, melodies[:LOOKED_AT]),
            **{f"rule_{name}": value for name, value in by_rule.items()},
        }
    parts: list[tuple[Melodies, torch.Tensor, torch.Tensor | None]] = [(melodies, rewards, all_log_prior)]
    if len(replay) and (count := round(config.replayed * config.batch_size)):
        parts.append(_kept(learner, *replay.draw(count, melodies, generator)))
    replay.add(melodies, rewards)
    share = 1.0 if done < 0.25 else config.smc_later
    if replay.steered is not None and (count := round(share * config.smc_replayed * config.batch_size)):
        if updates % config.smc_every == 0:
            found = steered(learner, book, generator)
            replay.steered.add(found, judge(learner, book, found)[1])
        parts.append(_kept(learner, *replay.steered.draw(count, melodies, generator)))
    if count := round(config.repeated * config.batch_size):
        edited = with_a_passage_repeated(melodies[torch.arange(count) % len(melodies)], generator)
        parts.append((edited, *judge(learner, book, edited)[1:]))
    pool = Melodies.concatenate([part for part, _, _ in parts])
    learner.set_progress(updates, done)
    of_parts = [known for _, _, known in parts if known is not None]
    log_prior = None if learner.backup.includes_log_prior else torch.cat(of_parts)
    goals = learner.goals(pool, torch.cat([part_rewards for _, part_rewards, _ in parts]), log_prior)
    losses = [
        learner.learn(pool[part], goals[part], None if log_prior is None else log_prior[part])
        for _ in range(config.passes)
        for part in torch.randperm(len(pool), generator=generator).split(config.minibatch_size)
    ]
    loss = sum(losses) / len(losses)
    if not math.isfinite(loss):
        raise InputError(
            f"the loss became {loss} in round {updates + 1}; the last checkpoint is kept. "
            "Lower --learning-rate, or raise --c"
        )
    return {**record, "loss": loss} if measured else {}


def _kept(
    learner: Learner, melodies: Melodies, rewards: torch.Tensor
) -> tuple[Melodies, torch.Tensor, torch.Tensor | None]:
    """Melodies of a replay, their rewards, and log p of every class where learning refers to it (G)."""
    return melodies, rewards, None if learner.backup.includes_log_prior else learner.log_prior(melodies)
