"""Replay: the last whole melodies composed, with the reward of each event.

Whole melodies, because learning unrolls them from their first event: recurrent states stored with single events would
go stale as the network learns.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.storing.checkpoints import check_tensors

MOST_COMPOSED = 2**53  # melodies in all: places are counted on from there


class Replay:
    """A ring buffer of at most `capacity` melodies of one length and one width of context, on the CPU."""

    def __init__(self, capacity: int, steered: int = 0) -> None:
        self.capacity = capacity
        self.steered = Replay(steered) if steered else None
        """A buffer of its own for melodies that particles steered; None where there are none."""
        self.composed = 0
        """Melodies added in all; the ring holds the last `capacity` of them."""
        self.events = torch.empty((0, 0), dtype=torch.int64)
        self.context = torch.empty((0, 0), dtype=torch.int64)
        self.rewards = torch.empty((0, 0))

    def __len__(self) -> int:
        return min(self.composed, self.capacity)

    @property
    def counts(self) -> tuple[int, int]:
        """Melodies added in all: composed ones, and steered ones."""
        return self.composed, self.steered.composed if self.steered is not None else 0

    def add(self, melodies: Melodies, rewards: Tensor) -> None:
        """Keeps melodies and their rewards, float32 [B, T]; the oldest make room."""
        if not self.capacity:
            return
        if not self.composed:
            self.events = torch.zeros((self.capacity, melodies.events.shape[1]), dtype=torch.int64)
            self.context = torch.zeros((self.capacity, melodies.context.shape[1]), dtype=torch.int64)
            self.rewards = torch.zeros((self.capacity, rewards.shape[1]))
        last = slice(max(0, len(melodies) - self.capacity), None)  # of more than fit, the last ones
        count = len(melodies.events[last])
        first = self.composed + len(melodies) - count
        places = torch.arange(first, first + count) % self.capacity
        self.events[places] = melodies.events[last].cpu()
        self.context[places] = melodies.context[last].cpu()
        self.rewards[places] = rewards[last].cpu()
        self.composed += len(melodies)

    def draw(self, count: int, like: Melodies, generator: torch.Generator) -> tuple[Melodies, Tensor]:
        """`count` of the melodies kept, uniformly with replacement, and their rewards, on the device of `like`."""
        places = torch.randint(len(self), (count,), generator=generator)
        drawn = Melodies(self.events[places], None, self.context[places], like.vocabulary, like.meter)
        device = like.events.device
        return drawn.to(device), self.rewards[places].to(device)

    def tensors(self) -> dict[str, Tensor]:
        """Everything, for a checkpoint."""
        return {
            "events": self.events,
            "context": self.context,
            "rewards": self.rewards,
            "composed": torch.tensor(self.composed),
            **{
                f"steered.{name}": t
                for name, t in (self.steered.tensors() if self.steered is not None else {}).items()
            },
        }

    def restore(self, tensors: Mapping[str, Tensor], length: int, classes: int, where: object) -> None:
        """The inverse of `tensors`; InputError where they are not of melodies of `length` events of `classes` classes."""
        prefix = "steered."
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefix)}
        composed = own.get("composed", torch.tensor(-1))
        filled = composed.shape == () and int(composed) > 0 and self.capacity > 0
        rows, context = self.capacity if filled else 0, own.get("context", torch.empty((0, 0)))
        width = context.shape[1] if context.ndim == 2 else 0
        integers = {"events": (rows, length if filled else 0), "context": (rows, width)}
        expected = {
            **{
                name: torch.empty(shape, dtype=torch.int64, device="meta") for name, shape in integers.items()
            },
            "rewards": torch.empty((rows, length if filled else 0), device="meta"),
            "composed": torch.empty((), dtype=torch.int64, device="meta"),
        }
        check_tensors(expected, own, f"{where}: replay")
        for name in integers:
            if own[name].numel() and not 0 <= int(own[name].min()) <= int(own[name].max()) < classes:
                raise InputError(f"{where}: replay: {name} holds classes outside 0 to {classes - 1}")
        if not 0 <= int(composed) <= MOST_COMPOSED:
            raise InputError(f"{where}: replay: composed = {int(composed)} must be in 0 to 2^53")
        if self.steered is not None:
            particles = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            self.steered.restore(particles, length, classes, where)
        self.events, self.context, self.rewards = own["events"], own["context"], own["rewards"]
        self.composed = int(composed)
