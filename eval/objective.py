"""What tuning maximises: J = E[sum of r / c] - KL(pi || p), in nats a melody."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from rltuner.melody import Melodies
from rltuner.networks.divergence import BATCH, divergences
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.rules.book import RuleBook


@dataclass(frozen=True)
class Objective:
    """Means over melodies."""

    rule_reward: float
    """Sum over events and rules of weight x r, before division by c."""
    log_prior: float
    """Sum over events of log p, nats."""
    kl: float
    """Sum over events of sum_a pi log(pi / p), exact at each step, nats."""
    objective: float
    """J = rule_reward / c - kl, nats."""


def measure(policy: Policy, note_rnn: NoteRNN, melodies: Melodies, book: RuleBook, c: float) -> Objective:
    """J of a policy from melodies that it composed. NaN without melodies."""
    if not len(melodies):
        return Objective(*(4 * (math.nan,)))
    found = divergences(policy, note_rnn, melodies)
    rewards = [
        book.score(melodies[first : first + BATCH])["total"].double().sum()
        for first in range(0, len(melodies), BATCH)
    ]
    reward = float(torch.stack(rewards).sum()) / len(melodies)
    kl, log_prior = float(found.kl.double().mean()), float(found.log_prior.double().mean())
    return Objective(reward, log_prior, kl, reward / c - kl)
