"""Held-out rules: what human melodies do and no shipped book rewards, so that gaming a book's rewards shows.

Only the evaluator uses them. They are ordinary rules, one file each, registered like all others; keep them out of books
that you evaluate with them.
"""

from rltuner.rules.held_out import (
    downbeat_onset,
    late_climax,
    phrase_end,
    registral_return,
    syncopation,
    triad_on_downbeat,
)

HELD_OUT = (
    "downbeat_onset",
    "late_climax",
    "phrase_end",
    "registral_return",
    "syncopation",
    "triad_on_downbeat",
)
"""Their names."""

__all__ = [
    "HELD_OUT",
    "downbeat_onset",
    "late_climax",
    "phrase_end",
    "registral_return",
    "syncopation",
    "triad_on_downbeat",
]
