"""What every vector environment offers: B listeners in lock-step, on tensors, each beginning anew where its episode ends.

The conventions are Gymnasium's, but that nothing is copied to NumPy and that an episode's last observation is replaced by
the next one's first.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class Step(NamedTuple):
    """What a step gives back."""

    observation: Tensor
    """float32 [B, O]; where an episode has ended, the first of the next one."""
    reward: Tensor
    """float32 [B]."""
    done: Tensor
    """bool [B]: the episode ended with this step."""


class Listeners(Protocol):
    """B listeners in lock-step."""

    count: int
    """B."""
    steps: int
    """Of an episode, at most."""
    observation_size: int
    """O."""
    last: Tensor
    """What the listeners saw after the step before, float32 [B, O]: an episode's last observation where it has ended."""

    def reset(self) -> Tensor:
        """Begins B episodes; their first observations, float32 [B, O]."""
        ...

    def step(self, actions: Tensor) -> Step:
        """One step of each. What an action is, the environment says."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What a run saves, so that it can go on: the state of the episodes and of the random generator."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        ...
