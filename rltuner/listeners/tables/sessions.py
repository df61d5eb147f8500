"""`rltuner listeners table sessions`: DDPG with both autoencoders against the poster's benchmark, and what needs no
learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rltuner.listeners.agents.autoencoders import AUTOENCODERS
from rltuner.listeners.agents.session_baselines import (
    Player,
    TastePosterior,
    at_random,
    like_what_was_kept,
    nearest_to_the_centre,
    scores,
)
from rltuner.listeners.environments.sessions import SessionListeners
from rltuner.listeners.environments.skipping import Skipping
from rltuner.listeners.tables.spread import EMPTY, markdown, spread
from rltuner.listeners.training.many import results
from rltuner.listeners.training.runs import RESULT
from rltuner.listeners.training.session_run import JUDGE_SEED, SESSIONS, SessionRun
from rltuner.storing.checkpoints import read_json

HEADER = (
    "agent",
    "kept of 15",
    "abstained",
    "total MSE",
    "MSE of layers",
    "answers right",
    "seeds",
    "sessions learned from",
)
PUBLISHED = [
    "the poster",
    "about 5 is its benchmark",
    EMPTY,
    "0.0111",
    "0.0018",
    "88.89 %",
    "1",
    "some hundred",
]


def run_table(out: Path, described: SessionRun, seeds: int, processes: int) -> None:
    """Runs what is missing of the table."""
    jobs = [
        (replace(described, autoencoder=name, seed=seed), out / name / f"seed-{seed}")
        for seed in range(seeds)
        for name in AUTOENCODERS
    ]
    results(jobs, "sessions", processes)


def table(out: Path, described: SessionRun, seeds: int) -> str:
    """The table as Markdown, of the runs that are there."""
    lines = [PUBLISHED]
    for name in AUTOENCODERS:
        files = [out / name / f"seed-{seed}" / RESULT for seed in range(seeds)]
        found = [read_json(file, "the result of a run") for file in files if file.is_file()]
        if not found:
            lines.append([f"DDPG, {name}", *[EMPTY] * 7])
            continue

        def cell(key: str, digits: int, found: list[dict[str, float]] = found) -> str:
            return spread([result[key] for result in found if key in result]).text(digits)

        right = [100 * result["response_accuracy"] for result in found if "response_accuracy" in result]
        lines.append(
            [
                f"DDPG, {name}",
                cell("score", 2),
                f"{100 * spread([result['abstained'] for result in found]).mean:.0f} %",
                cell("total_mse", 4),
                cell("layers_mse", 4),
                f"{spread(right).text(1)} %" if right else EMPTY,
                str(len(found)),
                f"{found[0]['steps'] // 15:,}",
            ]
        )
    return markdown(HEADER, [*lines, *_unlearned(described)])


def _unlearned(described: SessionRun) -> list[list[str]]:
    """What needs no learning, by the same 1,000 sessions; the posterior only where the simulator's formula is known."""
    points, responses = described.world()
    players: dict[str, Player] = {
        "random tunes": at_random(),
        "nearest to the centre": nearest_to_the_centre,
        "like what was kept": like_what_was_kept,
    }
    if isinstance(responses, Skipping):
        players["posterior over tastes"] = TastePosterior(responses)
    lines = []
    for name, player in players.items():
        sessions = SessionListeners(points, responses, SESSIONS, JUDGE_SEED)
        found = scores(sessions, player)
        share = 100 * sessions.abstained / (sessions.answered + sessions.abstained)
        lines.append([name, f"{found.mean():.2f}", f"{share:.0f} %", *[EMPTY] * 5])
    return lines
