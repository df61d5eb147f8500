"""The LSTM's recurrence on the CPU: what learning spends its time on, in kernels of our own.

    i, f, o = sigmoid, g = tanh of the gates a_t = input_t + W h_{t-1}
    c_t = f c_{t-1} + i g        h_t = o tanh(c_t)

numba compiles a whole unrolling into one call: BLAS does a step's product, and one pass over each melody's gates all
that lies between two of them, for which torch.nn.LSTM's CPU layer takes many. The call holds no GIL, so that threads do
not wait for each other, and its memory is kept for the next.

The same function as torch.nn.LSTM up to rounding. Source of the equations: Hochreiter and Schmidhuber 1997, with the
forget gate of Gers et al. 2000.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numba
import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  the BLAS that numba calls, loaded here so that it can be limited
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor
from torch.autograd.function import once_differentiable

Array = np.ndarray[Any, Any]
Kernel = TypeVar("Kernel", bound=Callable[..., None])

# tanh(x) = x P(x^2) / Q(x^2) for |x| <= 8.7, beyond which a float32 tanh is +-1 but for half a unit in the last place:
# relative error 1.5e-8 before rounding, by iteratively reweighted least squares on 6,000 Chebyshev nodes.
BEYOND = np.float32(8.7)
P1, P2, P3, P4 = (np.float32(p) for p in (0.13400485, 0.0035187637, 2.0994126e-05, 1.3897975e-08))
Q1, Q2, Q3, Q4 = (np.float32(q) for q in (0.46733806, 0.025964972, 0.0003323679, 7.9966816e-07))
ONE, HALF = np.float32(1.0), np.float32(0.5)

# Types of the kernels' arguments, all of them contiguous.
REAL_2, REAL_3, PLACES, PLACES_2 = "float32[:, ::1]", "float32[:, :, ::1]", "int64[::1]", "int64[:, ::1]"


def compiled(*arguments: str) -> Callable[[Kernel], Kernel]:
    """For these types of arguments, at once, without the GIL; kept on disk where that is possible.

    A product and a sum may be fused, nothing else is reordered: NaN stays NaN.
    """
    signature = f"void({', '.join(arguments)})"
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}

    def compile_(function: Kernel) -> Kernel:
        try:
            return cast(Kernel, numba.njit(signature, cache=True, **options)(function))
        except (
            Exception
        ):  # the copy on disk cannot be written, or was damaged: compiled anew in every process
            return cast(Kernel, numba.njit(signature, **options)(function))

    return compile_


@numba.njit(fastmath={"contract"}, inline="always", error_model="numpy")
def tanh(x):  # type: ignore[no-untyped-def]
    """float32, within 4e-7 of itself."""
    x = BEYOND if x > BEYOND else (-BEYOND if x < -BEYOND else x)
    y = x * x
    above = (((P4 * y + P3) * y + P2) * y + P1) * y + ONE
    return x * above / ((((Q4 * y + Q3) * y + Q2) * y + Q1) * y + ONE)


@compiled(REAL_2, PLACES, REAL_2, REAL_2, REAL_2, REAL_2)
def step_forward(table: Array, rows: Array, gates: Array, c_before: Array, c: Array, h: Array) -> None:
    """From `gates` [B, 4H], W h_{t-1}, and table[rows] [B, 4H], the inputs: c_t and h_t [B, H]. The gates become i, f,
    g, o."""
    units = c.shape[1]
    for b in range(c.shape[0]):
        row, all_gates = table[rows[b]], gates[b]
        for j in range(4 * units):
            all_gates[j] += row[j]
        # Slices, as the compiler sees of them that they do not overlap and computes eight units at a time.
        i_gate, f_gate = all_gates[:units], all_gates[units : 2 * units]
        g_gate, o_gate = all_gates[2 * units : 3 * units], all_gates[3 * units :]
        c_old, c_new, h_new = c_before[b], c[b], h[b]
        for j in range(units):
            i, f = HALF + HALF * tanh(HALF * i_gate[j]), HALF + HALF * tanh(HALF * f_gate[j])
            g, o = tanh(g_gate[j]), HALF + HALF * tanh(HALF * o_gate[j])
            cell = f * c_old[j] + i * g
            i_gate[j], f_gate[j], g_gate[j], o_gate[j] = i, f, g, o
            c_new[j], h_new[j] = cell, o * tanh(cell)


@compiled(PLACES, REAL_2, REAL_2, REAL_2, REAL_2, REAL_2, REAL_2)
def step_backward(
    rows: Array,
    gates: Array,
    c_before: Array,
    c: Array,
    by_h: Array,
    by_c: Array,
    by_table: Array,
) -> None:
    """From the loss's gradient by h_t, and `by_c` by c_t through later steps, both [B, H]: that by a_t, in place of the
    `gates` i, f, g, o; `by_c` becomes that by c_{t-1}; and `by_table` [.., 4H] gains what a_t's is of its rows."""
    units = c.shape[1]
    for b in range(c.shape[0]):
        row, all_gates = by_table[rows[b]], gates[b]
        i_gate, f_gate = all_gates[:units], all_gates[units : 2 * units]
        g_gate, o_gate = all_gates[2 * units : 3 * units], all_gates[3 * units :]
        c_old, c_new, hidden, cell = c_before[b], c[b], by_h[b], by_c[b]
        for j in range(units):
            i, f, g, o, s = i_gate[j], f_gate[j], g_gate[j], o_gate[j], tanh(c_new[j])
            by_cell = cell[j] + hidden[j] * o * (ONE - s * s)
            i_gate[j] = by_cell * g * i * (ONE - i)
            f_gate[j] = by_cell * c_old[j] * f * (ONE - f)
            g_gate[j] = by_cell * i * (ONE - g * g)
            o_gate[j] = hidden[j] * s * o * (ONE - o)
            cell[j] = by_cell * f
        for j in range(4 * units):
            row[j] += all_gates[j]


