"""`rltuner listeners table likes`: the Q-table against the dueling DQN, over preferences and seeds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rltuner.listeners.environments.likes import Preference
from rltuner.listeners.tables.spread import EMPTY, markdown, spread
from rltuner.listeners.training.likes_run import (
    AGENTS,
    EPISODES,
    LikesRun,
    preferences,
    shelf_of,
    split,
)
from rltuner.listeners.training.many import results
from rltuner.listeners.training.runs import RESULT
from rltuner.storing.checkpoints import read_json

PREFERENCES = 8
HEADER = (
    *("agent", "tunes", "episodes", "predicted likes that are", "likes that are predicted"),
    *("of the surest ten", "listeners who hear a like", "steps to it", "runs"),
)


def described(sources: tuple[str, ...], seeds: int) -> list[tuple[LikesRun, Preference, int]]:
    """All runs of the table: agents, preferences and seeds."""
    return [
        (
            LikesRun(agent, sources, one.family, one.transcriber, one.danceability, EPISODES[agent], seed),
            one,
            number,
        )
        for seed in range(seeds)
        for number, one in enumerate(preferences(shelf_of(sources), PREFERENCES))
        for agent in AGENTS
    ]


def folder_of(out: Path, one: LikesRun, number: int) -> Path:
    """Where a run of the table is kept."""
    return out / one.agent / f"preference-{number}" / f"seed-{one.seed}"


def run_table(out: Path, sources: tuple[str, ...], seeds: int, processes: int) -> None:
    """Runs what is missing of the table."""
    jobs = [(one, folder_of(out, one, number)) for one, _, number in described(sources, seeds)]
    results(jobs, "likes", processes)


def found_results(out: Path, sources: tuple[str, ...], seeds: int) -> dict[str, list[dict[str, Any]]]:
    """The results that are there, by agent."""
    found: dict[str, list[dict[str, Any]]] = {agent: [] for agent in AGENTS}
    for one, _, number in described(sources, seeds):
        file = folder_of(out, one, number) / RESULT
        if file.is_file():
            found[one.agent].append(read_json(file, "the result of a run"))
    return found


def table(out: Path, sources: tuple[str, ...], seeds: int) -> str:
    """The table as Markdown, of the runs that are there; and the preferences."""
    lines = []
    for agent, found in found_results(out, sources, seeds).items():
        for kind, name in (("shown", "shown before"), ("held", "held out")):
            if not found:
                lines.append([agent, name, str(EPISODES[agent]), *[EMPTY] * 5, "0"])
                continue
            values = {
                key: [r[f"{kind}_{key}"] for r in found if not math.isnan(r[f"{kind}_{key}"])]
                for key in ("precision", "recall", "first_ten", "served", "steps")
            }
            shares = [
                spread([100 * v for v in values[key]]).text() + " %"
                for key in ("precision", "recall", "first_ten", "served")
            ]
            steps = spread(values["steps"]).text(2)
            lines.append([agent, name, str(EPISODES[agent]), *shares, steps, str(len(found))])
    shelf = shelf_of(sources)
    stated = preferences(shelf, PREFERENCES)
    chance = [judged_at_random(sources, one, seed) for seed in range(seeds) for one in stated]
    share = f"{100 * spread([likes for likes, _ in chance]).mean:.1f} %"
    steps = f"{spread([expected for _, expected in chance]).mean:.2f}"
    lines.append(["any order", "held out", "0", share, "100.0 %", share, "100.0 %", steps, EMPTY])
    counts = [(str(one), int(shelf.verdicts(one).all(dim=1).sum())) for one in stated]
    listed = "; ".join(f"{name} ({count} of {len(shelf)})" for name, count in counts)
    return f"{markdown(HEADER, lines)}\n\nPreferences: {listed}."


def judged_at_random(sources: tuple[str, ...], one: Preference, seed: int) -> tuple[float, float]:
    """The share of likes among the held-out tunes, and the expected steps to the first in a random order: (n + 1) / (k
    + 1) of n tunes with k likes."""
    shelf = shelf_of(sources)
    held = split(len(shelf), seed)[1]
    likes = shelf.verdicts(one).all(dim=1)[held]
    return float(likes.float().mean()), (len(held) + 1) / (int(likes.sum()) + 1)
