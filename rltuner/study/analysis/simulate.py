"""Simulated listeners with known strengths: for planning how many are needed, and for checking the analysis.

They are dealt the same trials as people, answer by Davidson's model (`bradley_terry`), and live in a
database of their own, which says so and which the server refuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rltuner.console import progress_bar
from rltuner.study.analysis.analyze import Analysis, analyse
from rltuner.study.analysis.listeners import MIDDLE
from rltuner.study.folder import HUMAN_CATCH, RANDOM_CATCH, Study
from rltuner.study.schedule import Trial, trials_of
from rltuner.study.store import DONE

Row = dict[str, Any]
ATTENTIVE = 0.95  # chance that an attentive listener gets a catch trial right
THINKING = 4.0  # mean seconds from the end of the second clip to the answer


@dataclass(frozen=True)
class Simulated:
    """What simulated listeners are like."""

    listeners: int
    strengths: Mapping[str, float]
    """λ of each source; only differences count."""
    ties: float
    """ν, above 0."""
    spread: float
    """Standard deviation of a listener's own strengths around these."""
    careless: float
    """Share of listeners who answer at random."""
    seed: int

    def to_json(self) -> str:
        """For the database."""
        return json.dumps(asdict(self))


def simulate(study: Study, simulated: Simulated, number: int = 0) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows for `Store.replace`: sessions, trials, answers. The same for the same seed and number of study."""
    rng = np.random.default_rng([simulated.seed, number])
    plan = study.plan
    sessions, trials, answers = [], [], []
    for listener in range(simulated.listeners):
        taste = {
            source: simulated.strengths[source] + simulated.spread * rng.standard_normal()
            for source in plan.design.sources
        }
        careless = rng.random() < simulated.careless
        begun = now = 3600.0 * listener  # in 1970: nobody takes these for people's
        for position, trial in enumerate(trials_of(plan, study.items, listener), 1):
            at = {"session": listener, "position": position}
            clips = {"clip_a": trial.left, "clip_b": trial.right, "path_a": "-", "path_b": "-"}
            trials.append({**at, **clips, "shown_at": now})
            plays = 1 + rng.poisson(0.2, size=2)
            now += float(plays.sum() * plan.design.seconds + rng.exponential(THINKING))
            given = {
                question.id: _answer(study, trial, taste, simulated.ties, careless, rng)
                for question in plan.questions
            }
            answers.append(
                {
                    **at,
                    "answers": json.dumps(given),
                    "plays_a": int(plays[0]),
                    "plays_b": int(plays[1]),
                    "answered_at": now,
                }
            )
        about = {asked.id: str(rng.choice(asked.choices)) for asked in plan.listener_questions}
        sessions.append(
            {
                "number": listener,
                "token_hash": f"simulated {listener}",
                "recruiting_hash": None,
                "stage": DONE,
                "about": json.dumps(about),
                "consented_at": begun,
                "finished_at": now,
            }
        )
    return sessions, trials, answers


def rows_as_read(
    sessions: Sequence[Row], trials: Sequence[Row], answers: Sequence[Row]
) -> tuple[list[Row], list[Row]]:
    """The rows of `simulate` as `Store.rows` would give them: sessions, and trials with their answers."""
    return list(sessions), [{**trial, **answer} for trial, answer in zip(trials, answers, strict=True)]


def power(study: Study, simulated: Simulated, studies: int) -> dict[tuple[str, str], float]:
    """Share of simulated studies in which the sign test of a contrast is significant at 5 % after Holm's correction.

    Of the first question. A study in which no listener counts finds none.
    """
    found = dict.fromkeys(study.plan.contrasts, 0)
    with progress_bar("simulating", studies) as advance:
        for number in range(studies):
            for finding in analysis_of(study, simulated, number, replicates=0).findings[:1]:
                for contrast in finding.contrasts:
                    found[contrast.sources] += contrast.sign_p_holm < 0.05
            advance(1, None)
    return {contrast: count / studies for contrast, count in found.items()}


def analysis_of(study: Study, simulated: Simulated, number: int = 0, replicates: int = 500) -> Analysis:
    """The analysis of one simulated study, without a database."""
    sessions, trials = rows_as_read(*simulate(study, simulated, number))
    return analyse(study, sessions, trials, asdict(simulated), replicates=replicates)


def _answer(
    study: Study,
    trial: Trial,
    taste: Mapping[str, float],
    ties: float,
    careless: bool,
    rng: np.random.Generator,
) -> int:
    """1 (A clearly) to 5 (B clearly)."""
    if careless:
        return int(rng.integers(1, 6))
    a, b = study.source_of[trial.left], study.source_of[trial.right]
    right = rng.random() < ATTENTIVE
    if trial.left == trial.right:
        return MIDDLE if right else int(rng.choice([1, 2, 4, 5]))
    if RANDOM_CATCH in (a, b):
        towards_a = (a == HUMAN_CATCH) == right
        return 1 if towards_a else 5
    chances = np.exp([taste[a], np.log(ties) + (taste[a] + taste[b]) / 2, taste[b]])
    outcome = int(rng.choice(3, p=chances / chances.sum())) - 1  # -1: A
    # How much: the stronger the listener feels about the two, the likelier "clearly".
    clearly = rng.random() < 1 / (1 + np.exp(1 - abs(taste[a] - taste[b])))
    return MIDDLE + outcome * (2 if clearly else 1)