@compiled(REAL_2, PLACES_2, REAL_2, REAL_3, REAL_3, REAL_3)
def unroll(table: Array, rows: Array, by_unit: Array, gates: Array, cells: Array, hidden: Array) -> None:
    """All T steps from the zero state: `hidden` [T, B, H]; `by_unit` is W transposed, [H, 4H].

    Of `gates` [.., B, 4H] and `cells` [.., B, H] step t uses the place t modulo their length: T places keep all that the
    way back needs, 1 and 2 are the fewest.
    """
    for t in range(rows.shape[0]):
        at_gates, c = gates[t % gates.shape[0]], cells[t % cells.shape[0]]
        if t:
            np.dot(hidden[t - 1], by_unit, at_gates)
            c_before = cells[(t - 1) % cells.shape[0]]
        else:
            at_gates[:] = 0.0
            c_before = np.zeros_like(c)
        step_forward(table, rows[t], at_gates, c_before, c, hidden[t])


@compiled(PLACES_2, REAL_2, REAL_3, REAL_3, REAL_3, REAL_3, REAL_2, REAL_2)
def unroll_back(
    rows: Array,
    weight: Array,
    gates: Array,
    cells: Array,
    hidden: Array,
    by_hidden: Array,
    by_table: Array,
    by_weight: Array,
) -> None:
    """The way back of a whole `unroll`: adds the loss's gradient by the table, [.., 4H], and gives that by W transposed,
    [H, 4H]."""
    steps, batch, units = hidden.shape
    by_c, by_h = np.zeros_like(cells[0]), np.zeros_like(cells[0])
    for step in range(steps):
        t = steps - 1 - step
        if step:
            np.dot(gates[t + 1], weight, by_h)
        for b in range(batch):
            through_later, at_once = by_h[b], by_hidden[t, b]
            for j in range(units):
                through_later[j] += at_once[j]
        c_before = cells[t - 1] if t else np.zeros_like(cells[0])
        step_backward(rows[t], gates[t], c_before, cells[t], by_h, by_c, by_table)
    if steps > 1:
        before = hidden[: steps - 1].reshape(((steps - 1) * batch, units))
        np.dot(before.T, gates[1:].reshape(((steps - 1) * batch, 4 * units)), by_weight)


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


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # of all libraries that are loaded, which takes milliseconds


@contextmanager
def undivided() -> Iterator[None]:
    """Within it torch and BLAS leave an operation to the thread that asks for it, in the whole process.

    Those of a small network's step are not worth dividing, and a thread that waits for its next part of one keeps a core
    from those that learn (`Learner`).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _libraries().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads)


class Unrolling(torch.autograd.Function):
    """`hidden_states` as a node of the graph. Its memory is taken from the workspace, and back there by `backward`."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
        (steps, batch), units = rows.shape, weight.shape[1]
        ctx.memory, (ctx.gates, ctx.cells) = WORKSPACE.borrow(
            (steps, batch, 4 * units), (steps, batch, units)
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
        by_table = torch.zeros(ctx.rows_of_table, 4 * weight.shape[1])
        by_weight = torch.zeros(weight.t().shape)
        known = rows, weight.detach().contiguous(), ctx.gates, ctx.cells, hidden.detach()
        unroll_back(*(x.numpy() for x in (*known, by_hidden.contiguous(), by_table, by_weight)))
        WORKSPACE.give_back(ctx.memory)
        ctx.memory = ctx.gates = ctx.cells = None
        return by_table, None, by_weight.t()


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

    Gradients flow to the table and the weight, once. BLAS divides the products as it likes, unless within `undivided`.
    """
    table, rows = table.contiguous(), rows.contiguous()
    if torch.is_grad_enabled() and (table.requires_grad or weight.requires_grad):
        result: Tensor = Unrolling.apply(table, rows, weight)  # type: ignore[no-untyped-call]
        return result
    (steps, batch), units = rows.shape, weight.shape[1]
    memory, (gates, cells) = WORKSPACE.borrow((1, batch, 4 * units), (2, batch, units))
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
