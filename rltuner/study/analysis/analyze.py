"""From a study's answers to its figures: who counts, then what each question says.

Exclusions come first. Catch trials decide about them, and enter the figures of no question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltuner.study.analysis.bradley_terry import REPLICATES, Strengths, strengths
from rltuner.study.analysis.listeners import (
    INCLUDED,
    MIDDLE,
    PAIR,
    Judgement,
    Listener,
    judgement,
    listeners_of,
    rule_in_words,
)
from rltuner.study.analysis.statistics import (
    Test,
    holm,
    krippendorff_alpha,
    kruskal_wallis,
    mann_whitney,
    sign_test,
)
from rltuner.study.folder import Study
from rltuner.study.plan import Plan, Question


@dataclass(frozen=True)
class Contrast:
    """Two sources, compared."""

    sources: tuple[str, str]
    wins: tuple[int, int, int]
    """Trials: first preferred, no difference, second preferred."""
    listeners: tuple[int, int, int]
    """Listeners who preferred the first more often, equally often, less often."""
    sign_p: float
    sign_p_holm: float
    mann_whitney: Test
    mann_whitney_p_holm: float


@dataclass(frozen=True)
class Finding:
    """What one question says, from included listeners only."""

    question: Question
    kruskal_wallis: Test
    mean_rating: Mapping[str, float]
    """Of each source, 1 to 5, 5 being clearly preferred to what it was paired with."""
    wins: Mapping[str, tuple[int, int, int]]
    """Of each source: trials won, undecided, lost."""
    contrasts: tuple[Contrast, ...]
    strengths: Strengths
    alpha: float
    """Krippendorff's α, ordinal; units are the items, observers the listeners."""
    alpha_items: int
    """Items that two or more listeners judged."""


@dataclass(frozen=True)
class Analysis:
    """All figures of a study."""

    study: Study
    simulated: Mapping[str, Any] | None
    """What simulated listeners were made from; None where the listeners are people."""
    rule: str
    """The exclusions, in words."""
    listeners: tuple[Listener, ...]
    judgements: tuple[Judgement, ...]
    """All, those of excluded listeners too."""
    findings: tuple[Finding, ...]
    """Of each question; none where nobody who counts has judged a pair."""
    seconds: float
    """Median over the trials of included listeners, from when a pair was shown to its answer; NaN without any."""
    plays: float
    """Mean number of times that a clip of those trials was played; NaN without any."""

    @property
    def tally(self) -> Counter[str]:
        """Listeners by status."""
        return Counter(listener.status for listener in self.listeners)


def analyse(
    study: Study,
    sessions: Sequence[Mapping[str, Any]],
    trials: Sequence[Mapping[str, Any]],
    simulated: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Analysis:
    """The figures, from the rows that `Store.rows` gives. `seed` and `replicates` are the bootstrap's."""
    judgements = tuple(judgement(study, row) for row in trials)
    listeners = listeners_of(study.plan, sessions, judgements)
    counted = {listener.number for listener in listeners if listener.status == INCLUDED}
    kept = [one for one in judgements if one.listener in counted]
    pairs = [one for one in kept if one.kind == PAIR]
    findings = tuple(
        _finding(study.plan, question, pairs, seed, replicates)
        for question in (study.plan.questions if pairs else ())
    )
    return Analysis(
        study,
        simulated,
        rule_in_words(study.plan),
        listeners,
        judgements,
        findings,
        float(np.median([one.seconds for one in kept])) if kept else float("nan"),
        float(np.mean([one.plays for one in kept])) if kept else float("nan"),
    )


def _finding(
    plan: Plan, question: Question, pairs: Sequence[Judgement], seed: int, replicates: int
) -> Finding:
    sources = plan.design.sources
    preferences = {contrast: [] for contrast in plan.contrasts}  # type: dict[tuple[str, str], list[tuple[int, int]]]
    ratings: dict[str, list[float]] = {source: [] for source in sources}
    for one in pairs:
        preference = one.preference(question.id)
        preferences[one.sources].append((one.listener, preference))
        ratings[one.sources[0]].append(MIDDLE + preference)
        ratings[one.sources[1]].append(MIDDLE - preference)
    groups = {source: np.array(values, dtype=np.float64) for source, values in ratings.items()}
    counts = _counts(plan, preferences)
    numbers = {source: index for index, source in enumerate(sources)}
    alpha, judged = _agreement(question.id, pairs)
    return Finding(
        question,
        kruskal_wallis(list(groups.values())),
        {source: float(values.mean()) if len(values) else float("nan") for source, values in groups.items()},
        {source: _wins(values) for source, values in groups.items()},
        _contrasts(plan, preferences, groups),
        strengths(counts, [(numbers[a], numbers[b]) for a, b in plan.contrasts], sources, seed, replicates),
        alpha,
        judged,
    )


def _wins(ratings: NDArray[np.float64]) -> tuple[int, int, int]:
    """Ratings above, at and below the middle of the scale: trials won, undecided, lost."""
    return int((ratings > MIDDLE).sum()), int((ratings == MIDDLE).sum()), int((ratings < MIDDLE).sum())


def _counts(
    plan: Plan, preferences: Mapping[tuple[str, str], Sequence[tuple[int, int]]]
) -> NDArray[np.float64]:
    """[L, C, 3]: how often each listener preferred the first source of each contrast, neither, the second."""
    listeners = sorted({listener for entries in preferences.values() for listener, _ in entries})
    row_of = {listener: row for row, listener in enumerate(listeners)}
    counts = np.zeros((len(listeners), len(plan.contrasts), 3))
    for column, contrast in enumerate(plan.contrasts):
        for listener, preference in preferences[contrast]:
            counts[row_of[listener], column, 1 - np.sign(preference)] += 1
    return counts


def _contrasts(
    plan: Plan,
    preferences: Mapping[tuple[str, str], Sequence[tuple[int, int]]],
    groups: Mapping[str, NDArray[np.float64]],
) -> tuple[Contrast, ...]:
    wins, listeners = [], []
    for contrast in plan.contrasts:
        entries = preferences[contrast]
        net: Counter[int] = Counter()
        for listener, preference in entries:
            net[listener] += int(np.sign(preference))
        wins.append(_balance([preference for _, preference in entries]))
        listeners.append(_balance(list(net.values())))
    signs = [sign_test(first, second) for first, _, second in listeners]
    ranks = [mann_whitney(groups[a], groups[b]) for a, b in plan.contrasts]
    sign_adjusted, rank_adjusted = holm(signs), holm([test.p for test in ranks])
    return tuple(
        Contrast(
            plan.contrasts[i],
            wins[i],
            listeners[i],
            signs[i],
            sign_adjusted[i],
            ranks[i],
            rank_adjusted[i],
        )
        for i in range(len(plan.contrasts))
    )


def _balance(values: Sequence[int]) -> tuple[int, int, int]:
    """How many are positive, zero, negative."""
    return sum(v > 0 for v in values), sum(v == 0 for v in values), sum(v < 0 for v in values)


def _agreement(question: str, pairs: Sequence[Judgement]) -> tuple[float, int]:
    """Krippendorff's α over the items, each turned the same way round, and how many have two ratings or more."""
    items = {item: column for column, item in enumerate(sorted({one.item for one in pairs}))}
    listeners = {number: row for row, number in enumerate(sorted({one.listener for one in pairs}))}
    ratings = np.full((len(listeners), len(items)), np.nan)
    for one in pairs:
        ratings[listeners[one.listener], items[one.item]] = one.preference(question)
    judged = int(((~np.isnan(ratings)).sum(axis=0) >= 2).sum())
    return krippendorff_alpha(ratings), judged
