"""A gradient step's share of melodies on the CPU, in one call: scores, loss, and the way back through both networks.

    S(s_t, a_t) = V(s_t) + A(s_t, a_t)        loss = mean of rho(S - goal)

rho is the square, beyond a limit linear (Huber, and twice what he has). A comes from one network's logits
(`output.advantages`), V from another with one output. It is one call because threads that share a step would wait
for each other at whatever lies between several.

A network's weights are a tuple of arrays: W_ih [4H, K], W_hh [4H, H], b_ih and b_hh [1, 4H] of each layer, then W [V, H]
and b [1, V] of the output layer. What it remembers is a tuple too: the gates, cells and hidden states of each layer, as
`lstm.unroll` keeps them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from rltuner.networks.kernels.compiled.lstm import unroll, unroll_back
from rltuner.networks.kernels.compiled.output import advantages, advantages_back
from rltuner.networks.kernels.compiled.tiles import (
    PLACES_2,
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


_room_for = within(padded)


@within
def _transpose(a: Array, into: Array) -> None:
    """`into` [N, M] becomes the transposed of a [M, >= N]; in loops, which compile in a fraction of a slice's time."""
    for j in range(into.shape[0]):
        for k in range(into.shape[1]):
            into[j, k] = a[k, j]


@within
def _there(weights: Arrays, memory: Arrays, rows: Array) -> None:
    """All layers from the zero state, of classes + 1, int64 [T, B]."""
    steps, batch = rows.shape
    for layer in range(len(memory) // 3):
        width, inputs = weights[4 * layer].shape
        by_input = np.empty((inputs, width), np.float32)
        _transpose(weights[4 * layer], by_input)
        by_unit = np.empty(weights[4 * layer + 1].shape[::-1], np.float32)
        _transpose(weights[4 * layer + 1], by_unit)
        if layer == 0:  # row 0 is for class -1
            table, of_table = np.zeros((inputs + 1, width), np.float32), rows
            for k in range(inputs):
                for j in range(width):
                    table[k + 1, j] = by_input[k, j]
        else:
            table = np.empty((steps * batch, _room_for(width)), np.float32)
            of_table = np.arange(steps * batch).reshape(steps, batch)
            multiply(memory[3 * layer - 1].reshape(steps * batch, inputs), packed(by_input), table)
        bias, other = weights[4 * layer + 2], weights[4 * layer + 3]
        for k in range(table.shape[0]):
            for j in range(width):
                table[k, j] += bias[0, j] + other[0, j]
        unroll(table, of_table, by_unit, memory[3 * layer], memory[3 * layer + 1], memory[3 * layer + 2])


@within
def _back(weights: Arrays, memory: Arrays, rows: Array, by_hidden: Array, by_weights: Arrays) -> None:
    """From the loss's gradient by the last layer's hidden states, [T, B, >= H], those by all layers' weights."""
    steps, batch = rows.shape
    for layer in range(len(memory) // 3 - 1, -1, -1):
        of_inputs, of_units = weights[4 * layer], weights[4 * layer + 1]
        width, inputs = of_inputs.shape
        by_table = np.zeros((inputs + 1 if layer == 0 else steps * batch, _room_for(width)), np.float32)
        of_table = rows if layer == 0 else np.arange(steps * batch).reshape(steps, batch)
        by_unit = np.zeros((of_units.shape[1], _room_for(width)), np.float32)
        gates, cells, hidden = memory[3 * layer], memory[3 * layer + 1], memory[3 * layer + 2]
        unroll_back(of_table, of_units, gates, cells, hidden, by_hidden, by_table, by_unit)
        if layer == 0:
            _transpose(by_table[1:], by_weights[0])
        else:
            below = memory[3 * layer - 1].reshape(steps * batch, inputs)
            by_input = np.zeros((inputs, _room_for(width)), np.float32)
            add_transposed_product(below, by_table, by_input, width)
            _transpose(by_input, by_weights[4 * layer])
            by_below = np.empty((steps * batch, _room_for(inputs)), np.float32)
            multiply(by_table, packed(of_inputs), by_below)
            by_hidden = by_below.reshape(steps, batch, _room_for(inputs))
        _transpose(by_unit, by_weights[4 * layer + 1])
        by_bias, by_other = by_weights[4 * layer + 2], by_weights[4 * layer + 3]
        for j in range(width):
            total = np.float32(0.0)
            for k in range(by_table.shape[0]):
                total += by_table[k, j]
            by_bias[0, j] = by_other[0, j] = total


@within
def _towards_goals(
    scores: Array, value: Arrays, goals: Array, of_loss: tuple[float, float, float], by_value: Arrays
) -> float:
    """The loss of A + V, where `scores` [B, T] are A, and become the loss's gradient by S.

    `value` are the hidden states of its network [T, B, H], its output layer's weight and bias and what is added at each
    step; `by_value` becomes the gradient by them. `of_loss`: limit, scale, and what each error counts.
    """
    (hidden, head, offset, offsets), (limit, scale, share) = value, of_loss
    by_hidden, by_head, by_offset, by_offsets = by_value
    by_offset[0, 0] = 0.0
    for j in range(head.shape[1]):
        by_head[0, j] = 0.0
    loss = 0.0
    for t in range(hidden.shape[0]):
        by_offsets[0, t] = 0.0
        for b in range(hidden.shape[1]):
            h, by_h = hidden[t, b], by_hidden[t, b]
            output = offset[0, 0] + offsets[0, t]
            for j in range(len(h)):
                output += h[j] * head[0, j]
            error = float(np.float32(scores[b, t] + scale * output - goals[b, t]))
            size = abs(error)
            if limit > 0 and size > limit:  # never so for what is not a number
                loss += limit * (2 * size - limit)
                error = limit if error > 0 else -limit
            else:
                loss += error * error
            scores[b, t] = 2 * error * share / scale**2
            by_output = np.float32(scores[b, t] * scale)
            by_offsets[0, t] += by_output
            for j in range(len(h)):
                by_h[j] = by_output * head[0, j]
                by_head[0, j] += by_output * h[j]
        by_offset[0, 0] += by_offsets[0, t]
    for t in range(hidden.shape[0], offsets.shape[1]):
        by_offsets[0, t] = 0.0
    return loss * share


def gradients(
    policy: Arrays,
    value: Arrays,
    offsets: Array,
    of_policy: Arrays,
    of_value: Arrays,
    heard: Array,
    events: Array,
    goals: Array,
    log_prior: Array,
    is_soft: bool,
    limit: float,
    scale: float,
    factor: float,
    by_policy: Arrays,
    by_value: Arrays,
    by_offsets: Array,
    loss: Array,
) -> None:
    """Of B melodies of T events: `factor` times the loss, in `loss` [1], and its gradients by all weights, divided by the
    square of `scale`, in arrays like them.

    Args:
      policy, value: the weights of both networks; `of_policy`, `of_value`: memory for what they remember.
      offsets: what V's network adds to its output at each step, [1, at least T].
      heard: int64 [B, P + T - 1], P at least 1, classes or -1; the last T outputs are for the events.
      events, goals, log_prior, is_soft: [B, T]; `log_prior` and `is_soft` as in `output.advantages`.
      limit: of the squares, or 0 for none.
      scale: of V, which is that many times what its network gives.
    """
    (batch, steps), length, layers, layers_of_value = (
        heard.shape,
        goals.shape[1],
        len(of_policy) // 3,
        len(of_value) // 3,
    )
    rows, skipped = np.empty((steps, batch), np.int64), steps - length
    for t in range(steps):
        for b in range(batch):
            rows[t, b] = heard[b, t] + 1
    # After V, and back before it, so that what it leaves is still in the cache.
    _there(value, of_value, rows)
    _there(policy, of_policy, rows)
    hidden, weight = of_policy[-1][skipped:], policy[4 * layers]
    classes, units = weight.shape
    by_unit, scores = np.empty((units, classes), np.float32), np.empty((batch, length), np.float32)
    by_logits = np.empty((length, batch, _room_for(classes)), np.float32)
    _transpose(weight, by_unit)
    advantages(hidden, by_unit, policy[4 * layers + 1][0], events, log_prior, is_soft, scores, by_logits)

    last, skipped_of_value = 4 * layers_of_value, of_value[-1][skipped:]
    by_hidden_of_value = np.zeros((steps, batch, value[last].shape[1]), np.float32)
    loss[0] = _towards_goals(
        scores,
        (skipped_of_value, value[last], value[last + 1], offsets),
        goals,
        (limit, scale, factor / (batch * length)),
        (by_hidden_of_value[skipped:], by_value[last], by_value[last + 1], by_offsets),
    )
    by_hidden = np.zeros((steps, batch, _room_for(units)), np.float32)
    by_output = np.zeros((units, _room_for(classes)), np.float32)
    by_bias = by_policy[4 * layers + 1][0]
    for k in range(classes):
        by_bias[k] = 0.0
    advantages_back(scores, by_logits, weight, hidden, by_hidden[skipped:], by_output, by_bias)
    _transpose(by_output, by_policy[4 * layers])
    _back(policy, of_policy, rows, by_hidden, by_policy)
    _back(value, of_value, rows, by_hidden_of_value, by_value)


@functools.cache
def gradients_of(layers: int, layers_of_value: int) -> Callable[..., None]:
    """`gradients` compiled for networks of so many layers."""
    networks = [f"UniTuple({REAL_2}, {4 * n + 2})" for n in (layers, layers_of_value)]
    memories = [f"UniTuple({REAL_3}, {3 * n})" for n in (layers, layers_of_value)]
    of_melodies = (PLACES_2, PLACES_2, REAL_2, REAL_3, "boolean", "float64", "float64", "float64")
    arguments = (*networks, REAL_2, *memories, *of_melodies, *networks, REAL_2, "float64[::1]")
    return compiled(*arguments, name=f"gradients_{layers}_{layers_of_value}")(gradients)
