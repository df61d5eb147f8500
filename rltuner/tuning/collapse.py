"""Collapse: a policy that settles on few melodies, noticed while it tunes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rltuner.melody import Melodies
from rltuner.networks.policy import Policy

AMONG = 100_000
LOOKED_AT = 64  # melodies of a round; each is heard after every primer
LOOKS = 3  # whose mean decides, since one of them is noisy


@torch.no_grad()
def expected_distinct(policy: Policy, melodies: Melodies, among: int = AMONG) -> float:
    """The share of distinct melodies to expect among `among` of the policy's, from random-note primers.

    E[distinct] / n = E over melodies of (1 - (1 - P)^n) / (n P), where P is the probability of the melody, the mean over
    all primers: each of n melodies counts 1 / (how often it comes). So a few hundred melodies tell what would take n.

    Args:
      melodies: composed by the policy from random-note primers, on its device; all are used.
      among: n.

    NaN without melodies.
    """
    size = policy.vocabulary.size
    by_primer = [
        policy.log_prob(
            Melodies(
                melodies.events,
                melodies.lengths,
                torch.full((len(melodies), 1), primer),
                melodies.vocabulary,
                melodies.meter,
            )
        )
        .double()
        .sum(dim=1)
        for primer in range(size)
    ]
    probability = (torch.stack(by_primer).logsumexp(dim=0) - math.log(size)).exp().clamp(max=1.0)
    comes = among * probability
    once = -torch.expm1(among * torch.log1p(-probability)) / comes
    return float(torch.where(comes > 1e-9, once, 1.0).mean())


def has_collapsed(records: Sequence[Mapping[str, Any]], least: float) -> bool:
    """True where the mean share of distinct melodies in the last three records is below `least`."""
    last = [record.get("distinct") for record in records[-LOOKS:]]
    known = [share for share in last if isinstance(share, int | float)]
    return least > 0 and len(known) == LOOKS and sum(known) / LOOKS < least
