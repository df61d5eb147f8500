"""What is made of the output layer's logits, by `compiled.output`, for torch's tensors on the CPU, without gradients.

The same as `NoteRNN.logits` with log_softmax, and as `algorithms.advantage` of it, up to rounding, in less than half of
the time: the logits of a few melodies go through all of it in the cache.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rltuner.networks.kernels.compiled import output as kernels
from rltuner.networks.kernels.compiled.tiles import padded
from rltuner.networks.kernels.recurrence import uninitialised


@torch.no_grad()
def advantages(
    hidden: Tensor,
    output: nn.Linear,
    played: Tensor,
    events: Tensor,
    log_prior: Tensor | None,
    is_soft: bool,
) -> Tensor:
    """A of each event, its logit less the state value of all logits (`algorithms.advantage`), float32 [B, T].

    Args:
      hidden: hidden states, float32 [T, B, H].
      output: the output layer.
      played: the classes looked back on, int64 [B, T, D] (`NoteRNN.played`).
      events: int64 [B, T]. Whether there are such classes is for the caller to check.
      log_prior: log p of every class where the state value refers to it, float32 [B, T, V], or None.
      is_soft: whether the state value is the logarithm of the sum of exponentials, or the maximum.

    ValueError where the shapes do not fit each other.
    """
    (steps, batch, _), classes = hidden.shape, len(output.bias) - played.shape[2]
    if events.shape != (batch, steps):
        raise ValueError(f"events of shape {tuple(events.shape)} for hidden states of {tuple(hidden.shape)}")
    if log_prior is None:
        log_prior = uninitialised(0, steps, classes)
    elif log_prior.shape != (batch, steps, classes):
        raise ValueError(f"log p of shape {tuple(log_prior.shape)} for events of {tuple(events.shape)}")
    found, by_logits = uninitialised(batch, steps), uninitialised(steps, batch, padded(len(output.bias)))
    of_layer = hidden.contiguous(), output.weight.detach().t().contiguous(), output.bias.detach()
    states, by_unit, bias = (x.numpy() for x in of_layer)
    of_events = played.contiguous(), events.long().contiguous(), log_prior.contiguous()
    repeated, chosen, relative_to = (x.numpy() for x in of_events)
    into = found.numpy(), by_logits.numpy()
    kernels.advantages(states, by_unit, bias, repeated, chosen, relative_to, is_soft, *into)
    return found


@torch.no_grad()
def log_probabilities(hidden: Tensor, output: nn.Linear, played: Tensor) -> Tensor:
    """log softmax of the logits of hidden states float32 [T, B, H]: float32 [B, T, V]. `played` as in `advantages`."""
    (steps, batch, _), classes = hidden.shape, len(output.bias) - played.shape[2]
    found = uninitialised(batch, steps, classes)
    of_layer = hidden.contiguous(), output.weight.detach().t().contiguous(), output.bias.detach()
    known = *of_layer, played.contiguous(), found
    kernels.log_probabilities(*(x.numpy() for x in known))
    return found
