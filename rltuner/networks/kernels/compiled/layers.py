"""LSTM layers on the CPU, there and back: from the rows that the first one adds up to the last one's hidden states.

A network's weights are a tuple of arrays: W_ih [4H, F], W_hh [4H, H], b_ih and b_hh [1, 4H] of each layer, and whatever
follows. What it hears are rows of its first layer's table (`networks.inputs`): row 0 is nothing, the next are columns of
W_ih, of which the first have the biases and each step has one; rows after those are places, sums of columns. What it
remembers is a tuple too: the gates, cells and hidden states of each layer, as `lstm.unroll` keeps them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from rltuner.networks.kernels.compiled.lstm import unroll, unroll_back
from rltuner.networks.kernels.compiled.tiles import (
    PLACES_2,
    PLACES_3,
    REAL_2,
    REAL_3,
    Array,
    add_transposed_product,
    compiled,
    multiply,
    packed,
    padded,
    within,
)

Arrays = tuple[Array, ...]


room_for = within(padded)


@within
def transpose(a: Array, into: Array) -> None:
    """`into` [N, M] becomes the transposed of a [M, >= N]; in loops, which compile in a fraction of a slice's time."""
    for j in range(into.shape[0]):
        for k in range(into.shape[1]):
            into[j, k] = a[k, j]


@within
def _first_table(by_input: Array, bias: Array, other: Array, places: Array, sizes: tuple[int, int]) -> Array:
    """The rows that the first layer adds up, of `sizes`: nothing and the event heard last, which have the biases; what is
    looked back on; then one for each of the places."""
    with_bias, of_events = sizes
    width = by_input.shape[1]
    table = np.zeros((of_events + 1 + (len(places) if places.shape[1] else 0), width), np.float32)
    for k in range(of_events + 1):
        for j in range(width):
            if k:
                table[k, j] = by_input[k - 1, j]
            if k < with_bias:
                table[k, j] += bias[0, j] + other[0, j]
    for n in range(len(places)):
        for m in range(places.shape[1]):
            row = by_input[places[n, m] - 1]
            for j in range(width):
                table[of_events + 1 + n, j] += row[j]
    return table


@within
def _by_input(by_table: Array, places: Array, of_events: int, by_weight: Array) -> None:
    """From the loss's gradient by the first layer's table, [.., >= 4H], that by W_ih, [4H, F]."""
    width, inputs = by_weight.shape
    by_row = np.zeros((inputs, width), np.float32)
    for k in range(of_events):
        for j in range(width):
            by_row[k, j] = by_table[k + 1, j]
    for n in range(len(places)):
        for m in range(places.shape[1]):
            row = by_row[places[n, m] - 1]
            for j in range(width):
                row[j] += by_table[of_events + 1 + n, j]
    transpose(by_row, by_weight)


@within
def there(weights: Arrays, memory: Arrays, rows: Array, places: Array, sizes: tuple[int, int]) -> None:
    """All layers from the zero state; rows [T, B, K], places [N, M] (`gradients`)."""
    steps, batch, _ = rows.shape
    for layer in range(len(memory) // 3):
        width, inputs = weights[4 * layer].shape
        by_input = np.empty((inputs, width), np.float32)
        transpose(weights[4 * layer], by_input)
        by_unit = np.empty(weights[4 * layer + 1].shape[::-1], np.float32)
        transpose(weights[4 * layer + 1], by_unit)
        bias, other = weights[4 * layer + 2], weights[4 * layer + 3]
        if layer == 0:
            table, of_table = _first_table(by_input, bias, other, places, sizes), rows
        else:
            table = np.empty((steps * batch, room_for(width)), np.float32)
            of_table = np.arange(steps * batch).reshape(steps, batch, 1)
            multiply(memory[3 * layer - 1].reshape(steps * batch, inputs), packed(by_input), table)
            for k in range(table.shape[0]):
                for j in range(width):
                    table[k, j] += bias[0, j] + other[0, j]
        unroll(table, of_table, by_unit, memory[3 * layer], memory[3 * layer + 1], memory[3 * layer + 2])


@within
def back(
    weights: Arrays,
    memory: Arrays,
    rows: Array,
    places: Array,
    sizes: tuple[int, int],
    by_hidden: Array,
    by_weights: Arrays,
) -> None:
    """From the loss's gradient by the last layer's hidden states, [T, B, >= H], those by all layers' weights."""
    (steps, batch, _), (with_bias, of_events) = rows.shape, sizes
    for layer in range(len(memory) // 3 - 1, -1, -1):
        of_inputs, of_units = weights[4 * layer], weights[4 * layer + 1]
        width, inputs = of_inputs.shape
        of_first = of_events + 1 + (len(places) if places.shape[1] else 0)
        by_table = np.zeros((of_first if layer == 0 else steps * batch, room_for(width)), np.float32)
        of_table = rows if layer == 0 else np.arange(steps * batch).reshape(steps, batch, 1)
        by_unit = np.zeros((of_units.shape[1], room_for(width)), np.float32)
        gates, cells, hidden = memory[3 * layer], memory[3 * layer + 1], memory[3 * layer + 2]
        unroll_back(of_table, of_units, gates, cells, hidden, by_hidden, by_table, by_unit)
        if layer == 0:
            _by_input(by_table, places, of_events, by_weights[0])
        else:
            below = memory[3 * layer - 1].reshape(steps * batch, inputs)
            by_input = np.zeros((inputs, room_for(width)), np.float32)
            add_transposed_product(below, by_table, by_input, width)
            transpose(by_input, by_weights[4 * layer])
            by_below = np.empty((steps * batch, room_for(inputs)), np.float32)
            multiply(by_table, packed(of_inputs), by_below)
            by_hidden = by_below.reshape(steps, batch, room_for(inputs))
        transpose(by_unit, by_weights[4 * layer + 1])
        by_bias, by_other = by_weights[4 * layer + 2], by_weights[4 * layer + 3]
        for j in range(width):
            total = np.float32(0.0)
            for k in range(with_bias if layer == 0 else by_table.shape[0]):
                total += by_table[k, j]
            by_bias[0, j] = by_other[0, j] = total


def unrolled(
    weights: Arrays, memory: Arrays, rows: Array, places: Array, with_bias: int, of_events: int
) -> None:
    """`there` alone: the last array of `memory` are the hidden states."""
    there(weights, memory, rows, places, (with_bias, of_events))


def unrolled_back(
    weights: Arrays,
    memory: Arrays,
    rows: Array,
    places: Array,
    with_bias: int,
    of_events: int,
    by_hidden: Array,
    by_weights: Arrays,
) -> None:
    """`back` alone, of the memory that `unrolled` has filled, which becomes gradients."""
    back(weights, memory, rows, places, (with_bias, of_events), by_hidden, by_weights)


@functools.cache
def unrolling_of(layers: int) -> tuple[Callable[..., None], Callable[..., None]]:
    """`unrolled` and `unrolled_back` compiled for networks of so many layers."""
    weights, memory = f"UniTuple({REAL_2}, {4 * layers})", f"UniTuple({REAL_3}, {3 * layers})"
    known = (weights, memory, PLACES_3, PLACES_2, "int64", "int64")
    return (
        compiled(*known, name=f"unrolled_{layers}")(unrolled),
        compiled(*known, REAL_3, weights, name=f"unrolled_back_{layers}")(unrolled_back),
    )
