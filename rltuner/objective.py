"""What tuning maximises: J = E[sum of r / c] - KL(pi || p), in nats a melody."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.note_rnn import NoteRNN
from rltuner.policy import Policy, inputs_of
from rltuner.rules.book import RuleBook

BATCH = 2048  # bounds the memory of [B, T, V]


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


@torch.no_grad()
def log_probabilities(network: NoteRNN | Policy, melodies: Melodies) -> Tensor:
    """log-probabilities of every class at every step, float32 [B, T, V]."""
    inputs, skipped = inputs_of(melodies)
    logits: Tensor = network(inputs) if isinstance(network, Policy) else network(inputs)[0]
    return logits[:, skipped:].log_softmax(dim=-1)


def divergence(log_policy: Tensor, log_prior: Tensor, melodies: Melodies) -> Tensor:
    """KL(pi || p) of each melody, float32 [B]: sum over its steps of sum_a pi (log pi - log p), all [B, T, V]."""
    by_step = (log_policy.exp() * (log_policy - log_prior)).sum(dim=2)
    return torch.where(melodies.valid, by_step, 0.0).sum(dim=1)


def measure(policy: Policy, note_rnn: NoteRNN, melodies: Melodies, book: RuleBook, c: float) -> Objective:
    """J of a policy from melodies that it composed. NaN without melodies."""
    totals = torch.zeros(3, dtype=torch.float64)
    for first in range(0, len(melodies), BATCH):
        part = melodies[first : first + BATCH].to(next(policy.parameters()).device)
        log_policy, log_prior = (log_probabilities(network, part) for network in (policy, note_rnn))
        of_events = log_prior.gather(2, part.events[..., None])[..., 0]
        sums = (
            book.score(part)["total"].sum(),
            torch.where(part.valid, of_events, 0.0).sum(),
            divergence(log_policy, log_prior, part).sum(),
        )
        totals += torch.stack([value.double().cpu() for value in sums])
    reward, log_prior_sum, kl = (totals / len(melodies)).tolist() if len(melodies) else (float("nan"),) * 3
    return Objective(reward, log_prior_sum, kl, reward / c - kl)
