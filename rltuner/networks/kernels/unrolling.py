"""LSTM layers with their way back, by `compiled.layers`, as an operation of torch's graph: on the CPU, in float32."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rltuner.networks.kernels.compiled.layers import unrolling_of
from rltuner.networks.kernels.recurrence import arrays_of, memory_for


class Unrolled(torch.autograd.Function):
    """The last layer's hidden states at every step from the zero state, [T, B, H]: torch.nn.LSTM's up to rounding, in
    less than half of the time. Each thread takes a share of the melodies.

    Arguments of `apply`:
      rows: that the first layer adds up (`Rows.all`), int64 [B, T, K]. Whether its table has them is for the caller to
        check.
      classes: of events, V: the biases are added to the rows 0 to V, of which each step has one.
      pool, threads: which runs the shares, and how many.
      weights: W_ih, W_hh and biases of each layer (`note_rnn.weights_of`), one after the other.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, classes: int, pool: Executor, threads: int, *weights: Tensor
    ) -> Tensor:
        count = len(rows)
        size = max(1, -(-count // threads))
        shares = [slice(first, first + size) for first in range(0, max(1, count), size)]
        sizes = [weight_hh.shape[1] for weight_hh in weights[1::4]]
        arrays = arrays_of(weights)
        known = [
            (
                arrays,
                memory_for(part.shape[1], len(part), sizes),
                part.transpose(0, 1).contiguous().numpy(),
                np.empty((0, 0), np.int64),
                classes + 1,
                weights[0].shape[1],
            )
            for part in (rows[share] for share in shares)
        ]
        there, _ = unrolling_of(len(sizes))
        list(pool.map(lambda one: there(*one), known))
        ctx.known, ctx.shares, ctx.pool, ctx.weights = known, shares, pool, weights
        return torch.cat([torch.from_numpy(memory[-1]) for _, memory, *_ in known], dim=1)

    @staticmethod
    def backward(ctx: Any, by_hidden: Tensor) -> tuple[Any, ...]:
        if ctx.known is None:
            raise RuntimeError("Unrolled goes back once: on the way what it remembered became gradients")
        _, back = unrolling_of(len(ctx.weights) // 4)

        def of_share(number: int) -> list[Tensor]:
            found = [torch.empty_like(weight) for weight in ctx.weights]
            part = by_hidden[:, ctx.shares[number]].contiguous().numpy()
            back(*ctx.known[number], part, arrays_of(found))
            return found

        first, *others = ctx.pool.map(of_share, range(len(ctx.shares)))
        for more in others:
            torch._foreach_add_(first, more)
        ctx.known = None
        return None, None, None, None, *first
