"""A gradient step's loss and gradients: of two networks whose weights are one tensor each, by `kernels.learning`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rltuner.kernels.learning import gradients_of
from rltuner.kernels.tiles import Array, padded
from rltuner.melody import Melodies
from rltuner.note_rnn import NoteRNN
from rltuner.policy import inputs_of
from rltuner.recurrence import uninitialised
from rltuner.value import ValueNetwork


@dataclass(frozen=True)
class Loss:
    """The mean over melodies and events of the squares of S - goal, beyond a limit linear."""

    limit: float
    """Errors beyond it count 2 `limit` |S - goal| - `limit`^2 (twice Huber's loss); 0 for none."""
    scale: float
    """Its gradients are divided by the square of it."""


def flattened(module: nn.Module) -> list[Tensor]:
    """One tensor, [..], of which all parameters of a module become parts, in their order; in a list, as of parameters."""
    parameters = list(module.parameters())
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    for parameter, part in zip(parameters, parts_of(flat, parameters), strict=True):
        parameter.data = part
    return [flat]


def parts_of(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The parts of a tensor [..] that have the shapes of others, in their order."""
    parts = flat.split([tensor.numel() for tensor in like])
    return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]


class Gradients:
    """The loss of melodies and its gradients by the weights of A's network and of V, in float32, on the CPU.

    Args:
      network, value: of which both kernels' weights are views; they may change in place, but not be replaced.
      loss: what is to become less.
      is_soft: as in `output_layer.advantages`.
    """

    def __init__(self, network: NoteRNN, value: ValueNetwork, loss: Loss, is_soft: bool) -> None:
        self._loss, self._is_soft, self._network = loss, is_soft, network
        self._of_policy, self._of_value = list(network.parameters()), list(value.parameters())
        self._sizes, self._sizes_of_value = network.hidden_sizes, value.network.hidden_sizes
        self._classes = network.vocabulary.size
        self.kernel = gradients_of(len(self._sizes), len(self._sizes_of_value))

    @torch.no_grad()
    def __call__(
        self, melodies: Melodies, goals: Tensor, log_prior: Tensor | None, share: float
    ) -> tuple[float, list[Tensor]]:
        """`share` times the loss of melodies, and its gradients by A's network and by V, flat.

        ValueError for more events than V has offsets for, or where goals are not [B, T] or log p not [B, T, V];
        IndexError for a class that there is not.
        """
        (batch, length), (heard, _) = melodies.events.shape, inputs_of(melodies)
        if length > len(self._of_value[0]):
            raise ValueError(f"melodies of {length} events; V has offsets for {len(self._of_value[0])}")
        if goals.shape != (batch, length):
            raise ValueError(f"goals of shape {tuple(goals.shape)} for events of {(batch, length)}")
        if log_prior is None:
            log_prior = uninitialised(0, length, self._classes)
        elif log_prior.shape != (batch, length, self._classes):
            raise ValueError(f"log p of shape {tuple(log_prior.shape)} for events of {(batch, length)}")
        self._network.refuse_unknown_classes(heard, -1)
        self._network.refuse_unknown_classes(melodies.events, 0)
        found = [
            uninitialised(sum(parameter.numel() for parameter in of))
            for of in (self._of_policy, self._of_value)
        ]
        by_policy, by_value = (
            parts_of(flat, of) for flat, of in zip(found, (self._of_policy, self._of_value), strict=True)
        )
        loss = np.zeros(1)
        steps = heard.shape[1]
        self.kernel(
            _arrays(self._of_policy),
            _arrays(self._of_value[1:]),
            *_arrays(self._of_value[:1]),
            _memory(steps, batch, self._sizes),
            _memory(steps, batch, self._sizes_of_value),
            heard.contiguous().numpy(),
            melodies.events.contiguous().numpy(),
            goals.contiguous().numpy(),
            log_prior.contiguous().numpy(),
            self._is_soft,
            self._loss.limit,
            self._loss.scale,
            share,
            _arrays(by_policy),
            _arrays(by_value[1:]),
            *_arrays(by_value[:1]),
            loss,
        )
        return float(loss[0]), found


def _arrays(parameters: list[nn.Parameter] | list[Tensor]) -> tuple[Array, ...]:
    """As the kernel wants them: all with two dimensions."""
    return tuple(np.atleast_2d(parameter.detach().numpy()) for parameter in parameters)


def _memory(steps: int, batch: int, sizes: tuple[int, ...]) -> tuple[Array, ...]:
    """Gates, cells and hidden states of each layer, not initialised."""
    widths = [width for units in sizes for width in (padded(4 * units), units, units)]
    return tuple(uninitialised(steps, batch, width).numpy() for width in widths)
