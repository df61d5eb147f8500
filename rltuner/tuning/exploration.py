"""Melodies to learn from that the policy would hardly compose by itself: steered by particles, or repeating a passage.

Soft path consistency, which Psi and G learn by, holds for any melody, whoever composed it; so does Q's backup with its
trace cut. These melodies are a setting of the replay, not another algorithm.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.networks.particles import steer
from rltuner.networks.primers import primer_contexts
from rltuner.rules.book import RuleBook
from rltuner.tuning.learner import Learner


def steered(learner: Learner, book: RuleBook, generator: torch.Generator) -> Melodies:
    """One melody of each of `smc_systems` particle systems that the policy proposes, on the learner's device."""
    config = learner.config
    contexts = primer_contexts(learner.policy, "random_note", config.smc_systems, generator)
    systems = steer(
        learner.policy,
        learner.reward_network,
        book,
        config.smc_c,
        contexts,
        config.length,
        config.smc,
        generator,
    )
    return systems.draw(generator).to(config.device)


def with_a_passage_repeated(melodies: Melodies, generator: torch.Generator) -> Melodies:
    """Each melody with a passage that comes again half a bar after it began: int64 [B, T], the rest as it was.

    The passage begins anywhere; its copy lasts half a bar to three quarters of one. The way from
    original to copy is always the same, since a network of 100 units learns to copy over one distance, and not over any;
    and copies are short, since a melody that repeats itself to its end has no single highest or lowest note. Melodies
    shorter than a bar stay as they are. This is how a policy comes to see what an exact repetition earns, of which it
    plays one in a thousand by itself.
    """
    count, time = melodies.events.shape
    half_bar = max(1, melodies.meter.steps_per_bar // 2)
    if time < 2 * half_bar:
        return melodies

    def draw(low: int, high: Tensor) -> Tensor:
        """int64 [B, 1], evenly from low to high, both included."""
        share = torch.rand(count, 1, generator=generator)
        return low + (share * (high - low + 1)).long()

    start = draw(0, torch.full((count, 1), time - 2 * half_bar))
    copy = start + half_bar
    lasts = draw(half_bar, (time - copy).clamp(max=half_bar + half_bar // 2))
    t = torch.arange(time)
    source = torch.where((t >= copy) & (t < copy + lasts), start + (t - copy) % half_bar, t)
    events = melodies.events.cpu().gather(1, source)
    edited = Melodies(events, None, melodies.context.cpu(), melodies.vocabulary, melodies.meter)
    return edited.to(melodies.events.device)
