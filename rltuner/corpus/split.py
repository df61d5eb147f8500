"""Tunes divided into "train", "validation" and "test": near-duplicates together, and nothing of a test tune learned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from rltuner.melody.grid import NUM_SPECIAL_EVENTS
from rltuner.melody.tunes import Tune

OPENING = 16  # onsets by which near-duplicates are told
RUN, LEAST_ONSETS = 32, 3  # events, and notes that begin in them, that tunes must not share

SHARES = {"train": 0.8, "validation": 0.9, "test": 1.0}  # where each part ends, as a share of all tunes


def split_tunes(tunes: Sequence[Tune], seed: int = 0) -> dict[str, list[Tune]]:
    """The tunes as "train", "validation" and "test", about 80/10/10 by tune.

    Near-duplicates, tunes with the same intervals between their first 16 onsets (all of them, where there are
    fewer), stay together. Groups are shuffled by a hash of the seed and those intervals, so that the order of
    the input does not matter; each part comes sorted by source. With few groups a part can be empty; a single
    group goes to "train".

    What shares a run with a test tune (`shared_runs`) is left out of the other two.
    """
    groups: dict[tuple[int, ...], list[Tune]] = {}
    for tune in sorted(tunes, key=lambda t: (t.source, t.title, t.events)):
        groups.setdefault(opening(tune), []).append(tune)
    shuffled = sorted(groups, key=lambda o: hashlib.sha256(f"{seed} {o}".encode()).digest())
    parts: dict[str, list[Tune]] = {name: [] for name in SHARES}
    # One stretch of the shuffled groups a part, so that a few more or fewer tunes move few to another part.
    taken = 0
    for group in shuffled:
        middle = (taken + len(groups[group]) / 2) / len(tunes)
        part = next(name for name, end in SHARES.items() if middle < end)
        parts[part] += groups[group]
        taken += len(groups[group])
    for part in ("train", "validation"):
        shared = shared_runs(parts[part], parts["test"])
        parts[part] = [tune for tune, is_shared in zip(parts[part], shared, strict=True) if not is_shared]
    return {name: sorted(part, key=lambda t: (t.source, t.title, t.events)) for name, part in parts.items()}


def opening(tune: Tune) -> tuple[int, ...]:
    """The intervals, in semitones, between the tune's first 16 onsets: what near-duplicates share."""
    return tune.intervals[: OPENING - 1]


def shared_runs(tunes: Sequence[Tune], others: Iterable[Tune], run: int = RUN) -> list[bool]:
    """Of each tune, whether any `run` of its events in a row is one of another's, in any key.

    Runs in which fewer than three notes begin do not count: rests and held notes are nobody's.
    """
    known = {one for other in others for one in _runs(other, run)}
    return [not known.isdisjoint(_runs(tune, run)) for tune in tunes]


def _runs(tune: Tune, run: int) -> set[bytes]:
    """All runs of a tune in which three notes begin, their pitches counted from the first of them."""
    events = np.array(tune.events, np.int16)
    if len(events) < run:
        return set()
    windows = np.lib.stride_tricks.sliding_window_view(events, run)
    is_onset = windows >= NUM_SPECIAL_EVENTS
    windows, is_onset = windows[many := is_onset.sum(axis=1) >= LEAST_ONSETS], is_onset[many]
    first = np.take_along_axis(windows, is_onset.argmax(axis=1)[:, None], axis=1)
    # 128 more than a pitch can be lower: no interval is taken for a special event.
    relative = np.where(is_onset, windows - first + 2 * 128, windows).astype(np.int16)
    return {row.tobytes() for row in relative}
