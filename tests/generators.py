"""Generators of melodies for all tests.

A *tune* is a plain list of event classes: 0 rest, 1 hold, c >= 2 the onset of MIDI pitch c + 46.
"""

import random
from collections.abc import Sequence

from hypothesis import strategies as st

REST, HOLD = 0, 1
LOWEST_ONSET, HIGHEST_CLASS = 2, 37
C_MAJOR_CLASSES = [
    c for c in range(LOWEST_ONSET, HIGHEST_CLASS + 1) if (c + 46) % 12 in {0, 2, 4, 5, 7, 9, 11}
]


def onsets(events: Sequence[int]) -> list[int]:
    """The MIDI pitches of a tune's notes."""
    return [event + 46 for event in events if event >= LOWEST_ONSET]


def uniform(rng: random.Random, length: int) -> list[int]:
    return [rng.randint(REST, HIGHEST_CLASS) for _ in range(length)]


def mostly_silent(rng: random.Random, length: int) -> list[int]:
    return [rng.choice([REST, HOLD, REST, HOLD, rng.choice([14, 21])]) for _ in range(length)]


def long_runs(rng: random.Random, length: int) -> list[int]:
    tune: list[int] = []
    while len(tune) < length:
        tune += [rng.choice([REST, HOLD, 14, 14, 26])] * rng.randint(1, 9)
    return tune[:length]


def stuck_with_breaks(rng: random.Random, length: int) -> list[int]:
    return [rng.choice([14, 14, 14, 14, rng.choice([REST, HOLD, HOLD, 15])]) for _ in range(length)]


def wide_leaps(rng: random.Random, length: int) -> list[int]:
    return [rng.choice([2, 9, 14, 21, 26, 37, HOLD, REST]) for _ in range(length)]


def small_steps(rng: random.Random, length: int) -> list[int]:
    tune, note = [], 18
    for _ in range(length):
        note = min(max(note + rng.choice([-2, -1, 0, 1, 2]), LOWEST_ONSET), HIGHEST_CLASS)
        tune.append(rng.choice([note, note, note, HOLD]))
    return tune


def leaps_among_steps(rng: random.Random, length: int) -> list[int]:
    tune, note = [], 18
    for _ in range(length):
        note = min(max(note + rng.choice([-7, -2, -1, 1, 2, 8]), LOWEST_ONSET), HIGHEST_CLASS)
        tune.append(rng.choice([note, HOLD, HOLD, REST]))
    return tune


def returning_motif(rng: random.Random, length: int) -> list[int]:
    motif = [rng.choice([*C_MAJOR_CLASSES, HOLD]) for _ in range(8)]
    tune: list[int] = []
    while len(tune) < length:
        tune += motif + uniform(rng, rng.randint(0, 3))
    return tune[:length]


def in_c_major(rng: random.Random, length: int) -> list[int]:
    body = [rng.choice([*C_MAJOR_CLASSES, HOLD, REST]) for _ in range(length)]
    return ([14, *body[1:-4], 14, HOLD, HOLD, REST])[:length] if length > 5 else body


GENERATORS = [
    uniform,
    mostly_silent,
    long_runs,
    stuck_with_breaks,
    wide_leaps,
    small_steps,
    leaps_among_steps,
    returning_motif,
    in_c_major,
]


def random_tunes(count: int, seed: int, longest: int = 64) -> list[list[int]]:
    """Tunes of 1 to `longest` events, from all generators in turn; the same ones for the same seed."""
    rng = random.Random(seed)
    return [GENERATORS[i % len(GENERATORS)](rng, rng.randint(1, longest)) for i in range(count)]


def tunes(min_size: int = 0, max_size: int = 48) -> st.SearchStrategy[list[int]]:
    """Hypothesis: tunes over all classes, or over a few of them, so that repeats, rests and holds abound."""
    alphabets = st.sampled_from([range(HIGHEST_CLASS + 1), [REST, HOLD, 14], [REST, HOLD, 2, 14, 37]])
    return alphabets.flatmap(
        lambda classes: st.lists(st.sampled_from(classes), min_size=min_size, max_size=max_size)
    )


@st.composite
def canonical_tunes(draw: st.DrawFn, max_notes: int = 24) -> list[int]:
    """Hypothesis: tunes in the one form that MIDI is read in; at least one note, no silence at the end."""
    note = st.tuples(st.integers(0, 5), st.integers(LOWEST_ONSET, HIGHEST_CLASS), st.integers(1, 7))
    tune: list[int] = []
    for silence, onset, duration in draw(st.lists(note, min_size=1, max_size=max_notes)):
        rest = [HOLD] * silence
        if tune and silence:
            rest[0] = REST
        tune += [*rest, onset, *[HOLD] * (duration - 1)]
    return tune
