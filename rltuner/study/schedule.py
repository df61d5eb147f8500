"""Who hears what: the trials of each listener, drawn from the study's seed.

Definitions
-----------
* S sources make C = S (S - 1) / 2 *contrasts*. A contrast has `items` *items*: fixed pairs of clips, one of each source.
* Listener n (0, 1, ...) hears `pairs` items. Each contrast gets pairs // C of them, and the remainder goes round the
  contrasts from listener to listener, so that over any C consecutive listeners every contrast is heard equally often.
* The uses of a contrast are counted through all listeners: use k plays an item in a fixed cyclic order, so that items
  differ by at most one use, and within a listener none comes twice. Its first source is A for every other k, so sides
  differ by at most one, within a listener and over all of them.
* Which of a listener's items get which side, and the order, are random. The order runs in blocks that hold every
  contrast once, so that a listener who stops early has heard all of them about equally often. Catch trials lie anywhere
  but first, spread over the session.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rltuner.study.plan import Plan

T = TypeVar("T")


@dataclass(frozen=True)
class Items:
    """The clips of a study by what they are for. Clips are opaque names."""

    contrasts: Mapping[tuple[str, str], Sequence[tuple[str, str]]]
    """Of each contrast its items: the clip of its first source and that of its second."""
    identical: Sequence[str]
    """Clips that are played against themselves."""
    random_notes: Sequence[tuple[str, str]]
    """A human tune and random notes."""


@dataclass(frozen=True)
class Trial:
    """One pair as a listener hears it."""

    left: str
    """The clip called A."""
    right: str
    """The clip called B."""


def trials_of(plan: Plan, items: Items, listener: int) -> list[Trial]:
    """The trials of listener number `listener` (from 0), in their order. The same for the same seed."""
    generator = random.Random(f"{plan.design.seed} listener {listener}")
    blocks: list[list[Trial]] = [[] for _ in range(-(-plan.design.pairs // len(plan.contrasts)))]
    for place, contrast in enumerate(_shuffled(plan, "contrasts", list(plan.contrasts))):
        first, count = _uses(plan, place, listener)
        cycle = _shuffled(plan, f"items {place}", list(items.contrasts[contrast]))
        # Sides alternate. With an even number of items each would always be heard the same way, so every round of them
        # starts one item later than the last; a listener who hears as many as there are hears each of them.
        size = len(cycle)
        later = 1 if size % 2 == 0 else 0
        places = range(first, first + count)
        chosen = [cycle[(k + later * (k // size)) % size] for k in places] if count < size else cycle
        swapped = [k % 2 == 1 for k in range(first, first + count)]
        generator.shuffle(swapped)
        trials = [Trial(b, a) if swap else Trial(a, b) for (a, b), swap in zip(chosen, swapped, strict=True)]
        generator.shuffle(trials)
        for block, trial in zip(blocks, trials, strict=False):  # the last block holds the remainder
            block.append(trial)
    for block in blocks:
        generator.shuffle(block)
    return _with_catch_trials([trial for block in blocks for trial in block], items, generator)


def _uses(plan: Plan, place: int, listener: int) -> tuple[int, int]:
    """How often the contrast in this place was used before this listener, and how often the listener hears it."""
    contrasts = len(plan.contrasts)
    every, remainder = divmod(plan.design.pairs, contrasts)

    def before(n: int) -> int:
        """Uses by listeners 0 to n - 1: `every` each, and of n * remainder further ones, which are dealt to the places
        in turn from place 0 on, those that fall to this place."""
        return n * every + (n * remainder - place + contrasts - 1) // contrasts

    return before(listener), before(listener + 1) - before(listener)


def _shuffled(plan: Plan, name: str, entries: list[T]) -> list[T]:
    """Shuffles the list in place and returns it: by the study's seed and `name`, so alike for all listeners."""
    random.Random(f"{plan.design.seed} {name}").shuffle(entries)
    return entries


def _with_catch_trials(trials: list[Trial], items: Items, generator: random.Random) -> list[Trial]:
    """The trials with the catch trials among them: one in each of as many equal stretches, never the very first."""
    catches = [Trial(clip, clip) for clip in items.identical]
    for human, noise in items.random_notes:
        catches.append(Trial(human, noise) if generator.random() < 0.5 else Trial(noise, human))
    generator.shuffle(catches)
    merged = list(trials)
    for number in reversed(range(len(catches))):
        start, end = (len(trials) * place // len(catches) for place in (number, number + 1))
        merged.insert(generator.randint(max(1, start), max(1, end)), catches[number])
    return merged
