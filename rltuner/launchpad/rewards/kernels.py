"""Compiled by numba: cells that bars share, rewards, and boards that are pressed in lock-step.

Everything comes from three numbers of a state and a bar of music: c, cells that both have; s, those of the state; m,
those of the bar. A press changes one note's word, so c changes by two popcounts, and a row of bars is read in order.

Arrays: words uint64, states int32, bars uint64 [N, M] (a note's words of all bars) or [M, N] (a bar's words of all
notes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

Array = np.ndarray[Any, Any]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])
LINEAR, JACCARD, F1 = 0, 1, 2  # kinds of reward
BLOCK = 1024  # bars that stay in the cache while all actions are tried on them
WORST = np.float32(-1e30)

# There is no NaN here, so a maximum may be taken in any order, by vectors.
OPTIONS: dict[str, Any] = {"fastmath": {"contract", "nnan", "nsz"}, "error_model": "numpy", "nogil": True}


def kernel(function: Kernel) -> Kernel:
    """Compiled when it is first called, without the GIL; kept on disk where that is possible."""
    return cast(Kernel, numba.njit(cache=True, **OPTIONS)(function))


def inlined(function: Kernel) -> Kernel:
    """A part of kernels, written out where it is called."""
    return cast(Kernel, numba.njit(inline="always", **OPTIONS)(function))


as_llvm: Any = intrinsic  # numba's types are no types of Python


@as_llvm
def popcount(typing_context, word):  # type: ignore[no-untyped-def]
    """How many bits of a word are 1, as int32: one instruction of the processor, or one for several words."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.trunc(builder.ctpop(arguments[0]), context.get_value_type(types.int32))

    return types.int32(types.uint64), generate


@inlined
def value(c: Any, s: Any, m: Any, kind: Any, weight: Any) -> Any:
    """The reward of a bar: for `LINEAR` the sounding cells that are missing weigh `weight`, those too many 1."""
    if kind == 0:
        return (weight + np.float32(1)) * np.float32(c) - weight * np.float32(m) - np.float32(s)
    if kind == 1:
        return np.float32(c) / np.float32(max(s + m - c, 1))
    return np.float32(2 * c) / np.float32(max(s + m, 1))


@kernel
def overlaps(words: Array, bars: Array, shared: Array) -> None:
    """shared[b, i] = cells that state b, words [B, N], and bar i, of bars [N, M], both have: int32 [B, M]."""
    for b in range(words.shape[0]):
        row = shared[b]
        row[:] = 0
        for n in range(words.shape[1]):
            w, m = words[b, n], bars[n]
            if w:
                for i in range(len(m)):
                    row[i] += popcount(w & m[i])


@kernel
def sizes_of(words: Array, sizes: Array) -> None:
    """sizes[b] = cells that sound in words [B, N]: int32 [B]."""
    for b in range(words.shape[0]):
        count = np.int32(0)
        for n in range(words.shape[1]):
            count += popcount(words[b, n])
        sizes[b] = count


@inlined
def best_of(shared: Any, sizes: Any, s: Any, kind: Any, weight: Any) -> Any:
    """The largest value over all bars."""
    best = WORST
    if kind == 0:
        for i in range(len(shared)):
            best = max(best, value(shared[i], s, sizes[i], 0, weight))
    elif kind == 1:
        for i in range(len(shared)):
            best = max(best, value(shared[i], s, sizes[i], 1, weight))
    else:
        for i in range(len(shared)):
            best = max(best, value(shared[i], s, sizes[i], 2, weight))
    return best


@kernel
def best_rewards(
    shared: Array, sizes: Array, of_states: Array, kind: int, weight: float, rewards: Array
) -> None:
    """rewards[b] = the largest value of state b over all bars, float32 [B]."""
    for b in range(shared.shape[0]):
        rewards[b] = best_of(shared[b], sizes, of_states[b], kind, np.float32(weight))


@inlined
def best_after(w: Any, m: Any, rest: Any, sizes: Any, s: Any, kind: Any, weight: Any, best: Any) -> Any:
    """The largest of `best` and the values of bars of which one note's cells are m and all others are counted in rest."""
    if kind == 0:
        for i in range(len(rest)):
            best = max(best, value(rest[i] + popcount(w & m[i]), s, sizes[i], 0, weight))
    elif kind == 1:
        for i in range(len(rest)):
            best = max(best, value(rest[i] + popcount(w & m[i]), s, sizes[i], 1, weight))
    else:
        for i in range(len(rest)):
            best = max(best, value(rest[i] + popcount(w & m[i]), s, sizes[i], 2, weight))
    return best


