"""A gradient step's loss and gradients: of two networks whose weights are one tensor each, by `compiled.learning`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rltuner.networks.kernels.compiled.learning import gradients_of
from rltuner.networks.kernels.recurrence import arrays_of, memory_for, uninitialised
from rltuner.networks.weights import parts_of


class Gradients:
    """The loss of melodies and its gradients by the weights of A's network and of V, in float32, on the CPU.

    Args:
      of_network, of_value: the parameters of both, in torch's order, of which the kernel's weights are views; they may
        change in place, but not be replaced. V's first one holds its offsets, one a step.
      sizes, sizes_of_value: units of their LSTM layers.
      limit: errors S - goal beyond it count linearly; 0 for none.
      scale: the gradients are divided by the square of it.
      is_soft: as in `output_layer.advantages`.
    """

    def __init__(
        self,
        of_network: Sequence[nn.Parameter],
        of_value: Sequence[nn.Parameter],
        sizes: tuple[int, ...],
        sizes_of_value: tuple[int, ...],
        *,
        limit: float,
        scale: float,
        is_soft: bool,
    ) -> None:
        self._of_policy, self._of_value = list(of_network), list(of_value)
        self._sizes, self._sizes_of_value = sizes, sizes_of_value
        self._limit, self._scale, self._is_soft = limit, scale, is_soft
        self.kernel = gradients_of(len(sizes), len(sizes_of_value))

    @torch.no_grad()
    def __call__(
        self,
        rows: Tensor,
        places: Tensor,
        of_events: int,
        played: Tensor,
        events: Tensor,
        goals: Tensor,
        log_prior: Tensor | None,
        share: float,
    ) -> tuple[float, list[Tensor]]:
        """`share` times the loss of melodies, and its gradients by A's network and by V, flat.

        Args:
          rows, places: that both networks add up, `Rows.with_places`, int64 [B, P + T - 1, K], and `Rows.places`.
            Whether there are such rows is for the caller to check.
          of_events: rows before those of places.
          played: the classes that A's network looks back on, int64 [B, T, D] (`NoteRNN.played`).
          events: that were played, int64 [B, T]. Whether there are such classes is for the caller to check.
          goals: of their scores, float32 [B, T].
          log_prior: log p of every class, float32 [B, T, V], where the algorithm refers to it, else None.
          share: of the whole step's melodies that these are.

        ValueError for more events than V has offsets for, or where goals are not [B, T] or log p not [B, T, V].
        """
        batch, length = events.shape
        classes = len(self._of_policy[-1]) - played.shape[2]  # the output layer's biases are for both
        if length > len(self._of_value[0]):
            raise ValueError(f"melodies of {length} events; V has offsets for {len(self._of_value[0])}")
        if goals.shape != (batch, length):
            raise ValueError(f"goals of shape {tuple(goals.shape)} for events of {(batch, length)}")
        if log_prior is None:
            log_prior = uninitialised(0, length, classes)
        elif log_prior.shape != (batch, length, classes):
            raise ValueError(f"log p of shape {tuple(log_prior.shape)} for events of {(batch, length)}")
        found = [
            uninitialised(sum(parameter.numel() for parameter in of))
            for of in (self._of_policy, self._of_value)
        ]
        by_policy, by_value = (
            parts_of(flat, of) for flat, of in zip(found, (self._of_policy, self._of_value), strict=True)
        )
        loss = np.zeros(1)
        steps = rows.shape[1]
        self.kernel(
            arrays_of(self._of_policy),
            arrays_of(self._of_value[1:]),
            *arrays_of(self._of_value[:1]),
            memory_for(steps, batch, self._sizes),
            memory_for(steps, batch, self._sizes_of_value),
            rows.contiguous().numpy(),
            places.contiguous().numpy(),
            of_events,
            played.contiguous().numpy(),
            events.contiguous().numpy(),
            goals.contiguous().numpy(),
            log_prior.contiguous().numpy(),
            self._is_soft,
            self._limit,
            self._scale,
            share,
            arrays_of(by_policy),
            arrays_of(by_value[1:]),
            *arrays_of(by_value[:1]),
            loss,
        )
        return float(loss[0]), found
