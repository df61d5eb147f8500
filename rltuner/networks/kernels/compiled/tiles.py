"""What the kernels on the CPU are made of: products by tiles, tanh and exp, compiled by numba.

Products of a Note RNN's shapes, a hundred melodies by a hundred units, are too small for a BLAS, which packs the weights
anew for each of them. Here weights are packed once for many products of a few melodies each, and what comes of one is
still in the cache for what follows. No kernel holds the GIL, and none checks its indices.

Arrays are float32, places int64, rows contiguous. What products write has room for whole tiles (`padded`); what is beyond
the columns that mean something is of no use.

Source of the tiles: Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.
"""

from __future__ import annotations

import functools
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

Array = np.ndarray[Any, Any]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# A tile's rows and columns: 12 sums in vectors of 8 and what is multiplied into them fit the 16 registers of AVX2.
ROWS, WIDTH, VECTOR = 6, 16, 8
BLOCK = 2 * ROWS  # melodies that go through a step together

# tanh(x) = x P(x^2) / Q(x^2) for |x| <= 8.7, beyond which a float32 tanh is +-1 but for its last bit: relative error
# 3e-8 but for the rounding of what is computed, by iteratively reweighted least squares on 6,000 Chebyshev nodes.
BEYOND = np.float32(8.7)
P1, P2, P3, P4 = (np.float32(p) for p in (0.13400485, 0.0035187637, 2.0994126e-05, 1.3897975e-08))
Q1, Q2, Q3, Q4 = (np.float32(q) for q in (0.46733806, 0.025964972, 0.0003323679, 7.9966816e-07))
ONE = np.float32(1.0)

# e^x = 2^n e^f, n whole and |f| <= log(2) / 2; e^f = 1 + f + f^2 (E2 + E3 f + E4 f^2 + E5 f^3) to a relative error of
# 1.1e-7, by the same squares on 4,000 nodes. log 2 in two parts, the first of so few bits that n times it is exact.
E2, E3, E4, E5 = (np.float32(e) for e in (0.49999232, 0.16667114, 0.04189012, 0.00831253))
PER_LOG_2, LOG_2, LOG_2_REST = np.float32(1 / np.log(2)), np.float32(0.693359375), np.float32(-2.12194440e-4)
LEAST = np.float32(-87.0)  # below it e^x has no float32 with all its bits
TO_WHOLE = np.float32(1.5 * 2**23)  # added to a float32, leaves it no bits for what is not whole

# Types of the kernels' arguments, all of them contiguous.
REAL_1, REAL_2, REAL_3 = "float32[::1]", "float32[:, ::1]", "float32[:, :, ::1]"
PLACES_2, PLACES_3 = "int64[:, ::1]", "int64[:, :, ::1]"


# Of all kernels: numba sees by a kernel's own file alone whether its copy on disk is old.
SOURCE = (
    f"{zlib.crc32(b''.join(file.read_bytes() for file in sorted(Path(__file__).parent.glob('*.py')))):08x}"
)


