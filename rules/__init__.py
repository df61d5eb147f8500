"""Music-theory rules: rewards for the events of melodies, one file a rule, gathered in rule books."""

from rltuner.rules import (  # each import registers its rule
    high_low_unique,
    key,
    leap_up_back,
    motif,
    penalize_autocorrelation,
    penalize_repeating,
    preferred_intervals,
    repeated_motif,
    tonic,
)
from rltuner.rules.book import RuleBook, book_names, load_rulebook
from rltuner.rules.rule import Rule, make_rule, rule, rule_names

__all__ = [
    "Rule",
    "RuleBook",
    "book_names",
    "high_low_unique",
    "key",
    "leap_up_back",
    "load_rulebook",
    "make_rule",
    "motif",
    "penalize_autocorrelation",
    "penalize_repeating",
    "preferred_intervals",
    "repeated_motif",
    "rule",
    "rule_names",
    "tonic",
]
