"""Composing: batches of melodies in lock-step, one ancestral pass of the network per event."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.networks.primers import Hearer, primer_contexts

BATCH = 4096  # melodies composed at a time: large enough to be fast, small enough for any memory


class Composer(Hearer, Protocol):
    """What composes event by event; a `Policy` is one."""

    def begin(self, count: int, context: int, length: int) -> Any:
        """The state before `context` events are heard, of `count` melodies that will have `length` events."""
        ...

    def step(self, events: Tensor, state: Any) -> tuple[Tensor, Any]:
        """log pi of the next event, float32 [B, V], after one more event, int64 [B], and the state then."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Its weights, all on one device."""
        ...


def compose(
    policy: Composer,
    count: int,
    length: int = 32,
    *,
    primer: str | os.PathLike[str] | Tensor = "random_note",
    seed: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    epsilon: float = 0.0,
    copied: Tensor | None = None,
) -> Melodies:
    """Composes melodies: no search, no rejection.

    Args:
      policy: what composes.
      count: number of melodies, B.
      length: events of each, T.
      primer: see `primers`; or the contexts themselves, int64 [count, P].
      seed: makes the result repeatable; None draws a new one.
      temperature: log pi is divided by it; below 1 the likelier events get likelier, 0 takes the likeliest.
      top_p: sample from the fewest of the likeliest events that have this probability together (see `sample`).
      generator: instead of a seed, a generator that goes on (on the CPU).
      epsilon: share of events drawn uniformly instead of from the policy.
      copied: int64 [length]; for each step the earlier one whose event is played again, or -1 where the policy composes.
        It hears what is copied as it hears its own.

    Returns:
      Melodies [count, length] with their contexts, on the CPU.

    Raises InputError for a count, length, temperature or top_p out of range, or a primer that cannot be used.
    """
    if count < 0 or length < 1:
        raise InputError(
            f"compose: count={count}, length={length}: count must be at least 0, length at least 1"
        )
    if not 0 <= temperature < float("inf"):
        raise InputError(f"compose: temperature={temperature} must be 0 or a positive number")
    if not 0 < top_p <= 1:
        raise InputError(f"compose: top_p={top_p} must lie in (0, 1]")
    if generator is None:
        generator = torch.Generator()
        generator.manual_seed(seed if seed is not None else generator.seed())
    contexts = primer_contexts(policy, primer, count, generator)
    parts = [
        _compose_batch(
            policy, contexts[first : first + BATCH], length, temperature, top_p, epsilon, generator, copied
        )
        for first in range(0, count, BATCH)
    ]
    events = torch.cat(parts) if parts else torch.empty((0, length), dtype=torch.int64)
    return Melodies(events, None, contexts, policy.vocabulary, policy.meter)


@torch.inference_mode()
def _compose_batch(
    policy: Composer,
    context: Tensor,
    length: int,
    temperature: float,
    top_p: float,
    epsilon: float,
    generator: torch.Generator,
    copied: Tensor | None,
) -> Tensor:
    """int64 [B, length] on the CPU."""
    device = next(policy.parameters()).device
    batch = context.shape[0]
    heard = context if context.shape[1] else torch.full((batch, 1), -1)
    heard = heard.to(device)
    state = policy.begin(batch, heard.shape[1], length)
    for position in range(heard.shape[1]):
        log_policy, state = policy.step(heard[:, position], state)
    events = torch.empty((batch, length), dtype=torch.int64)
    sources = copied.tolist() if copied is not None else [-1] * length
    for t in range(length):
        chosen = sample(log_policy.cpu(), temperature, generator, top_p)
        if epsilon:
            random = torch.randint(policy.vocabulary.size, (batch,), generator=generator)
            chosen = torch.where(torch.rand(batch, generator=generator) < epsilon, random, chosen)
        if sources[t] >= 0:
            chosen = events[:, sources[t]]
        events[:, t] = chosen
        if t + 1 < length:
            log_policy, state = policy.step(chosen.to(device), state)
    return events


def sample(
    log_probabilities: Tensor, temperature: float, generator: torch.Generator, top_p: float = 1.0
) -> Tensor:
    """One class of each row, int64 [B], from softmax(log_probabilities / temperature) [B, V]; 0 takes the likeliest.

    With top_p < 1 only from the nucleus: the fewest of the likeliest classes whose probabilities sum to at least top_p
    (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020). Of equally likely classes the first count
    as the likelier.

    The exponential race: argmax of p_i / E_i with E_i ~ Exp(1) is i with probability p_i.
    """
    if temperature == 0:
        return log_probabilities.argmax(dim=1)
    probabilities = (log_probabilities / temperature).softmax(dim=1)
    if top_p < 1:
        ordered, classes = probabilities.sort(dim=1, descending=True, stable=True)
        likelier = ordered.cumsum(dim=1) - ordered  # what the classes before each have together
        probabilities = torch.zeros_like(probabilities).scatter_(
            1, classes, torch.where(likelier < top_p, ordered, 0.0)
        )
    race = torch.empty_like(probabilities).exponential_(generator=generator)
    return (probabilities / race).argmax(dim=1)