def padded(columns: int) -> int:
    """The length of a row that a product can write: `columns`, rounded up to an odd number of tiles.

    A tile's row is a line of the cache, and rows an even number of lines apart share some of its places.
    """
    return (-(-columns // WIDTH) | 1) * WIDTH


LONG = 1.0  # seconds; a kernel that is kept on disk is there in a tenth of one
# A product and a sum may be fused, nothing else is reordered: NaN stays NaN.
OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}


def within(function: Kernel) -> Kernel:
    """A part of kernels, compiled with each that calls it, for whatever types it is given."""
    return cast(Kernel, numba.njit(inline="never", **OPTIONS)(function))


def inlined(function: Kernel) -> Kernel:
    """`within`, written out where it is called."""
    return cast(Kernel, numba.njit(inline="always", **OPTIONS)(function))


def compiled(*arguments: str, name: str = "") -> Callable[[Kernel], Kernel]:
    """For these types of arguments, at once, without the GIL; kept on disk where that is possible.

    A function compiled for several types needs a `name` for each: numba does not lock what it keeps.
    """
    signature = f"void({', '.join(arguments)})"
    options = {"nogil": True, **OPTIONS}

    def compile_(function: Kernel) -> Kernel:
        waiting = threading.Timer(LONG, _say_why)
        waiting.daemon = True
        waiting.start()
        function.__qualname__ = f"{name or function.__name__}_{SOURCE}"  # a copy on disk goes by that name
        try:
            return cast(Kernel, numba.njit(signature, cache=True, **options)(function))
        except Exception:  # the copy on disk cannot be written, or was damaged: compiled in every process
            return cast(Kernel, numba.njit(signature, **options)(function))
        finally:
            waiting.cancel()

    return compile_


@functools.cache
def _say_why() -> None:
    from rltuner.console import say

    say("compiling for this machine: half a minute, where nothing is kept from the last time")


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


@compiled(REAL_2, REAL_3)
def pack(weight: Array, tiles: Array) -> None:
    """The second factor of products, [K, N], as `multiply` wants it: its columns by tiles, the last one filled up with
    zeros, [-(-N // WIDTH), K, WIDTH]."""
    inner, columns = weight.shape
    for tile in range(tiles.shape[0]):
        for k in range(inner):
            for column in range(WIDTH):
                at = tile * WIDTH + column
                tiles[tile, k, column] = weight[k, at] if at < columns else 0.0


@within
def packed(weight: Array) -> Array:
    """What `pack` makes of it."""
    tiles = np.empty((-(-weight.shape[1] // WIDTH), weight.shape[0], WIDTH), np.float32)
    pack(weight, tiles)
    return tiles


@within
def multiply(a: Array, b: Array, c: Array) -> None:
    """c [M, >= N in whole tiles] = a b: of `a` [M, >= K] the first K columns; b [K, N], `packed`."""
    tiles, inner, _ = b.shape
    a_row, c_row = a.strides[0] // 4, c.strides[0] // 4
    for first in range(0, a.shape[0], ROWS):
        rows = min(ROWS, a.shape[0] - first)
        of_a, of_c = a.ctypes.data + 4 * first * a_row, c.ctypes.data + 4 * first * c_row
        for tile in range(tiles):
            of_b = b.ctypes.data + 4 * tile * inner * WIDTH
            _tile(of_a, a_row, 1, of_b, WIDTH, inner, of_c + 4 * tile * WIDTH, c_row, rows, False)


@within
def add_transposed_product(a: Array, b: Array, c: Array, columns: int) -> None:
    """c [M, padded(N)] += a^T b of a [K, M] and b [K, padded(N)], where N is `columns`."""
    a_row, b_row, c_row = a.strides[0] // 4, b.strides[0] // 4, c.strides[0] // 4
    for column in range(0, columns, WIDTH):
        for first in range(0, a.shape[1], ROWS):
            rows = min(ROWS, a.shape[1] - first)
            of_a, of_b = a.ctypes.data + 4 * first, b.ctypes.data + 4 * column
            of_c = c.ctypes.data + 4 * (first * c_row + column)
            _tile(of_a, 1, a_row, of_b, b_row, a.shape[0], of_c, c_row, rows, True)


@inlined
def tanh(x: np.float32) -> np.float32:
    """tanh x of a float32, to a relative error of 4e-7."""
    x = BEYOND if x > BEYOND else (-BEYOND if x < -BEYOND else x)
    y = x * x
    above = (((P4 * y + P3) * y + P2) * y + P1) * y + ONE
    return x * above / ((((Q4 * y + Q3) * y + Q2) * y + Q1) * y + ONE)


@inlined
def exp(x: np.float32) -> np.float32:
    """e^x of a float32 up to 0, to a relative error of 2e-7; below -87 it is e^-87."""
    x = LEAST if x < LEAST else x
    n = (x * PER_LOG_2 + TO_WHOLE) - TO_WHOLE
    f = (x - n * LOG_2) - n * LOG_2_REST
    of_f = (((E5 * f + E4) * f + E3) * f + E2) * f * f + f + ONE
    return of_f * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
