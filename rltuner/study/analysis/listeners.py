"""Who counts: listeners and what they answered, and the rule for exclusions.

The rule of study.toml was frozen before the first answer. Catch trials decide about listeners by one question, the first
where study.toml names no other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rltuner.study.folder import HUMAN_CATCH, RANDOM_CATCH, Study
from rltuner.study.plan import Plan

MIDDLE = 3  # of the scale: no preference
IDENTICAL, RANDOM, PAIR = "identical", "random notes", "pair"
INCLUDED, INCOMPLETE, REPEATED, CAUGHT = (
    "included",
    "incomplete",
    "same recruiting id again",
    "failed catch trials",
)


@dataclass(frozen=True)
class Judgement:
    """One trial that was answered."""

    listener: int
    position: int
    kind: str
    """pair, identical or random notes."""
    item: tuple[str, str]
    """The clips, that of the contrast's first source (or the human tune) first."""
    sources: tuple[str, str]
    first_is_a: bool
    """Whether the item's first clip was played as A."""
    answers: Mapping[str, int]
    """To each question, as the listener gave it: 1 for A to 5 for B."""
    plays: tuple[int, int]
    """Of A and B."""
    seconds: float
    """From when the pair was shown to the answer."""

    def preference(self, question: str) -> int:
        """+2 (first source clearly) to -2 (second source clearly)."""
        towards_a = MIDDLE - self.answers[question]
        return towards_a if self.first_is_a else -towards_a


@dataclass(frozen=True)
class Listener:
    """One session, and whether it counts."""

    number: int
    about: Mapping[str, str]
    consented_at: float
    finished: bool
    answered: int
    """Trials, catch trials included."""
    missed: tuple[int, int]
    """Catch trials missed: identical pairs, random notes."""
    status: str
    """included, or why not."""


def rule_in_words(plan: Plan) -> str:
    """The exclusions of study.toml as sentences."""
    rule, design = plan.exclusions, plan.design
    sentences = []
    if rule.least_share > 0:
        sentences.append(
            f"A listener counts who answered {'all' if rule.least_share == 1 else f'at least {rule.least_share:.0%}'} of "
            f"the {plan.trials} trials."
        )
    if rule.one_per_id:
        sentences.append("Of several complete sessions with one recruiting id only the first counts.")
    if design.catch:
        reach = ("", " or next to it", " or anywhere")[rule.identical_tolerance]
        identical = "1 identical pair" if design.catch == 1 else f"{design.catch} identical pairs"
        human = "1 pair" if design.catch == 1 else f"{design.catch} pairs"
        sentences.append(
            f"Among the trials are {identical}, to be answered in the middle of the scale{reach}, and {human} of a human "
            "tune and random notes, in which the tune is to be preferred; a listener who misses more than "
            f"{rule.allowed_misses} of these {2 * design.catch} is excluded."
        )
        if len(plan.questions) > 1:
            sentences.append(f"The question “{plan.catch_question.text}” decides.")
    return " ".join(sentences) or "Every listener counts."


def judgement(study: Study, row: Mapping[str, Any]) -> Judgement:
    """A trial with its answer, a row of `Store.rows`, turned so that the contrast's first source comes first."""
    a, b = row["clip_a"], row["clip_b"]
    source_a, source_b = study.source_of[a], study.source_of[b]
    order = [HUMAN_CATCH, RANDOM_CATCH, *study.plan.design.sources]
    first_is_a = order.index(source_a) <= order.index(source_b)
    kind = IDENTICAL if a == b else RANDOM if RANDOM_CATCH in (source_a, source_b) else PAIR
    shown = row["shown_at"] if row["shown_at"] is not None else row["answered_at"]
    return Judgement(
        int(row["session"]),
        int(row["position"]),
        kind,
        (a, b) if first_is_a else (b, a),
        (source_a, source_b) if first_is_a else (source_b, source_a),
        first_is_a,
        {str(name): int(value) for name, value in json.loads(row["answers"]).items()},
        (int(row["plays_a"]), int(row["plays_b"])),
        float(row["answered_at"] - shown),
    )


def listeners_of(
    plan: Plan, sessions: Sequence[Mapping[str, Any]], judgements: Sequence[Judgement]
) -> tuple[Listener, ...]:
    """All listeners by number, each with whether it counts.

    Reasons for exclusion go in this order: too few answers; the recruiting id of an earlier complete session, by the time
    of consent; too many missed catch trials.

    Args:
      plan: its rule for exclusions decides.
      sessions: as `Store.rows` gives them.
      judgements: every trial that was answered.
    """
    rule = plan.exclusions
    decides = plan.catch_question.id
    answered = Counter(one.listener for one in judgements)
    missed_identical = Counter(
        one.listener
        for one in judgements
        if one.kind == IDENTICAL and abs(one.preference(decides)) > rule.identical_tolerance
    )
    missed_random = Counter(
        one.listener for one in judgements if one.kind == RANDOM and one.preference(decides) <= 0
    )
    known: set[str] = set()
    found = []
    for row in sorted(sessions, key=lambda row: row["consented_at"]):
        number = int(row["number"])
        missed = (missed_identical[number], missed_random[number])
        again = row["recruiting_hash"] is not None and row["recruiting_hash"] in known
        is_complete = answered[number] / plan.trials >= rule.least_share
        if is_complete:
            known |= {row["recruiting_hash"]} - {None}
        if not is_complete:
            status = INCOMPLETE
        elif again and rule.one_per_id:
            status = REPEATED
        elif sum(missed) > rule.allowed_misses:
            status = CAUGHT
        else:
            status = INCLUDED
        found.append(
            Listener(
                number,
                json.loads(row["about"] or "{}"),
                float(row["consented_at"]),
                row["finished_at"] is not None,
                answered[number],
                missed,
                status,
            )
        )
    return tuple(sorted(found, key=lambda listener: listener.number))
