"""LSTM layers unrolled by `kernels`, as functions of torch tensors: the same as torch.nn.LSTM up to rounding.

A whole unrolling is one call, which holds no GIL, so that threads do not wait for each other. Its memory is kept for the
next.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rltuner.kernels import padded, step_forward, unroll, unroll_back

MOST_KEPT = 4  # unrollings whose memory a thread keeps; a gradient step has two alive at once


class Workspace(threading.local):
    """A thread's memory for whole unrollings, kept from one to the next."""

    def __init__(self) -> None:
        self.free: list[Tensor] = []

    def borrow(self, *shapes: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
        """What is to be given back when they are done with, and float32 tensors of these shapes, not initialised."""
        sizes = [math.prod(shape) for shape in shapes]
        memory = self.free.pop() if self.free else _uninitialised(0)
        if len(memory) < sum(sizes):
            memory = _uninitialised(sum(sizes))
        parts = memory[: sum(sizes)].split(sizes)
        return memory, [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]

    def give_back(self, memory: Tensor) -> None:
        if len(self.free) < MOST_KEPT:
            self.free.append(memory)


def _uninitialised(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float32)


WORKSPACE = Workspace()


@contextmanager
def undivided() -> Iterator[None]:
    """Within it torch leaves an operation to the thread that asks for it.

    Those of a small network's step are not worth dividing, and a thread that waits for its next part of one keeps a core
    from those that learn (`Learner`).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Unrolling(torch.autograd.Function):
    """`hidden_states` as a node of the graph. Its memory is taken from the workspace, and back there by `backward`."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
        (steps, batch), units = rows.shape, weight.shape[1]
        ctx.memory, (ctx.gates, ctx.cells) = WORKSPACE.borrow(
            (steps, batch, padded(4 * units)), (steps, batch, units)
        )
        hidden = _uninitialised(steps, batch, units)
        _unroll(table, rows, weight, ctx.gates, ctx.cells, hidden)
        ctx.save_for_backward(weight, rows, hidden)
        ctx.rows_of_table = len(table)
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_hidden: Tensor) -> tuple[Tensor, None, Tensor]:
        if ctx.memory is None:
            raise RuntimeError("the gates of this unrolling became its gradients: go through it anew")
        weight, rows, hidden = ctx.saved_tensors
        units = weight.shape[1]
        by_table = weight.new_zeros(ctx.rows_of_table, padded(4 * units))
        by_weight = weight.new_zeros(units, padded(4 * units))
        known = rows, weight.detach().contiguous(), ctx.gates, ctx.cells, hidden.detach()
        unroll_back(*(x.numpy() for x in (*known, by_hidden.contiguous(), by_table, by_weight)))
        WORKSPACE.give_back(ctx.memory)
        ctx.memory = ctx.gates = ctx.cells = None
        return by_table[:, : 4 * units], None, by_weight[:, : 4 * units].t()


def _unroll(
    table: Tensor, rows: Tensor, weight: Tensor, gates: Tensor, cells: Tensor, hidden: Tensor
) -> None:
    given = table.detach(), rows, weight.detach().t().contiguous(), gates, cells, hidden
    unroll(*(x.numpy() for x in given))


def hidden_states(table: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
    """h_t of one LSTM layer at every step, from the zero state: float32 [T, B, H].

    Args:
      table: the layer's inputs W_x x + b of which each step takes a row, float32 [.., 4H]; gates in torch's order i, f,
        g, o. With one-hot inputs its rows are the classes; else there is one for each step of each melody.
      rows: which, int64 [T, B]. Whether the table has them is for the caller to check.
      weight: W, of the hidden state, float32 [4H, H].

    Gradients flow to the table and the weight; a second way back through the same graph raises RuntimeError.
    ValueError where table and weight do not fit each other.
    """
    units = weight.shape[1]
    if not table.shape[1] == weight.shape[0] == 4 * units:
        raise ValueError(f"a table of shape {tuple(table.shape)} and a weight of shape {tuple(weight.shape)}")
    table, rows = table.contiguous(), rows.contiguous()
    if torch.is_grad_enabled() and (table.requires_grad or weight.requires_grad):
        result: Tensor = Unrolling.apply(table, rows, weight)  # type: ignore[no-untyped-call]
        return result
    steps, batch = rows.shape
    memory, (gates, cells) = WORKSPACE.borrow((1, batch, padded(4 * units)), (2, batch, units))
    hidden = _uninitialised(steps, batch, units)
    _unroll(table, rows, weight, gates, cells, hidden)
    WORKSPACE.give_back(memory)
    return hidden


@torch.no_grad()
def cell(
    table: Tensor, rows: Tensor, weight: Tensor, before: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """One step of a layer, as `hidden_states` goes through many: h and c, float32 [B, H].

    Args:
      table, weight: as there; no gradients flow to them.
      rows: int64 [B].
      before: h and c before it, float32 [B, H]; None is the zero state. ValueError for another shape.
    """
    batch, units = len(rows), weight.shape[1]
    h, c = _uninitialised(batch, units), _uninitialised(batch, units)
    if before is None:
        gates, c_before = weight.new_zeros(batch, 4 * units), torch.zeros_like(c)
    elif before[0].shape != h.shape or before[1].shape != c.shape:
        raise ValueError(f"a state of shape {tuple(before[1].shape)} before a step of shape {tuple(c.shape)}")
    else:
        gates, c_before = before[0] @ weight.t(), before[1].contiguous()
    step_forward(*(x.numpy() for x in (table, rows, gates, c_before, c, h)))
    return h, c
