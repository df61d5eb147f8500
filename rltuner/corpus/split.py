"""Tunes divided into "train", "validation" and "test", near-duplicates together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from rltuner.melody.tunes import Tune

OPENING = 16  # onsets by which near-duplicates are told


SHARES = {"train": 0.8, "validation": 0.9, "test": 1.0}  # where each part ends, as a share of all tunes


def split_tunes(tunes: Sequence[Tune], seed: int = 0) -> dict[str, list[Tune]]:
    """The tunes as "train", "validation" and "test", about 80/10/10 by tune.

    Near-duplicates, tunes with the same intervals between their first 16 onsets (all of them, where there are
    fewer), stay together. Groups are shuffled by a hash of the seed and those intervals, so that the order of
    the input does not matter; each part comes sorted by source. With few groups a part can be empty; a single
    group goes to "train".
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
    return {name: sorted(part, key=lambda t: (t.source, t.title, t.events)) for name, part in parts.items()}


def opening(tune: Tune) -> tuple[int, ...]:
    """The intervals, in semitones, between the tune's first 16 onsets: what near-duplicates share."""
    return tune.intervals[: OPENING - 1]
