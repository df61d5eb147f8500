"""A run of DDPG on sessions: what it is, how it learns, and how it is judged."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from rltuner.listeners.agents.ddpg import DDPG, DDPGConfig
from rltuner.listeners.agents.session_baselines import scores
from rltuner.listeners.environments.logs import LoggedResponses, read_items, read_logs
from rltuner.listeners.environments.sessions import Responses, SessionListeners
from rltuner.listeners.environments.skipping import Skipping
from rltuner.listeners.music.points import catalogue_points
from rltuner.listeners.training.runs import run

SESSIONS = 1_000  # by which an agent is judged
JUDGE_SEED = 1_000_000


@dataclass(frozen=True)
class SessionRun:
    """A run, as plain values."""

    autoencoder: str = "inside-lstm"
    sources: tuple[str, ...] = ("human",)
    """Of the catalogue."""
    dimensions: int = 4
    logs: str = ""
    """A file of sessions of people; "" for the simulator."""
    items: str = ""
    """The features of the songs in the logs."""
    environments: int = 64
    updates: int = 1_500
    seed: int = 0

    def world(self) -> tuple[Tensor, Responses]:
        """Points of the catalogue, and who answers. InputError where sources or files cannot be used."""
        if self.logs:
            names, points = read_items(Path(self.items))
            return points, LoggedResponses(points, read_logs(Path(self.logs), names))
        points = catalogue_points(self.sources, self.dimensions)
        return points, Skipping(points)

    def result(self, folder: Path) -> dict[str, Any]:
        """Learns, or goes on, in a folder; the mean score of 1,000 sessions at the end, and how often logs abstained."""
        points, responses = self.world()
        agent = DDPG(
            SessionListeners(points, responses, self.environments, self.seed),
            DDPGConfig(autoencoder=self.autoencoder),
            self.seed,
        )

        def judge() -> dict[str, Any]:
            # A world of its own: judging must not disturb the listeners that a resumed run goes on with.
            sessions = SessionListeners(*self.world(), SESSIONS, JUDGE_SEED)
            found = scores(sessions, lambda s: s.nearest(agent.act(s.history.flatten(1))))
            asked = sessions.answered + sessions.abstained
            return {
                "score": float(found.mean()),
                "deviation": float(found.std()),
                "abstained": sessions.abstained / asked,
                **agent.reported,
            }

        facts = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}
        return run(folder, facts, agent, self.updates, judge)
