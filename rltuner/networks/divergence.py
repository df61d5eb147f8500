"""What tuning maximises: J = E[sum of r / c] - KL(pi || p), in nats a melody."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.networks.inputs.heard import inputs_of
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy, predicted

BATCH = 2048  # bounds the memory of [B, T, V]


@torch.no_grad()
def log_probabilities(network: NoteRNN | Policy, melodies: Melodies) -> Tensor:
    """log-probabilities of every class at every step, float32 [B, T, V]."""
    heard = inputs_of(melodies)
    logits: Tensor = network(heard) if isinstance(network, Policy) else predicted(network, heard)
    return logits.log_softmax(dim=-1)


def divergence(log_policy: Tensor, log_prior: Tensor, melodies: Melodies) -> Tensor:
    """KL(pi || p) of each melody, float32 [B]: sum over its steps of sum_a pi (log pi - log p), all [B, T, V]."""
    by_step = (log_policy.exp() * (log_policy - log_prior)).sum(dim=2)
    return torch.where(melodies.valid, by_step, 0.0).sum(dim=1)


@dataclass(frozen=True)
class Divergences:
    """What a policy and the Note RNN make of the same melodies, summed over each melody's events: float32 [B], nats."""

    log_prior: Tensor
    """log p of the events played."""
    kl: Tensor
    """KL(pi || p) at every step: the divergence itself where pi composed the melodies."""
    reverse_kl: Tensor
    """KL(p || pi) at every step: the divergence itself where the Note RNN composed them."""
    entropy: Tensor
    """-sum_a pi log pi at every step."""


COLDEST = 1e-4  # a temperature of 0, for which softmax has no value, is as this one


@torch.no_grad()
def divergences(
    policy: Policy, note_rnn: NoteRNN, melodies: Melodies, temperature: float = 1.0
) -> Divergences:
    """Exact at each step given the melody so far, a batch at a time.

    Args:
      temperature: at which the policy composes: its log-probabilities are divided by it. At 0 it is certain of its
        likeliest event, and KL(p || pi) is infinite.
    """
    parts = []
    for first in range(0, len(melodies), BATCH):
        part = melodies[first : first + BATCH].to(next(policy.parameters()).device)
        log_policy, log_prior = (log_probabilities(network, part) for network in (policy, note_rnn))
        if temperature != 1:
            log_policy = (log_policy / max(temperature, COLDEST)).log_softmax(dim=-1)
        of_events = log_prior.gather(2, part.events[..., None])[..., 0]
        entropy = -(log_policy.exp() * log_policy).sum(dim=2)
        parts.append(
            torch.stack(
                [
                    torch.where(part.valid, of_events, 0.0).sum(dim=1),
                    divergence(log_policy, log_prior, part),
                    divergence(log_prior, log_policy, part) + (0.0 if temperature else math.inf),
                    torch.where(part.valid, entropy, 0.0).sum(dim=1),
                ]
            ).cpu()
        )
    return Divergences(*(torch.cat(parts, dim=1) if parts else torch.empty(4, 0)))
