"""What melodies earn by rules: by those of a book, and by the held-out ones that no shipped book rewards."""

from __future__ import annotations

import math

from rltuner.melody import Melodies
from rltuner.rules.book import RuleBook
from rltuner.rules.contract import rewards_of
from rltuner.rules.held_out import HELD_OUT
from rltuner.rules.rule import find, make_rule, parameter_types

BATCH = 8192  # bounds the memory of a book's rewards


def mean_rewards(melodies: Melodies, book: RuleBook) -> dict[str, float]:
    """Mean over melodies of each rule's weighted reward, summed over events, and "total"; NaN without melodies."""
    if not len(melodies):
        return dict.fromkeys([*book.rules, "total"], math.nan)
    sums: dict[str, float] = {}
    for first in range(0, len(melodies), BATCH):
        for name, rewards in book.score(melodies[first : first + BATCH]).items():
            sums[name] = sums.get(name, 0.0) + float(rewards.double().sum())
    return {name: value / len(melodies) for name, value in sums.items()}


def held_out_rewards(melodies: Melodies, *, key: str = "C major") -> dict[str, float]:
    """Mean over melodies of each held-out rule's reward, summed over events; NaN without melodies."""
    means = {}
    for name in HELD_OUT:
        entry = find(name)
        assert entry is not None
        rule = make_rule(name, {"key": key} if "key" in parameter_types(entry.definition) else {})
        rewards = rewards_of(name, rule, melodies).double().sum()
        means[name] = float(rewards) / len(melodies) if len(melodies) else math.nan
    return means
