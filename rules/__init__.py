"""Music-theory rules: rewards for the events of melodies, one file a rule, gathered in rule books.

A rule never sees a network. Uses `reading` (a person's own melody is explained), `melody` and `storing`.
"""

from rltuner.rules import (
    cadence,
    harsh_intervals,
    held_out,
    high_low_unique,
    key,
    leap_recovery,
    leap_up_back,
    melodic_motion,
    motif,
    motif_return,
    note_repetition,
    penalize_autocorrelation,
    penalize_repeating,
    period,
    phrase_cadence,
    phrase_return,
    pitch_range,
    preferred_intervals,
    repeated_motif,
    rhythm_rates,
    single_climax,
    tonic,
    tonic_frame,
)
from rltuner.rules.book import RuleBook, book_names, load_rulebook
from rltuner.rules.contract import Rule, RuleError
from rltuner.rules.held_out import HELD_OUT
from rltuner.rules.making import make_rule, rule_names
from rltuner.rules.rule import melody_rule, rule

__all__ = [
    "HELD_OUT",
    "Rule",
    "RuleBook",
    "RuleError",
    "book_names",
    "cadence",
    "harsh_intervals",
    "held_out",
    "high_low_unique",
    "key",
    "leap_recovery",
    "leap_up_back",
    "load_rulebook",
    "make_rule",
    "melodic_motion",
    "melody_rule",
    "motif",
    "motif_return",
    "note_repetition",
    "penalize_autocorrelation",
    "penalize_repeating",
    "period",
    "phrase_cadence",
    "phrase_return",
    "pitch_range",
    "preferred_intervals",
    "repeated_motif",
    "rhythm_rates",
    "rule",
    "rule_names",
    "single_climax",
    "tonic",
    "tonic_frame",
]
