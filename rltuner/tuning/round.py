"""One round of tuning: compose, score, keep, learn.

Melodies are composed by the policy as it is, rewards are computed for whole batches afterwards (acting never needs
them), and learning unrolls whole melodies from their first event. Only `networks.algorithms` tells Q, Psi and G apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.networks.divergence import divergence, log_probabilities
from rltuner.rules.book import RuleBook
from rltuner.tuning.backups import reward
from rltuner.tuning.collapse import LOOKED_AT, expected_distinct
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.exploration import steered, with_a_passage_repeated
from rltuner.tuning.learner import Learner
from rltuner.tuning.replay import Replay


@dataclass(frozen=True)
class Scored:
    """Melodies to learn from, on the learner's device."""

    melodies: Melodies
    rewards: Tensor
    """Of each event, as the algorithm defines them, float32 [B, T]."""
    log_prior: Tensor | None
    """log p of every class, float32 [B, T, V]; None where it was not needed."""


def rounds_of(config: FinetuneConfig) -> int:
    """Rounds (each composes a batch and learns from it) that compose at least the configured events."""
    return -(-config.events // (config.batch_size * config.length))


def tune_round(
    learner: Learner,
    replay: Replay,
    book: RuleBook,
    generator: torch.Generator,
    updates: int,
    measured: bool = False,
) -> dict[str, float]:
    """Composes a batch, scores it, and learns from it and from kept melodies.

    Args:
      learner, replay: change.
      book: gives the rewards.
      generator: of every random choice, on the CPU.
      updates: rounds before this one, which metrics.jsonl and checkpoints count as updates.
      measured: whether the record is wanted.

    Returns, where `measured`, the record for metrics.jsonl (docs/algorithms.md defines every field): the figures of the
    melodies composed, under the policy that composed them. InputError where the loss is no longer finite.
    """
    done = updates / rounds_of(learner.config)
    with learner.engine.at_work():
        melodies = compose(learner, generator, done)
        new, by_rule = score(learner, book, melodies)
        record = figures(learner, new, by_rule) if measured else {}
        pool = [new, *keep(learner, replay, book, new, generator, updates, done)]
        loss = learn(learner, pool, generator, updates, done)
    return {**record, "loss": loss} if measured else {}


def compose(learner: Learner, generator: torch.Generator, done: float) -> Melodies:
    """The round's rollout: a batch by the policy, after the share `done` of all events, with which epsilon falls."""
    config = learner.config
    melodies = learner.compose(
        config.batch_size,
        config.length,
        generator=generator,
        temperature=0.0 if config.greedy else 1.0,
        epsilon=config.epsilon_end + (config.epsilon - config.epsilon_end) * max(0.0, 1 - 2 * done),
    )
    return melodies.to(config.device)


def score(learner: Learner, book: RuleBook, melodies: Melodies) -> tuple[Scored, dict[str, Tensor]]:
    """The melodies with their rewards and log p; besides the book's scores by rule, float32 [B, T], on the CPU."""
    config = learner.config
    waited_for = learner.log_prior_soon(melodies)
    try:
        heard = melodies.to("cpu")
        scores = book.score(heard)
        total = book.earned(heard, scores) if config.as_earned else scores["total"]
    finally:
        log_prior = waited_for()  # also after an error in a rule
    of_events = log_prior.gather(2, melodies.events[..., None])[..., 0]
    rewards = reward(learner.backup, total.to(config.device) / config.c, of_events)
    return Scored(melodies, rewards, log_prior), scores


def figures(learner: Learner, new: Scored, by_rule: dict[str, Tensor]) -> dict[str, float]:
    """A round's record: means over the melodies composed."""
    melodies, log_prior = new.melodies, new.log_prior
    assert log_prior is not None
    paid = {name: float(values.sum(dim=1).mean()) for name, values in by_rule.items()}
    rule_reward = paid.pop("total")
    kl = float(divergence(log_probabilities(learner.policy, melodies), log_prior, melodies).mean())
    return {
        "rule_reward": rule_reward,
        "log_prior": float(log_prior.gather(2, melodies.events[..., None]).sum(dim=(1, 2)).mean()),
        "kl": kl,
        "objective": rule_reward / learner.config.c - kl,
        "distinct": expected_distinct(learner.policy, melodies[:LOOKED_AT]),
        **{f"rule_{name}": value for name, value in paid.items()},
    }


def keep(
    learner: Learner,
    replay: Replay,
    book: RuleBook,
    new: Scored,
    generator: torch.Generator,
    updates: int,
    done: float,
) -> list[Scored]:
    """Puts the new melodies into the replay; returns what else is learned from: kept, steered and edited melodies."""
    config, melodies, parts = learner.config, new.melodies, []
    if len(replay) and (count := round(config.replayed * config.batch_size)):
        parts.append(_kept(learner, *replay.draw(count, melodies, generator)))
    replay.add(melodies, new.rewards)
    share = 1.0 if done < 0.25 else config.smc_later
    if replay.steered is not None and (count := round(share * config.smc_replayed * config.batch_size)):
        if updates % config.smc_every == 0:
            found, _ = score(learner, book, steered(learner, book, generator))
            replay.steered.add(found.melodies, found.rewards)
        parts.append(_kept(learner, *replay.steered.draw(count, melodies, generator)))
    if count := round(config.repeated * config.batch_size):
        edited = with_a_passage_repeated(melodies[torch.arange(count) % len(melodies)], generator)
        parts.append(score(learner, book, edited)[0])
    return parts


def _kept(learner: Learner, melodies: Melodies, rewards: Tensor) -> Scored:
    """Melodies of a replay, with log p where learning refers to it (G)."""
    return Scored(
        melodies, rewards, None if learner.backup.includes_log_prior else learner.log_prior(melodies)
    )


def learn(
    learner: Learner, parts: Sequence[Scored], generator: torch.Generator, updates: int, done: float
) -> float:
    """Gradient steps on minibatches of all the melodies, `passes` times over; returns the mean of the losses."""
    config = learner.config
    pool = Melodies.concatenate([part.melodies for part in parts])
    rewards = torch.cat([part.rewards for part in parts])
    known = [part.log_prior for part in parts if part.log_prior is not None]
    log_prior = None if learner.backup.includes_log_prior else torch.cat(known)
    learner.set_progress(updates, done)
    goals = learner.goals(pool, rewards, log_prior)
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
    return loss
