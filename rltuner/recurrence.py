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


class Workspace(threading.local):
    """A thread's memory for whole unrollings, kept from one to the next."""

    def __init__(self) -> None:
        self.free: list[Tensor] = []

    def borrow(self, *shapes: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
        """What is to be given back when they are done with, and float32 tensors of these shapes, not initialised."""
        sizes = [math.prod(shape) for shape in shapes]
        memory = self.free.pop() if self.free else torch.empty(0)
        if len(memory) < sum(sizes):
            memory = torch.empty(sum(sizes))
        parts = memory[: sum(sizes)].split(sizes)
        return memory, [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]

    def give_back(self, memory: Tensor) -> None:
        self.free.append(memory)


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
        hidden = torch.empty(steps, batch, units)
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
        by_table = torch.zeros(ctx.rows_of_table, padded(4 * units))
        by_weight = torch.zeros(units, padded(4 * units))
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
      rows: which, int64 [T, B].
      weight: W, of the hidden state, float32 [4H, H].

    Gradients flow to the table and the weight, once.
    """
    table, rows = table.contiguous(), rows.contiguous()
    if torch.is_grad_enabled() and (table.requires_grad or weight.requires_grad):
        result: Tensor = Unrolling.apply(table, rows, weight)  # type: ignore[no-untyped-call]
        return result
    (steps, batch), units = rows.shape, weight.shape[1]
    memory, (gates, cells) = WORKSPACE.borrow((1, batch, padded(4 * units)), (2, batch, units))
    hidden = torch.empty(steps, batch, units)
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
      before: h and c before it; None is the zero state.
    """
    units = weight.shape[1]
    h, c = torch.empty(len(rows), units), torch.empty(len(rows), units)
    gates = torch.zeros(len(rows), 4 * units) if before is None else before[0] @ weight.t()
    c_before = torch.zeros_like(c) if before is None else before[1]
    step_forward(*(x.numpy() for x in (table, rows, gates, c_before, c, h)))
    return h, c
