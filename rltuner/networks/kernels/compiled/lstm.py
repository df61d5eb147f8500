"""The LSTM's kernels on the CPU, made of `tiles`: what learning spends its time on.

    i, f, o = sigmoid, g = tanh of the gates a_t = input_t + W h_{t-1}
    c_t = f c_{t-1} + i g        h_t = o tanh(c_t)

A few melodies at a time go through a step's product and all that follows from it.

Source of the equations: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000.
"""

from __future__ import annotations

import numpy as np

from rltuner.networks.kernels.compiled.tiles import (
    BLOCK,
    ONE,
    PLACES_2,
    PLACES_3,
    REAL_2,
    REAL_3,
    WIDTH,
    Array,
    add_transposed_product,
    compiled,
    multiply,
    packed,
    tanh,
    within,
)

HALF = np.float32(0.5)


@compiled(REAL_2, PLACES_2, REAL_2, REAL_2, REAL_2, REAL_2)
def step_forward(table: Array, rows: Array, gates: Array, c_before: Array, c: Array, h: Array) -> None:
    """From `gates` [B, >= 4H], W h_{t-1}, and the inputs, sums of the rows `rows` [B, K] of `table` [.., 4H]: c_t and h_t
    [B, H]. The gates become i, f, g, o."""
    units = c.shape[1]
    for b in range(c.shape[0]):
        all_gates = gates[b]
        for k in range(1, rows.shape[1], 2):  # two at a time, which saves every second way to memory and back
            row, other = table[rows[b, k - 1]], table[rows[b, k]]
            for j in range(4 * units):
                all_gates[j] += row[j] + other[j]
        if rows.shape[1] % 2:
            row = table[rows[b, rows.shape[1] - 1]]
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


@within
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
    `rows` [B, K] of `by_table` [.., >= 4H]; `by_c` becomes that by c_{t-1}."""
    units = c.shape[1]
    for b in range(c.shape[0]):
        all_gates = gates[b]
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
        for k in range(rows.shape[1]):
            row = by_table[rows[b, k]]
            for j in range(4 * units):
                row[j] += all_gates[j]


@compiled(REAL_2, PLACES_3, REAL_2, REAL_3, REAL_3, REAL_3)
def unroll(table: Array, rows: Array, by_unit: Array, gates: Array, cells: Array, hidden: Array) -> None:
    """All T steps from the zero state: `hidden` [T, B, H]; `rows` [T, B, K]; `by_unit` is W transposed, [H, 4H].

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


@within
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
