"""Outputs that stand for an event which was played before, turned into logits of events."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def with_repeats_mixed(outputs: Tensor, played: Tensor) -> Tensor:
    """Logits of the events, float32 [.., V], whose probabilities are sums over all classes that stand for the event.

    Args:
      outputs: logits of V classes and of D repeats, float32 [.., V + D].
      played: which event each repeat stands for, int64 [.., D].
    """
    logits = outputs[..., : outputs.shape[-1] - played.shape[-1]]
    for number in range(played.shape[-1]):
        at = played[..., number, None]
        repeat = outputs[..., logits.shape[-1] + number, None]
        logits = logits.scatter(-1, at, torch.logaddexp(logits.gather(-1, at), repeat))
    return logits


def with_repeats_added(outputs: Tensor, played: Tensor) -> Tensor:
    """Logits of the events, float32 [.., V], to which is added how much the network would repeat each.

    Arguments as `with_repeats_mixed` has them; an event of -1 is none.
    """
    classes = outputs.shape[-1] - played.shape[-1]
    logits, repeats = outputs[..., :classes], outputs[..., classes:]
    at = torch.where(played < 0, classes, played)
    return nn.functional.pad(logits, (0, 1)).scatter_add(-1, at, repeats)[..., :classes]
