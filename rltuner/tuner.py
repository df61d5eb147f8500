"""Fine-tuning: the one loop of Q, Psi and G learning.

    compose a batch of melodies -> score them with the rule book -> keep them -> learn from them and from kept ones

Melodies are composed by the policy as it is, rewards are computed for whole batches afterwards (acting never needs
them), and learning unrolls whole melodies from their first event. Only `backups` tells the algorithms apart.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rltuner.backups import reward
from rltuner.compose import compose
from rltuner.config import FinetuneConfig
from rltuner.errors import InputError
from rltuner.learner import Learner
from rltuner.melody import Melodies
from rltuner.note_rnn import NoteRNN
from rltuner.policy import inputs_of
from rltuner.replay import Replay
from rltuner.rules.book import RuleBook, load_rulebook
from rltuner.run_folder import RunFolder

PROGRESS = "{events_per_second:,.0f} events/s  rules {rule_reward:.0f}  log p {log_prior:.0f}  KL {kl:.1f}"


def finetune(config: FinetuneConfig) -> Path:
    """Tunes a Note RNN and writes a run folder; returns its path.

    Raises InputError, before anything is written, for a checkpoint or rule book that cannot be used or an output
    folder that exists. KeyboardInterrupt saves the run first.
    """
    from rltuner.console import progress_bar, say
    from rltuner.results import write_results

    torch.set_num_threads(config.threads)
    note_rnn = NoteRNN.load(config.note_rnn)
    book = load_rulebook(config.rules)
    learner = Learner(note_rnn, config)
    replay = Replay(config.replay)
    generator = torch.Generator().manual_seed(config.seed)
    updates = 0
    if config.resume is not None:
        folder = RunFolder(config.resume)
        updates = folder.restore(learner, replay, generator)
    else:
        folder = RunFolder.create(config, book)

    total = rounds_of(config)
    say(f"{config.algo} learning with the {book.name} book from {config.note_rnn}; run folder {folder.path}")
    meter = Meters(config, learner, book)
    with progress_bar("tuning", total * config.batch_size * config.length) as advance:
        advance(updates * config.batch_size * config.length, None)
        try:
            while updates < total:
                meter.record(tune_round(learner, replay, book, generator, updates))
                updates += 1
                if updates % 10 == 0 or updates == total:
                    record = meter.read(updates)
                    folder.log(record)
                    advance(0, PROGRESS.format(**record))
                if updates % config.checkpoint_every == 0 or updates == total:
                    folder.save(learner, replay, generator, updates)
                advance(config.batch_size * config.length, None)
        except KeyboardInterrupt:
            folder.save(learner, replay, generator, updates)
            say(
                f"stopped after {updates} of {total} updates; go on with: rltuner finetune --resume {folder.path}"
            )
            raise
    write_results(folder, config, book, note_rnn, learner.policy)
    return folder.path


def rounds_of(config: FinetuneConfig) -> int:
    """Rounds (of one batch composed and one gradient step) that compose at least the configured events."""
    return -(-config.events // (config.batch_size * config.length))


@dataclass
class Round:
    """One round's melodies, their rewards by rule [B, T] and what learning said."""

    melodies: Melodies
    scores: dict[str, Tensor]
    loss: float


def tune_round(
    learner: Learner, replay: Replay, book: RuleBook, generator: torch.Generator, updates: int
) -> Round:
    """Composes a batch, scores it, and learns from it and from as many kept melodies."""
    config = learner.config
    done = updates / rounds_of(config)
    melodies = compose(
        learner.policy,
        config.batch_size,
        config.length,
        temperature=0.0 if config.greedy else 1.0,
        generator=generator,
        epsilon=config.epsilon_end + (config.epsilon - config.epsilon_end) * max(0.0, 1 - 2 * done),
    )
    scores = book.score(melodies)
    check_finite(scores, updates)
    melodies = melodies.to(config.device)
    log_prior = learner.log_prior(melodies).gather(2, melodies.events[..., None])[..., 0]
    rewards = reward(learner.backup, scores["total"].to(config.device) / config.c, log_prior)
    pool, pool_rewards = melodies, rewards
    if len(replay) and (count := round(config.replayed * config.batch_size)):
        old, old_rewards = replay.draw(count, melodies, generator)
        pool = Melodies.concatenate([melodies, old])
        pool_rewards = torch.cat([rewards, old_rewards])
    replay.add(melodies, rewards)
    learner.set_progress(updates, done)
    goals = learner.goals(pool, pool_rewards)
    order = torch.randperm(len(pool), generator=generator)
    losses = [learner.learn(pool[part], goals[part]) for part in order.split(config.minibatch_size)]
    loss = sum(losses) / len(losses)
    return Round(melodies, scores, loss)


def check_finite(scores: dict[str, Tensor], updates: int) -> None:
    """InputError that names the rule and the event where a reward is not finite."""
    for rule, rewards in scores.items():
        if not bool(torch.isfinite(rewards).all()):
            melody, event = (~torch.isfinite(rewards)).nonzero()[0].tolist()
            raise InputError(
                f"rule {rule!r} gave {float(rewards[melody, event])} for event {event} in update {updates + 1}; "
                "a reward must be a finite number"
            )


class Meters:
    """Running figures between two records: per melody, means over the rounds since the last record."""

    def __init__(self, config: FinetuneConfig, learner: Learner, book: RuleBook) -> None:
        self.config, self.learner, self.book = config, learner, book
        self.rounds: list[Round] = []
        self.started = time.monotonic()

    def record(self, entry: Round) -> None:
        """Takes note of a round."""
        self.rounds.append(entry)

    def read(self, updates: int) -> dict[str, float]:
        """The record for metrics.jsonl (docs/algorithms.md defines every field); starts afresh."""
        seconds = time.monotonic() - self.started
        events = len(self.rounds) * self.config.batch_size * self.config.length
        last = self.rounds[-1].melodies.to(self.config.device)
        with torch.no_grad():
            inputs, skipped = inputs_of(last)
            log_policy = self.learner.policy(inputs)[:, skipped:]
            log_prior = self.learner.log_prior(last)
            kl = float((log_policy.exp() * (log_policy - log_prior)).sum(dim=(1, 2)).mean())
            log_p = float(log_prior.gather(2, last.events[..., None]).sum(dim=(1, 2)).mean())
        by_rule = {
            name: sum(float(entry.scores[name].sum(dim=1).mean()) for entry in self.rounds) / len(self.rounds)
            for name in self.rounds[-1].scores
        }
        rule_reward = by_rule.pop("total")
        record = {
            "updates": updates,
            "events": updates * self.config.batch_size * self.config.length,
            "events_per_second": events / seconds,
            "rule_reward": rule_reward,
            "log_prior": log_p,
            "kl": kl,
            "objective": rule_reward / self.config.c - kl,
            "loss": sum(entry.loss for entry in self.rounds) / len(self.rounds),
            **{f"rule_{name}": value for name, value in by_rule.items()},
        }
        self.rounds, self.started = [], time.monotonic()
        return record
