"""The output layer's kernels on the CPU, made of `tiles`: from hidden states h to what is made of all classes' logits.

    x = W h + b        V = log sum_a e^(x_a + l_a), or max_a x_a        A = x_event - V

Where a network looks back, W and b have D rows more than there are V classes: what they give is added to the logits of
the events looked back on, `played` [B, T, D], -1 for none.

A few melodies at a time go through the product and all that follows from it, and no logits are kept. l is log p where the
algorithm's scores refer to it, [B, T, V]; a length of 0 stands for none.
"""

from __future__ import annotations

import numpy as np

from rltuner.networks.kernels.compiled.tiles import (
    BLOCK,
    ONE,
    PLACES_2,
    PLACES_3,
    REAL_1,
    REAL_2,
    REAL_3,
    WIDTH,
    Array,
    add_transposed_product,
    compiled,
    exp,
    inlined,
    multiply,
    packed,
    within,
)


@inlined
def _exponentials(x: Array, highest: np.float32) -> np.float32:
    """e^(x - highest) in place of x [V]; their sum."""
    for j in range(len(x)):
        x[j] = exp(x[j] - highest)
    total = np.float32(0.0)
    for j in range(len(x)):
        total += x[j]
    return total


@inlined
def add_repeats(x: Array, outputs: Array, played: Array) -> None:
    """Adds to the logits x [V] of the events looked back on, [D], the outputs that follow theirs [V + D]."""
    for d in range(len(played)):
        if played[d] >= 0:
            x[played[d]] += outputs[len(x) + d]


@inlined
def highest_of(x: Array) -> np.float32:
    highest: np.float32 = x[0]
    for j in range(1, len(x)):
        if x[j] > highest or x[j] != x[j]:  # what is not a number stays
            highest = x[j]
    return highest


@compiled(REAL_3, REAL_2, REAL_1, PLACES_3, REAL_3)
def log_probabilities(hidden: Array, by_unit: Array, bias: Array, played: Array, found: Array) -> None:
    """log softmax of x: `found` [B, T, V] of `hidden` [T, B, H]; `by_unit` is W transposed, [H, V + D]."""
    weight, (steps, batch, _), classes = packed(by_unit), hidden.shape, found.shape[2]
    block = np.empty((BLOCK, weight.shape[0] * WIDTH), np.float32)
    for t in range(steps):
        for first in range(0, batch, BLOCK):
            last = min(first + BLOCK, batch)
            multiply(hidden[t, first:last], weight, block)
            for b in range(first, last):
                outputs, out = block[b - first], found[b, t]
                for j in range(len(bias)):
                    outputs[j] += bias[j]
                x = outputs[:classes]
                add_repeats(x, outputs, played[b, t])
                highest = highest_of(x)
                for j in range(classes):
                    out[j] = x[j]
                value = highest + np.log(_exponentials(x, highest))
                for j in range(classes):
                    out[j] -= value


@compiled(REAL_3, REAL_2, REAL_1, PLACES_3, PLACES_2, REAL_3, "boolean", REAL_2, REAL_3)
def advantages(
    hidden: Array,
    by_unit: Array,
    bias: Array,
    played: Array,
    events: Array,
    log_prior: Array,
    is_soft: bool,
    found: Array,
    by_logits: Array,
) -> None:
    """A of the events [B, T]: `found` [B, T] of `hidden` [T, B, H], and its derivative by what W and b give, `by_logits`
    [T, B, padded(V + D)]. Where the maximum is more than one class's, each has an equal part of its derivative."""
    weight, (steps, batch, _), classes = packed(by_unit), hidden.shape, len(bias) - played.shape[2]
    for t in range(steps):
        for first in range(0, batch, BLOCK):
            last = min(first + BLOCK, batch)
            multiply(hidden[t, first:last], weight, by_logits[t, first:last])
            for b in range(first, last):
                outputs, event = by_logits[t, b, : len(bias)], events[b, t]
                for j in range(len(bias)):
                    outputs[j] += bias[j]
                x = outputs[:classes]
                add_repeats(x, outputs, played[b, t])
                of_event = x[event]
                if len(log_prior):
                    relative_to = log_prior[b, t]
                    for j in range(classes):
                        x[j] += relative_to[j]
                highest = highest_of(x)
                if is_soft:
                    total = _exponentials(x, highest)
                    found[b, t] = of_event - (highest + np.log(total))
                else:
                    total = np.float32(0.0)
                    for j in range(classes):
                        x[j] = ONE if x[j] == highest else np.float32(0.0)
                        total += x[j]
                    found[b, t] = of_event - highest
                part = -ONE / total
                for j in range(classes):
                    x[j] *= part
                x[event] += ONE
                for d in range(played.shape[2]):
                    outputs[classes + d] = x[played[b, t, d]] if played[b, t, d] >= 0 else np.float32(0.0)


@within
def advantages_back(
    by_found: Array,
    by_logits: Array,
    weight: Array,
    hidden: Array,
    by_hidden: Array,
    by_weight: Array,
    by_bias: Array,
) -> None:
    """The way back of `advantages`, from the loss's gradient by A, [B, T]: that by `hidden`, [T, B, padded(H)], and added
    to what is there those by W transposed, [H, padded(V + D)], and by the bias. `weight` is W, [V + D, H]. `by_logits`
    becomes the gradient by what W and b give."""
    by_class, (steps, batch, _), classes = packed(weight), hidden.shape, len(by_bias)
    for t in range(steps):
        for first in range(0, batch, BLOCK):
            last = min(first + BLOCK, batch)
            for b in range(first, last):
                x, scale = by_logits[t, b, :classes], by_found[b, t]
                for j in range(classes):
                    x[j] *= scale
                    by_bias[j] += x[j]
            multiply(by_logits[t, first:last], by_class, by_hidden[t, first:last])
        add_transposed_product(hidden[t], by_logits[t], by_weight, classes)
