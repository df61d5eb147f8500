"""Composing whole melodies on the CPU in one call: LSTM layers, output layer and choice of each event, as `compose`."""

from __future__ import annotations

import numpy as np

from rltuner.networks.kernels.compiled.lstm import step_forward
from rltuner.networks.kernels.compiled.output import add_repeats, highest_of
from rltuner.networks.kernels.compiled.tiles import (
    BLOCK,
    PLACES_2,
    REAL_1,
    REAL_3,
    WIDTH,
    Array,
    compiled,
    exp,
    multiply,
    within,
)

REAL_4, REAL_5 = "float32[:, :, :, ::1]", "float32[:, :, :, :, ::1]"


@within
def _played(context: Array, found: Array, step: int, melody: int) -> np.int64:
    """The event of a step, of the context where it is below 0; -1 before that."""
    if step >= 0:
        return np.int64(found[step, melody])
    at = len(context) + step
    return np.int64(context[at, melody] if at >= 0 else -1)


@compiled(
    "int64",
    "int64",
    PLACES_2,
    "int64[::1]",
    "int64",
    "int64[::1]",
    REAL_3,
    REAL_5,
    REAL_3,
    REAL_5,
    REAL_4,
    REAL_1,
    "float32",
    REAL_3,
    PLACES_2,
    PLACES_2,
)
def act(
    start: int,
    stop: int,
    context: Array,
    looked_back: Array,
    active: int,
    runs: Array,
    tables: Array,
    inputs: Array,
    biases: Array,
    recurrent: Array,
    output: Array,
    bias: Array,
    scale: float,
    race: Array,
    uniform: Array,
    found: Array,
) -> None:
    """Melodies from `start` to `stop` of all B: `found` [T, B].

    A few melodies at a time, whose states stay in the cache, go through all their events. Networks have the same shape,
    layers are filled up with zeros to the H units of the largest; their logits are added. Weights are packed.

    Args:
      context: what is heard first, [P, B], -1 for nothing; P is at least 1.
      looked_back: steps, D of them: what was played so long before the event that is chosen is heard too, and how many
        events in a row were the same as those so long before them; at the first `active` distances, if anything.
      runs: of such events, where the next row of a table begins, [R].
      tables: the rows that first layers add up, [networks, .., 4H]: V + 1 for the event heard last, nothing first; for
        each distance as many, and R + 1 for runs; and one for each step of context and melody, or none of those.
      inputs, biases: of the other layers, [networks, layers - 1, .., H, WIDTH] and [networks, layers - 1, 4H].
      recurrent: [networks, layers, .., H, WIDTH].
      output, bias: [networks, .., H, WIDTH] and, of all networks together, [V + D]: what follows the V classes' outputs
        is added to the logits of the events looked back on.
      scale: of the logits.
      race: exponential numbers [T, B, V]: the class wins whose probability by its number is largest. [T, B, 0]: the
        likeliest class is taken.
      uniform: [T, B]: an event that is played instead, or -1.
    """
    networks, layers, units = recurrent.shape[0], recurrent.shape[1], recurrent.shape[3]
    listened, classes = context.shape[0], len(bias) - len(looked_back)
    h = np.zeros((networks, layers, BLOCK, units), np.float32)
    c = np.zeros((2, networks, layers, BLOCK, units), np.float32)
    gates = np.empty((BLOCK, recurrent.shape[2] * WIDTH), np.float32)
    heard = np.empty((BLOCK, recurrent.shape[2] * WIDTH), np.float32)
    of_one = np.empty((BLOCK, output.shape[1] * WIDTH), np.float32)
    logits = np.empty((BLOCK, len(bias)), np.float32)
    played = np.empty(active, np.int64)
    of_distance = classes + 1 + len(runs) + 1
    before_places = classes + 1 + len(looked_back) * of_distance
    has_places = tables.shape[1] > before_places
    rows = np.empty((BLOCK, 1 + 2 * active + (1 if has_places else 0)), np.int64)
    long = np.empty((active, BLOCK), np.int64)
    each = np.arange(BLOCK).reshape(BLOCK, 1)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        h[:], c[:], long[:] = 0.0, 0.0, 0
        for step in range(listened - 1 + found.shape[0]):
            t = step - listened + 1  # of the event that is chosen
            events = context[step] if t <= 0 else found[t - 1]
            for b in range(count):
                rows[b, 0] = events[first + b] + 1
            for d in range(active):
                at, nothing = t - looked_back[d], classes + 1 + d * of_distance
                for b in range(count):
                    last = _played(context, found, at - 1, first + b)
                    long[d, b] = long[d, b] + 1 if last >= 0 and last == events[first + b] else 0
                    run = 0
                    while run < len(runs) and long[d, b] >= runs[run]:
                        run += 1
                    rows[b, 1 + 2 * d] = nothing + 1 + _played(context, found, at, first + b)
                    rows[b, 2 + 2 * d] = nothing + classes + 1 + run
            if has_places:
                for b in range(count):
                    rows[b, 1 + 2 * active] = before_places + step
            for n in range(networks):
                for layer in range(layers):
                    multiply(h[n, layer, :count], recurrent[n, layer], gates)
                    before, after = c[step % 2, n, layer, :count], c[(step + 1) % 2, n, layer, :count]
                    if layer == 0:
                        step_forward(tables[n], rows, gates, before, after, h[n, layer, :count])
                        continue
                    multiply(h[n, layer - 1, :count], inputs[n, layer - 1], heard)
                    for b in range(count):
                        x, offsets = heard[b], biases[n, layer - 1]
                        for j in range(4 * units):
                            x[j] += offsets[j]
                    step_forward(heard, each, gates, before, after, h[n, layer, :count])
            if t < 0:
                continue
            for b in range(count):
                x = logits[b]
                for j in range(len(bias)):
                    x[j] = bias[j]
            for n in range(networks):
                multiply(h[n, layers - 1, :count], output[n], of_one)
                for b in range(count):
                    x, more = logits[b], of_one[b]
                    for j in range(len(bias)):
                        x[j] += more[j]
            for b in range(count):
                x, times = logits[b, :classes], race[t, first + b]
                for d in range(active):
                    played[d] = rows[b, 1 + 2 * d] - 1 - (classes + 1 + d * of_distance)
                add_repeats(x, logits[b], played)
                if len(times):
                    highest = highest_of(x)
                    for j in range(classes):
                        x[j] = exp(scale * (x[j] - highest)) / times[j]
                best = 0
                for j in range(1, classes):
                    if x[j] > x[best]:
                        best = j
                instead = uniform[t, first + b]
                found[t, first + b] = best if instead < 0 else instead
