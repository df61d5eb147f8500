"""A gradient step's share of melodies on the CPU, in one call: scores, loss, and the way back through both networks.

    S(s_t, a_t) = V(s_t) + A(s_t, a_t)        loss = mean of rho(S - goal)

rho is the square, beyond a limit linear (Huber, and twice what he has). A comes from one network's logits
(`output.advantages`), V from another with one output. It is one call because threads that share a step would wait
for each other at whatever lies between several.

Weights and what a network remembers are as `layers` has them, with W [V, H] and b [1, V] of the output layer after the
layers' weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from rltuner.networks.kernels.compiled.layers import Arrays, back, room_for, there, transpose
from rltuner.networks.kernels.compiled.output import advantages, advantages_back
from rltuner.networks.kernels.compiled.tiles import (
    PLACES_2,
    PLACES_3,
    REAL_2,
    REAL_3,
    Array,
    compiled,
    within,
)


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
    places: Array,
    of_events: int,
    played: Array,
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
      heard: the rows that both networks add up, int64 [B, P + T - 1, K], P at least 1; the last T outputs are for the
        events. Row 0 is nothing, the next `of_events` are columns of W_ih, and row 1 + of_events + n is place n.
      places: of each the rows that it is the sum of, int64 [N, M]; none has any where M is 0.
      played: what the policy's network looks back on, [B, T, D] (`output.advantages`).
      events, goals, log_prior, is_soft: [B, T]; `log_prior` [.., V] and `is_soft` as in `output.advantages`.
      limit: of the squares, or 0 for none.
      scale: of V, which is that many times what its network gives.
    """
    (batch, steps, added), length, layers, layers_of_value = (
        heard.shape,
        goals.shape[1],
        len(of_policy) // 3,
        len(of_value) // 3,
    )
    rows, skipped = np.empty((steps, batch, added), np.int64), steps - length
    for t in range(steps):
        for b in range(batch):
            for k in range(added):
                rows[t, b, k] = heard[b, t, k]
    sizes = (log_prior.shape[2] + 1, of_events)  # V classes and nothing have the biases
    # After V, and back before it, so that what it leaves is still in the cache.
    there(value, of_value, rows, places, sizes)
    there(policy, of_policy, rows, places, sizes)
    hidden, weight = of_policy[-1][skipped:], policy[4 * layers]
    classes, units = weight.shape
    by_unit, scores = np.empty((units, classes), np.float32), np.empty((batch, length), np.float32)
    by_logits = np.empty((length, batch, room_for(classes)), np.float32)
    transpose(weight, by_unit)
    bias = policy[4 * layers + 1][0]
    advantages(hidden, by_unit, bias, played, events, log_prior, is_soft, scores, by_logits)

    last, skipped_of_value = 4 * layers_of_value, of_value[-1][skipped:]
    by_hidden_of_value = np.zeros((steps, batch, value[last].shape[1]), np.float32)
    loss[0] = _towards_goals(
        scores,
        (skipped_of_value, value[last], value[last + 1], offsets),
        goals,
        (limit, scale, factor / (batch * length)),
        (by_hidden_of_value[skipped:], by_value[last], by_value[last + 1], by_offsets),
    )
    by_hidden = np.zeros((steps, batch, room_for(units)), np.float32)
    by_output = np.zeros((units, room_for(classes)), np.float32)
    by_bias = by_policy[4 * layers + 1][0]
    for k in range(classes):
        by_bias[k] = 0.0
    advantages_back(scores, by_logits, weight, hidden, by_hidden[skipped:], by_output, by_bias)
    transpose(by_output, by_policy[4 * layers])
    back(policy, of_policy, rows, places, sizes, by_hidden, by_policy)
    back(value, of_value, rows, places, sizes, by_hidden_of_value, by_value)


@functools.cache
def gradients_of(layers: int, layers_of_value: int) -> Callable[..., None]:
    """`gradients` compiled for networks of so many layers."""
    networks = [f"UniTuple({REAL_2}, {4 * n + 2})" for n in (layers, layers_of_value)]
    memories = [f"UniTuple({REAL_3}, {3 * n})" for n in (layers, layers_of_value)]
    of_melodies = (
        *(PLACES_3, PLACES_2, "int64", PLACES_3, PLACES_2),
        *(REAL_2, REAL_3, "boolean", "float64", "float64", "float64"),
    )
    arguments = (*networks, REAL_2, *memories, *of_melodies, *networks, REAL_2, "float64[::1]")
    return compiled(*arguments, name=f"gradients_{layers}_{layers_of_value}")(gradients)
