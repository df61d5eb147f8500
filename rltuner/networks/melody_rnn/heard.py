"""What has been heard of melodies, as Magenta counts it: from the first event on, at t = 0, whatever bar it stands in.

Nothing (-1) is the zero input vector: it is not counted, and nothing looks back to it. A NOTE_OFF before the first note
is heard as NO_EVENT, as note_seq's `Melody` makes it one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import NO_EVENT, NOTE_OFF

DISTANCES = (16, 32)  # steps back to what may be repeated; a bar is 16 steps here, whatever the metre
FIRST_ONSET = 2  # class of the lowest pitch's onset
_KEPT = max(DISTANCES) + 1


@dataclass(frozen=True)
class Counted:
    """Events heard in a row, and what came before them."""

    events: Tensor
    """int64 [B, L]; -1 is nothing."""
    number: Tensor
    """How many have been heard, each one included: t + 1, int64 [B, L]."""
    has_sounded: Tensor
    """bool [B, L]: a note has begun."""
    _known: Tensor  # [B, 33 + L + 1]: what is kept of before, then the events without gaps, then those that are none
    _at: Tensor  # [B, L]: where in it the last event heard stands

    @property
    def is_event(self) -> Tensor:
        """bool [B, L]: something was heard."""
        return self.events >= 0

    @property
    def is_onset(self) -> Tensor:
        """bool [B, L]: a note begins."""
        return self.events >= FIRST_ONSET

    def back(self, steps: int) -> Tensor:
        """The event so many steps before the last one heard, int64 [B, L]; NO_EVENT where there is none."""
        found = self._known.gather(1, (self._at - steps).clamp(min=0))
        return torch.where(self.number > steps, found, NO_EVENT)

    def repeats(self, steps: int) -> Tensor:
        """bool [B, L]: the event is that of so many steps before."""
        return self.is_event & (self.number > steps) & (self.events == self.back(steps))

    def memory(self) -> dict[str, Tensor]:
        """What `counted` needs to go on."""
        last = self._at[:, -1:] - torch.arange(_KEPT - 1, -1, -1, device=self._at.device)
        return {
            "recent": self._known.gather(1, last),
            "count": self.number[:, -1],
            "sounded": self.has_sounded[:, -1],
        }


def counted(events: Tensor, memory: Mapping[str, Tensor]) -> Counted:
    """Events int64 [B, L], L at least 1, after what `Counted.memory` kept; an empty memory is that of the beginning."""
    batch, length = events.shape
    if memory:
        recent, count, sounded = memory["recent"], memory["count"], memory["sounded"]
    else:
        recent = torch.full((batch, _KEPT), -1, device=events.device)
        count = torch.zeros(batch, dtype=torch.int64, device=events.device)
        sounded = torch.zeros(batch, dtype=torch.bool, device=events.device)
    has_sounded = sounded[:, None] | ((events >= FIRST_ONSET).cumsum(dim=1) > 0)
    events = torch.where((events == NOTE_OFF) & ~has_sounded, NO_EVENT, events)
    is_event = events >= 0
    so_far = is_event.cumsum(dim=1)
    at = _KEPT - 1 + so_far
    known = torch.cat([recent, torch.full((batch, length + 1), -1, device=events.device)], dim=1)
    known = known.scatter(1, torch.where(is_event, at, _KEPT + length), events)
    return Counted(events, count[:, None] + so_far, has_sounded, known, at)


def latest(values: Tensor, is_new: Tensor, before: Tensor) -> Tensor:
    """The last of `values` [B, L] up to each step at which `is_new`; `before` [B] where there is none yet."""
    steps = torch.arange(values.shape[1], device=values.device)
    at = torch.where(is_new, steps, -1).cummax(dim=1).values
    return torch.where(at < 0, before[:, None], values.gather(1, at.clamp(min=0)))
