"""How far a policy lies below the optimum: J, and a lower estimate of the best J there is."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rltuner.eval.objective import measure
from rltuner.networks.compose import compose
from rltuner.networks.particles import steer
from rltuner.networks.policy import Policy, note_rnn_of
from rltuner.networks.primers import primer_contexts
from rltuner.rules.book import RuleBook

PRIMERS, PARTICLES = 64, 2048


@dataclass(frozen=True)
class Bound:
    """Means over the primers, nats a melody."""

    objective: float
    """J = E[sum of r / c] - KL(pi || p) of the policy."""
    kl: float
    """KL(pi || p)."""
    log_z: float
    """The better of two estimates of E log Z, the largest J of all policies; its expectation lies below that."""
    error: float
    """Standard error of log_z over the particle systems, given the primers."""

    @property
    def gap(self) -> float:
        """log_z - J, nats: what the policy leaves; its expectation is below what the policy truly leaves."""
        return self.log_z - self.objective


def bound(
    policy: Policy,
    book: RuleBook,
    c: float,
    length: int = 32,
    *,
    melodies: int = 10_000,
    primers: int = PRIMERS,
    particles: int = PARTICLES,
    seed: int = 0,
) -> Bound:
    """J of the policy and log Z on the same random-note primers, all at gamma = 1 and temperature 1.

    log Z is estimated twice, by particles that the Note RNN proposes and by particles that the policy proposes; each
    estimate is on average too low, so the larger one counts.

    Args:
      policy: whose J is measured.
      book, c: the reward is the book's total, divided by c.
      length: events a melody.
      melodies: composed for J; rounded up to as many for each primer.
      primers: random-note primers.
      particles: of each primer, in two particle systems of half as many.
      seed: of all drawing.
    """
    generator = torch.Generator().manual_seed(seed)
    contexts = primer_contexts(policy, "random_note", primers, generator)
    note_rnn = note_rnn_of(policy)
    repeated = contexts.repeat(-(-melodies // primers), 1)
    composed = compose(policy, len(repeated), length, primer=repeated, generator=generator)
    found = measure(policy, note_rnn, composed, book, c)
    proposals = [Policy("note_rnn", note_rnn)]
    if policy.kind != "note_rnn":
        proposals.append(policy)
    estimates = []
    for proposal in proposals:
        # Two systems a primer, half the particles each, tell the error of the mean from the spread of primers.
        halves = [
            steer(proposal, note_rnn, book, c, contexts, length, particles // 2, generator).log_z
            for _ in range(2)
        ]
        mean = torch.stack(halves).logsumexp(dim=0) - torch.tensor(2.0).log()
        error = (halves[0] - halves[1]).std() / 2 / len(mean) ** 0.5
        estimates.append((float(mean.mean()), float(error)))
    log_z, error = max(estimates)
    return Bound(found.objective, found.kl, log_z, error)
