"""What networks hear of melodies, and how far those have come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rltuner.melody import Melodies, Meter

Length = int | Tensor | None
"""Of melodies, in events: one for all, int64 [B], where -1 is unknown, or None where all are."""


@dataclass(frozen=True)
class Progress:
    """How far melodies have come: what their inputs depend on, besides the events still to be heard."""

    step: int
    """Of the event that the next one heard predicts; at first 1 - P, for P events of context."""
    past: Tensor
    """The last events heard, as many as are looked back on, int64 [B, n]; the last of them stands at step - 2."""
    length: Length
    """What the melodies' lengths will be."""
    meter: Meter
    memory: dict[str, Tensor] = field(default_factory=dict)
    """What Magenta's inputs remember, each [B, ...] (`networks.melody_rnn`); nothing at first, and for other inputs."""

    def chosen(self, rows: Tensor) -> Progress:
        """Of some of the melodies, int64 [N]."""
        length = self.length[rows.to(self.length.device)] if isinstance(self.length, Tensor) else self.length
        memory = {name: kept[rows.to(kept.device)] for name, kept in self.memory.items()}
        return Progress(self.step, self.past[rows.to(self.past.device)], length, self.meter, memory)


@dataclass(frozen=True)
class Heard:
    """What networks hear so that they predict events: all but the last of them, after their context."""

    events: Tensor
    """Classes, int64 [B, L]; -1 is nothing."""
    begun: Progress
    """Before the first of them."""
    skipped: int = 0
    """So many predictions are of no use: those of the context's own events."""
    rows: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """What `Inputs.rows` has made of them."""


def begin(count: int, context: int, length: Length, meter: Meter) -> Progress:
    """Before anything of `count` melodies is heard: `context` events before step 0, nothing counting as one."""
    return Progress(1 - max(context, 1), torch.empty((count, 0), dtype=torch.int64), length, meter)


def inputs_of(melodies: Melodies) -> Heard:
    """What a network hears so that it predicts every event: int64 [B, max(P, 1) + T - 1].

    The context, or -1 where there is none, then the events but for the last. The predictions that are not skipped are of
    events 0 to T - 1.
    """
    events, context = melodies.events, melodies.context
    if not context.shape[1]:
        context = torch.full_like(melodies.lengths[:, None], -1)
    lengths = melodies.lengths
    same = bool(len(lengths)) and bool((lengths == lengths[0]).all())
    begun = begin(len(melodies), context.shape[1], int(lengths[0]) if same else lengths, melodies.meter)
    return Heard(torch.cat([context, events[:, :-1]], dim=1), begun, context.shape[1] - 1)
