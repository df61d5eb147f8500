"""What melodies earn by rules: by those of a book, and by the held-out ones that no shipped book rewards."""

from __future__ import annotations

from rltuner.eval.counts import Counts, in_batches, mean_of
from rltuner.melody import Melodies
from rltuner.rules.book import RuleBook
from rltuner.rules.contract import Rule, rewards_of
from rltuner.rules.held_out import HELD_OUT
from rltuner.rules.making import find, make_rule, parameter_types


def mean_rewards(melodies: Melodies, book: RuleBook) -> dict[str, float]:
    """Mean over melodies of each rule's weighted reward, summed over events, and "total"; NaN without melodies."""
    counts = in_batches(lambda part: reward_counts(part, book), melodies)
    return {name: entry.value for name, entry in counts.items()}


def reward_counts(melodies: Melodies, book: RuleBook) -> dict[str, Counts]:
    """Each rule's weighted reward, and "total", of each melody, summed over its events."""
    return {name: mean_of(rewards.double().sum(dim=1)) for name, rewards in book.score(melodies).items()}


def held_out_rewards(melodies: Melodies, *, key: str = "C major") -> dict[str, float]:
    """Mean over melodies of each held-out rule's reward, summed over events; NaN without melodies."""
    rules = held_out_rules(key)
    counts = in_batches(lambda part: held_out_counts(part, rules), melodies)
    return {name: entry.value for name, entry in counts.items()}


def held_out_counts(melodies: Melodies, rules: dict[str, Rule]) -> dict[str, Counts]:
    """Each held-out rule's reward of each melody, summed over its events; `rules` as `held_out_rules` gives them."""
    return {
        name: mean_of(rewards_of(name, rule, melodies).double().sum(dim=1)) for name, rule in rules.items()
    }


def held_out_rules(key: str) -> dict[str, Rule]:
    """The held-out rules by name, in a key."""
    rules = {}
    for name in HELD_OUT:
        entry = find(name)
        assert entry is not None
        rules[name] = make_rule(name, {"key": key} if "key" in parameter_types(entry.definition) else {})
    return rules
