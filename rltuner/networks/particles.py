"""Sequential Monte Carlo: melodies steered by a rule book without training, and a lower estimate of log Z.

With gamma = 1 tuning seeks pi*(tau) = p(tau) exp(sum of r / c) / Z, p being the Note RNN. A particle system composes many
melodies of one primer in lock-step, by any proposal policy q; each carries the weight p(tau) exp(sum of r / c) / q(tau)
of what it has composed so far, and where the weights have become uneven, melodies of little weight make room for copies
of those with much. What is left at the end is nearly distributed as pi*, and the product of the mean weights is an
unbiased estimate of Z, so that its logarithm is on average below log Z.

Source: Del Moral, Doucet, Jasra, "Sequential Monte Carlo samplers" (2006); of language models: Zhao et al. (2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody import NO_EVENT, Melodies
from rltuner.networks.compose import sample
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.rules.book import RuleBook

STRIDE = 4  # events between two weighings
ENOUGH = 0.5  # of the particles: an effective number below this calls for resampling
BATCH = 16_384  # particles at a time, of whole systems


@dataclass(frozen=True)
class Systems:
    """Particle systems, one a primer."""

    melodies: Melodies
    """All particles, [S * K, T]: K of the first system, K of the second, ..."""
    log_weights: Tensor
    """Normalised within each system, float32 [S, K]."""
    log_z: Tensor
    """Of each system, nats, float32 [S]; its expectation is at most log Z of the primer."""

    def draw(self, generator: torch.Generator, count: int = 1) -> Melodies:
        """`count` melodies of each system, drawn by weight: [S * count, T]."""
        systems, particles = self.log_weights.shape
        chosen = torch.multinomial(self.log_weights.exp(), count, replacement=True, generator=generator)
        return self.melodies[(chosen + particles * torch.arange(systems)[:, None]).flatten()]


@torch.inference_mode()
def steer(
    proposal: Policy,
    note_rnn: NoteRNN,
    book: RuleBook,
    c: float,
    contexts: Tensor,
    length: int,
    particles: int,
    generator: torch.Generator,
) -> Systems:
    """One particle system for each primer, int64 [S, P] (`compose.primer_contexts`).

    Args:
      proposal: composes; any policy that gives every event some probability. The Note RNN itself needs no training.
      note_rnn: p.
      book, c: the rules' reward, divided by c. Rewards at the end are weighed as they are earned (`RuleBook.earned`).
      contexts: what each system's melodies follow.
      length: events of each melody, T.
      particles: melodies of each system, K.
      generator: of every choice.

    Raises InputError for fewer than 1 particle, event or primer, or a c that is not positive.
    """
    if particles < 1 or length < 1 or not len(contexts) or not 0 < c < float("inf"):
        raise InputError(
            f"smc: {len(contexts)} primers, {particles} particles, {length} events, c = {c:g}: all must be positive"
        )
    whole = max(1, BATCH // particles)
    parts = [
        _steer(proposal, note_rnn, book, c, part, length, particles, generator)
        for part in contexts.split(whole)
    ]
    return Systems(
        Melodies.concatenate([part.melodies for part in parts]),
        torch.cat([part.log_weights for part in parts]),
        torch.cat([part.log_z for part in parts]),
    )


def _steer(
    proposal: Policy,
    note_rnn: NoteRNN,
    book: RuleBook,
    c: float,
    contexts: Tensor,
    length: int,
    particles: int,
    generator: torch.Generator,
) -> Systems:
    systems = len(contexts)
    context = contexts.repeat_interleave(particles, dim=0)  # (S K, P)
    device = next(proposal.parameters()).device
    heard = (context if context.shape[1] else torch.full((len(context), 1), -1)).to(device)
    state = proposal.begin(len(context), heard.shape[1], length)
    prior_state = note_rnn.begin(len(context), heard.shape[1], length, proposal.meter)
    for position in range(heard.shape[1]):
        log_policy, state = proposal.step(heard[:, position], state)
        logits, prior_state = note_rnn.step(heard[:, position], prior_state)
    events = torch.full((len(context), length), NO_EVENT)
    log_weights = torch.zeros(systems, particles)
    log_z = torch.zeros(systems)
    weighed = 0  # events whose rewards are in the weights
    for t in range(length):
        chosen = sample(log_policy.cpu(), 1.0, generator)
        events[:, t] = chosen
        ratio = (logits.log_softmax(dim=1) - log_policy).cpu()
        log_weights += ratio.gather(1, chosen[:, None]).view(systems, particles)
        if (t + 1) % STRIDE == 0 or t + 1 == length:
            melodies = Melodies(events, None, context, proposal.vocabulary, proposal.meter)
            earned = book.earned(
                melodies, book.score(melodies)
            )  # causal: what is not composed yet changes nothing
            log_weights += earned[:, weighed : t + 1].sum(dim=1).view(systems, particles) / c
            weighed = t + 1
            if t + 1 < length and len(kept := _uneven(log_weights)):
                log_z[kept] += log_weights[kept].logsumexp(dim=1) - torch.tensor(particles).log()
                ancestors = torch.arange(systems * particles).view(systems, particles)
                ancestors[kept] = _resampled(log_weights[kept], generator) + particles * kept[:, None]
                log_weights[kept] = 0
                survivors = ancestors.flatten()
                events, chosen = events[survivors], chosen[survivors]
                survivors = survivors.to(device)
                state, prior_state = state.chosen(survivors), prior_state.chosen(survivors)
        if t + 1 < length:
            log_policy, state = proposal.step(chosen.to(device), state)
            logits, prior_state = note_rnn.step(chosen.to(device), prior_state)
    total = log_weights.logsumexp(dim=1, keepdim=True)
    log_z += total[:, 0] - torch.tensor(particles).log()
    melodies = Melodies(events, None, context, proposal.vocabulary, proposal.meter)
    return Systems(melodies, log_weights - total, log_z)


def _uneven(log_weights: Tensor) -> Tensor:
    """Which systems have too few effective particles, 1 / sum of squared shares: int64 [fewer than S]."""
    shares = log_weights.softmax(dim=1)
    effective = 1 / shares.square().sum(dim=1)
    return (effective < ENOUGH * log_weights.shape[1]).nonzero()[:, 0]


def _resampled(log_weights: Tensor, generator: torch.Generator) -> Tensor:
    """Systematic resampling: the ancestor of each particle, int64 [S, K], each expected K times its share of times."""
    systems, particles = log_weights.shape
    bounds = log_weights.softmax(dim=1).cumsum(dim=1)
    offset = torch.rand(systems, 1, generator=generator)
    places = (torch.arange(particles) + offset) / particles
    return torch.searchsorted(bounds, places).clamp_(max=particles - 1)
