"""The LSTM's kernels on the CPU, compiled by numba: what learning spends its time on.

    i, f, o = sigmoid, g = tanh of the gates a_t = input_t + W h_{t-1}
    c_t = f c_{t-1} + i g        h_t = o tanh(c_t)

Products of these shapes, a hundred melodies by a hundred units, are too small for a BLAS, which packs the weights anew
for each of them. Here weights are packed once for a whole unrolling, and a few melodies at a time go through a step's
product and all that follows from it while they are in the cache. No kernel holds the GIL, and none checks its indices.

Arrays are float32, places int64, rows contiguous. What products write has room for whole tiles (`padded`); what is beyond
the columns that mean something is of no use.

Source of the equations: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000; of the tiles: Goto and
van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

Array = np.ndarray[Any, Any]
Kernel = TypeVar("Kernel", bound=Callable[..., None])

# A tile's rows and columns: 12 sums in vectors of 8 and what is multiplied into them fit the 16 registers of AVX2.
ROWS, WIDTH, VECTOR = 6, 16, 8
BLOCK = 2 * ROWS  # melodies that go through a step together

# tanh(x) = x P(x^2) / Q(x^2) for |x| <= 8.7, beyond which a float32 tanh is +-1 but for its last bit: relative error
# 3e-8 but for the rounding of what is computed, by iteratively reweighted least squares on 6,000 Chebyshev nodes.
BEYOND = np.float32(8.7)
P1, P2, P3, P4 = (np.float32(p) for p in (0.13400485, 0.0035187637, 2.0994126e-05, 1.3897975e-08))
Q1, Q2, Q3, Q4 = (np.float32(q) for q in (0.46733806, 0.025964972, 0.0003323679, 7.9966816e-07))
ONE, HALF = np.float32(1.0), np.float32(0.5)

# Types of the kernels' arguments, all of them contiguous.
REAL_2, REAL_3, PLACES, PLACES_2 = "float32[:, ::1]", "float32[:, :, ::1]", "int64[::1]", "int64[:, ::1]"


def padded(columns: int) -> int:
    """The length of a row that a product can write: `columns`, rounded up to an odd number of tiles.

    A tile's row is a line of the cache, and rows an even number of lines apart share some of its places.
    """
    return (-(-columns // WIDTH) | 1) * WIDTH


def compiled(*arguments: str) -> Callable[[Kernel], Kernel]:
    """For these types of arguments, at once, without the GIL; kept on disk where that is possible.

    A product and a sum may be fused, nothing else is reordered: NaN stays NaN.
    """
    signature = f"void({', '.join(arguments)})"
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}

    def compile_(function: Kernel) -> Kernel:
        try:
            return cast(Kernel, numba.njit(signature, cache=True, **options)(function))
        except Exception:  # the copy on disk cannot be written, or was damaged: compiled in every process
            return cast(Kernel, numba.njit(signature, **options)(function))

    return compile_


as_llvm: Any = intrinsic  # numba's types are no types of Python


@as_llvm
def _tile(typing_context, a, a_row, a_inner, b, b_row, inner, c, c_row, rows, adds):  # type: ignore[no-untyped-def]
    """c[r, 0:WIDTH] = sum over k < inner of a[r, k] b[k, 0:WIDTH], and what c was if `adds`, for r < rows <= ROWS.

    a, b and c are addresses, the others counts of float32: from one row to the next, and in `a` from one k to the next.

    In LLVM's own language, as the sums must stay in registers: what numba compiles of arrays goes through memory.
    """
    real, whole = ir.FloatType(), ir.IntType(64)
    vector, places = ir.VectorType(real, VECTOR), range(0, WIDTH, VECTOR)
    signature = types.void(*[types.int64] * 9, types.boolean)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, a_row, a_inner, b, b_row, inner, c, c_row, rows, adds = arguments
        multiply_add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{VECTOR}f32"
        )

        def vector_at(start: Any, place: Any) -> Any:
            return builder.bitcast(builder.gep(start, [place]), vector.as_pointer())

        of_a, of_b, of_c = (builder.inttoptr(x, real.as_pointer()) for x in (a, b, c))
        last = builder.sub(rows, ir.Constant(whole, 1))
        starts = []
        for row in range(ROWS):  # beyond the last: the last again, its sums stored again in the same place
            number = ir.Constant(whole, row)
            r = builder.select(builder.icmp_signed("<", number, last), number, last)
            starts.append([builder.gep(x, [builder.mul(r, by)]) for x, by in ((of_a, a_row), (of_c, c_row))])
        sums = [[cgutils.alloca_once(builder, vector) for _ in places] for _ in range(ROWS)]
        with builder.if_else(adds) as (if_so, if_not):
            for kept, block in ((True, if_so), (False, if_not)):
                with block:
                    for (_, at_c), of_row in zip(starts, sums, strict=True):
                        for total, place in zip(of_row, places, strict=True):
                            at_place = vector_at(at_c, ir.Constant(whole, place))
                            zeros = ir.Constant(vector, [0.0] * VECTOR)
                            builder.store(builder.load(at_place, align=4) if kept else zeros, total)
        with cgutils.for_range(builder, inner) as loop:
            at_b = builder.gep(of_b, [builder.mul(loop.index, b_row)])
            b_vectors = [
                builder.load(vector_at(at_b, ir.Constant(whole, place)), align=4) for place in places
            ]
            at_k = builder.mul(loop.index, a_inner)
            for (at_a, _), of_row in zip(starts, sums, strict=True):
                one = builder.insert_element(
                    ir.Constant(vector, ir.Undefined),
                    builder.load(builder.gep(at_a, [at_k])),
                    ir.Constant(ir.IntType(32), 0),
                )
                everywhere = ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), [0] * VECTOR)
                spread = builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), everywhere)
                for total, b_vector in zip(of_row, b_vectors, strict=True):
                    builder.store(builder.call(multiply_add, [spread, b_vector, builder.load(total)]), total)
        for (_, at_c), of_row in zip(starts, sums, strict=True):
            for total, place in zip(of_row, places, strict=True):
                builder.store(builder.load(total), vector_at(at_c, ir.Constant(whole, place)), align=4)
        return context.get_dummy_value()

    return signature, generate


@numba.njit(inline="never", error_model="numpy")
def packed(weight):  # type: ignore[no-untyped-def]
    """The second factor of products, [K, N], as `multiply` wants it: its columns by tiles, the last one filled up with
    zeros, float32 [tiles, K, WIDTH]."""
    inner, columns = weight.shape
    tiles = np.zeros((-(-columns // WIDTH), inner, WIDTH), np.float32)
    for column in range(columns):
        for k in range(inner):
            tiles[column // WIDTH, k, column % WIDTH] = weight[k, column]
    return tiles


@numba.njit(inline="never", error_model="numpy")
def multiply(a, b, c):  # type: ignore[no-untyped-def]
    """c [M, >= N in whole tiles] = a b: of `a` [M, >= K] the first K columns; b [K, N], `packed`."""
    tiles, inner, _ = b.shape
    a_row, c_row = a.strides[0] // 4, c.strides[0] // 4
    for first in range(0, a.shape[0], ROWS):
        rows = min(ROWS, a.shape[0] - first)
        of_a, of_c = a.ctypes.data + 4 * first * a_row, c.ctypes.data + 4 * first * c_row
        for tile in range(tiles):
            of_b = b.ctypes.data + 4 * tile * inner * WIDTH
            _tile(of_a, a_row, 1, of_b, WIDTH, inner, of_c + 4 * tile * WIDTH, c_row, rows, False)


@numba.njit(inline="never", error_model="numpy")
def add_transposed_product(a, b, c, columns):  # type: ignore[no-untyped-def]
    """c [M, padded(N)] += a^T b of a [K, M] and b [K, padded(N)], where N is `columns`."""
    a_row, b_row, c_row = a.strides[0] // 4, b.strides[0] // 4, c.strides[0] // 4
    for column in range(0, columns, WIDTH):
        for first in range(0, a.shape[1], ROWS):
            rows = min(ROWS, a.shape[1] - first)
            of_a, of_b = a.ctypes.data + 4 * first, b.ctypes.data + 4 * column
            of_c = c.ctypes.data + 4 * (first * c_row + column)
            _tile(of_a, 1, a_row, of_b, b_row, a.shape[0], of_c, c_row, rows, True)


@numba.njit(fastmath={"contract"}, inline="always", error_model="numpy")
def tanh(x):  # type: ignore[no-untyped-def]
    """tanh x of a float32, to a relative error of 4e-7."""
    x = BEYOND if x > BEYOND else (-BEYOND if x < -BEYOND else x)
    y = x * x
    above = (((P4 * y + P3) * y + P2) * y + P1) * y + ONE
    return x * above / ((((Q4 * y + Q3) * y + Q2) * y + Q1) * y + ONE)


@compiled(REAL_2, PLACES, REAL_2, REAL_2, REAL_2, REAL_2)
def step_forward(table: Array, rows: Array, gates: Array, c_before: Array, c: Array, h: Array) -> None:
    """From `gates` [B, >= 4H], W h_{t-1}, and table[rows] [B, 4H], the inputs: c_t and h_t [B, H]. The gates become i,
    f, g, o."""
    units = c.shape[1]
    for b in range(c.shape[0]):
        row, all_gates = table[rows[b]], gates[b]
        for j in range(4 * units):
            all_gates[j] += row[j]
        # Slices, as the compiler sees of them that they do not overlap and computes eight units at a time.
        i_gate, f_gate = all_gates[:units], all_gates[units : 2 * units]
        g_gate, o_gate = all_gates[2 * units : 3 * units], all_gates[3 * units : 4 * units]
        c_old, c_new, h_new = c_before[b], c[b], h[b]
        for j in range(units):
            i, f = HALF + HALF * tanh(HALF * i_gate[j]), HALF + HALF * tanh(HALF * f_gate[j])
            g, o = tanh(g_gate[j]), HALF + HALF * tanh(HALF * o_gate[j])
            cell = f * c_old[j] + i * g
            i_gate[j], f_gate[j], g_gate[j], o_gate[j] = i, f, g, o
            c_new[j], h_new[j] = cell, o * tanh(cell)


@compiled(PLACES, REAL_2, REAL_2, REAL_2, REAL_2, REAL_2, REAL_2, REAL_2)
def step_backward(
    rows: Array,
    gates: Array,
    c_before: Array,
    c: Array,
    by_h: Array,
    by_h_later: Array,
    by_c: Array,
    by_table: Array,
) -> None:
    """From the loss's gradient by h_t at once and through later steps, `by_h` [B, H] and `by_h_later` [B, >= H], and
    `by_c` [B, H] by c_t through later steps: that by a_t, in place of the `gates` i, f, g, o, and added to the rows
    `rows` of `by_table` [.., >= 4H]; `by_c` becomes that by c_{t-1}."""
    units = c.shape[1]
    for b in range(c.shape[0]):
        row, all_gates = by_table[rows[b]], gates[b]
        i_gate, f_gate = all_gates[:units], all_gates[units : 2 * units]
        g_gate, o_gate = all_gates[2 * units : 3 * units], all_gates[3 * units : 4 * units]
        c_old, c_new, cell = c_before[b], c[b], by_c[b]
        at_once, later = by_h[b], by_h_later[b]
        for j in range(units):
            i, f, g, o, s = i_gate[j], f_gate[j], g_gate[j], o_gate[j], tanh(c_new[j])
            by_hidden = at_once[j] + later[j]
            by_cell = cell[j] + by_hidden * o * (ONE - s * s)
            i_gate[j] = by_cell * g * i * (ONE - i)
            f_gate[j] = by_cell * c_old[j] * f * (ONE - f)
            g_gate[j] = by_cell * i * (ONE - g * g)
            o_gate[j] = by_hidden * s * o * (ONE - o)
            cell[j] = by_cell * f
        for j in range(4 * units):
            row[j] += all_gates[j]


@compiled(REAL_2, PLACES_2, REAL_2, REAL_3, REAL_3, REAL_3)
def unroll(table: Array, rows: Array, by_unit: Array, gates: Array, cells: Array, hidden: Array) -> None:
    """All T steps from the zero state: `hidden` [T, B, H]; `by_unit` is W transposed, [H, 4H].

    Of `gates` [.., B, padded(4H)] and `cells` [.., B, H] step t uses the place t modulo their length: T places keep all
    that the way back needs; without it 1 of `gates` and 2 of `cells` are enough.
    """
    weight, (steps, batch, units) = packed(by_unit), hidden.shape
    zeros = np.zeros((BLOCK, units), np.float32)
    for t in range(steps):
        at_gates, at_cells = gates[t % gates.shape[0]], cells[t % cells.shape[0]]
        for first in range(0, batch, BLOCK):
            last = min(first + BLOCK, batch)
            block_gates = at_gates[first:last]
            if t:
                multiply(hidden[t - 1, first:last], weight, block_gates)
                c_before = cells[(t - 1) % cells.shape[0], first:last]
            else:
                block_gates[:] = 0.0
                c_before = zeros
            block_rows, h = rows[t, first:last], hidden[t, first:last]
            step_forward(table, block_rows, block_gates, c_before, at_cells[first:last], h)


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
    """The way back of a whole `unroll`: adds the loss's gradient by the table, [.., padded(4H)], and that by W
    transposed, [H, padded(4H)]; `weight` is W, [4H, H]. The gates become the gradients by a_t."""
    by_unit, (steps, batch, units) = packed(weight), hidden.shape
    by_c, zeros = np.zeros((batch, units), np.float32), np.zeros((BLOCK, units), np.float32)
    later = np.zeros((BLOCK, by_unit.shape[0] * WIDTH), np.float32)
    for t in range(steps - 1, -1, -1):
        for first in range(0, batch, BLOCK):
            last = min(first + BLOCK, batch)
            if t + 1 < steps:
                multiply(gates[t + 1, first:last], by_unit, later)
            step_backward(
                rows[t, first:last],
                gates[t, first:last],
                cells[t - 1, first:last] if t else zeros,
                cells[t, first:last],
                by_hidden[t, first:last],
                later,
                by_c[first:last],
                by_table,
            )
        if t:
            add_transposed_product(hidden[t - 1], gates[t], by_weight, 4 * units)
