"""Replay: the last whole melodies composed, with the reward of each event.

Whole melodies, because learning unrolls them from their first event: recurrent states stored with single events would
go stale as the network learns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.melody import Melodies


class Replay:
    """A ring of at most `capacity` melodies of one length and one width of context, on the CPU."""

    def __init__(self, capacity: int, steered: int = 0) -> None:
        self.capacity = capacity
        self.steered = Replay(steered) if steered else None
        """A ring of its own for melodies that particles steered; None where there is none."""
        self.composed = 0
        """Melodies added in all; the ring holds the last `capacity` of them."""
        self.events = torch.empty((0, 0), dtype=torch.int64)
        self.context = torch.empty((0, 0), dtype=torch.int64)
        self.rewards = torch.empty((0, 0))

    def __len__(self) -> int:
        return min(self.composed, self.capacity)

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
            **{f"steered.{name}": t for name, t in (self.steered.tensors() if self.steered else {}).items()},
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        self.events, self.context, self.rewards = (tensors[name] for name in ("events", "context", "rewards"))
        self.composed = int(tensors["composed"])
        if self.steered is not None:
            prefix = "steered."
            self.steered.restore(
                {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            )