@kernel
def rewards_of_actions(
    states: Array,
    table: Array,
    successors: Array,
    bars: Array,
    sizes: Array,
    kind: int,
    weight: float,
    rewards: Array,
) -> None:
    """rewards[b, a] = the exact reward after action a in state b: float32 [B, N(2B + 1) + 1].

    Args: states int32 [B, N]; table uint64, a code's word; successors int32 [codes, 2B + 1]; bars uint64 [N, M]; sizes
    int32 [M], cells of each bar.
    """
    notes, presses = states.shape[1], successors.shape[1]
    factor = np.float32(weight)
    shared, rest = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
    for b in range(states.shape[0]):
        rewards[b] = WORST
        s = np.int32(0)
        for n in range(notes):
            s += popcount(table[states[b, n]])
        for begin in range(0, bars.shape[1], BLOCK):
            end = min(begin + BLOCK, bars.shape[1])
            size, c, r = sizes[begin:end], shared[: end - begin], rest[: end - begin]
            c[:] = 0
            for n in range(notes):
                w, m = table[states[b, n]], bars[n, begin:end]
                if w:
                    for i in range(len(m)):
                        c[i] += popcount(w & m[i])
            last = notes * presses
            rewards[b, last] = max(rewards[b, last], best_of(c, size, s, kind, factor))
            for n in range(notes):
                code = states[b, n]
                w, m = table[code], bars[n, begin:end]
                for i in range(len(m)):
                    r[i] = c[i] - popcount(w & m[i])
                for press in range(presses):
                    after = table[successors[code, press]]
                    a = n * presses + press
                    if after == w:
                        continue
                    others = s - popcount(w) + popcount(after)
                    rewards[b, a] = best_after(after, m, r, size, others, kind, factor, rewards[b, a])
        for a in range(notes * presses):
            n, press = a // presses, a % presses
            if table[successors[states[b, n], press]] == table[states[b, n]]:
                rewards[b, a] = rewards[b, notes * presses]


@inlined
def next_random(seeds: Any, b: Any) -> Any:
    """64 random bits of board b: SplitMix64 (Steele, Lea and Flood, 2014)."""
    seeds[b] += np.uint64(0x9E3779B97F4A7C15)
    z = seeds[b]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inlined
def pressed(states: Any, words: Any, table: Any, successors: Any, b: Any, action: Any) -> Any:
    """Presses on board b; the note, or -1, and its words before and after."""
    presses = successors.shape[1]
    note = action // presses
    if note >= states.shape[1]:
        return -1, np.uint64(0), np.uint64(0)
    before = words[b, note]
    states[b, note] = successors[states[b, note], action % presses]
    words[b, note] = table[states[b, note]]
    return note, before, words[b, note]


@kernel
def step_exact(
    states: Array,
    words: Array,
    shared: Array,
    of_states: Array,
    actions: Array,
    table: Array,
    successors: Array,
    bars: Array,
    sizes: Array,
    kind: int,
    weight: float,
    rewards: Array,
) -> None:
    """Presses one button on each board; rewards[b] is by the nearest of all bars. What is counted is kept up to date."""
    for b in range(states.shape[0]):
        note, before, after = pressed(states, words, table, successors, b, actions[b])
        if note >= 0 and before != after:
            m, c = bars[note], shared[b]
            gone, come = before & ~after, after & ~before
            for i in range(len(m)):
                c[i] += popcount(come & m[i]) - popcount(gone & m[i])
            of_states[b] += popcount(after) - popcount(before)
        rewards[b] = best_of(shared[b], sizes, of_states[b], kind, np.float32(weight))


@kernel
def step_drawn(
    states: Array,
    words: Array,
    of_states: Array,
    seeds: Array,
    actions: Array,
    table: Array,
    successors: Array,
    bars: Array,
    sizes: Array,
    draws: int,
    kind: int,
    weight: float,
    rewards: Array,
) -> None:
    """Presses one button on each board; rewards[b] is by the nearest of `draws` bars, of bars [M, N], drawn anew.

    Bars are drawn evenly, the same one perhaps twice.
    """
    factor, many = np.float32(weight), np.uint64(bars.shape[0])
    for b in range(states.shape[0]):
        note, before, after = pressed(states, words, table, successors, b, actions[b])
        if note >= 0:
            of_states[b] += popcount(after) - popcount(before)
        s, best = of_states[b], WORST
        for _ in range(draws):
            pick = np.int64((next_random(seeds, b) >> np.uint64(32)) * many >> np.uint64(32))
            c, row = np.int32(0), bars[pick]
            for n in range(len(row)):
                c += popcount(words[b, n] & row[n])
            best = max(best, value(c, s, sizes[pick], kind, factor))
        rewards[b] = best
