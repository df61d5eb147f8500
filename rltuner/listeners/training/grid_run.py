"""A run of A2C or ACKTR on a grid: what it is, how it learns, and how it is judged."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rltuner.errors import InputError, suggest
from rltuner.listeners.agents.a2c import A2C, A2CConfig
from rltuner.listeners.agents.acktr import ACKTR
from rltuner.listeners.agents.finder import Finder, NetworkFinder, Trial, try_out
from rltuner.listeners.environments.grid import GridListeners
from rltuner.listeners.environments.raters import Raters, raters
from rltuner.listeners.training.runs import run
from rltuner.storing.state import load_state

ALGORITHMS = {"a2c": A2C, "acktr": ACKTR}
TRIALS_OF_ERRING = 20  # episodes with each listener who errs; one with each who does not


@dataclass(frozen=True)
class GridRun:
    """A run, as plain values. Two runs of equal values give equal networks, bit for bit, on one machine."""

    algorithm: str = "a2c"
    dimensions: int = 2
    percentiles: str = "wider_top_target"
    reward: str = "bullseye"
    observation: str = "grid"
    listener: str = "deterministic"
    n: int = 20
    recurrent: bool = True
    environments: int = 16
    learning_rate: float = 7e-4
    falls: bool = False
    """Whether the learning rate falls to 0."""
    reward_scale: float = 1.0
    entropy: float = 0.01
    updates: int = 14_000
    seed: int = 0

    def raters(self) -> Raters:
        """Whom it learns with."""
        return raters(self.dimensions, self.percentiles, self.listener)

    def agent(self, found: Raters) -> A2C:
        """The agent before its first update. InputError for an unknown algorithm."""
        if self.algorithm not in ALGORITHMS:
            raise InputError(f"unknown agent {self.algorithm!r}; {suggest(self.algorithm, list(ALGORITHMS))}")
        listeners = GridListeners(found, self.environments, self.reward, self.observation, self.seed)
        config = A2CConfig(
            n=self.n,
            learning_rate=self.learning_rate,
            falls_over=self.updates if self.falls else 0,
            reward_scale=self.reward_scale,
            entropy=self.entropy,
            recurrent=self.recurrent,
        )
        return ALGORITHMS[self.algorithm](listeners, listeners.actions, config, self.seed)

    def result(self, folder: Path) -> dict[str, Any]:
        """Learns, or goes on, in a folder; what `judged` tells at the end."""
        found = self.raters()
        agent = self.agent(found)

        def judge() -> dict[str, Any]:
            finder = NetworkFinder(agent.network, found, self.observation)
            return judged(finder, found, self.reward)

        return run(folder, dataclasses.asdict(self), agent, self.updates, judge)


def judged(finder: Finder, found: Raters, reward: str) -> dict[str, Any]:
    """How a finder does with every one of the raters: mean and standard deviation of an episode's reward, as the thesis'
    Figures 22 and 23, steps until the target, and the share that was found within the episode."""
    trial = all_trials(finder, found, reward)
    return {
        "reward": float(trial.total.mean()),
        "deviation": float(trial.total.std(correction=0)),
        "found_after": float(trial.found.float().mean()),
        "found": float((trial.found < trial.positions.shape[1]).float().mean()),
    }


def all_trials(finder: Finder, found: Raters, reward: str, seed: int = 1) -> Trial:
    """One episode with each rater; twenty with each who errs."""
    who = torch.arange(len(found.target)).repeat(TRIALS_OF_ERRING if found.errors else 1)
    return try_out(finder, found, who, reward, seed)


def trained_finder(described: GridRun, folder: Path) -> NetworkFinder:
    """The finder of a run that was saved in a folder; InputError where there is none, or it is of another run."""
    found = described.raters()
    agent = described.agent(found)
    _, tensors = load_state(folder / "checkpoint")
    try:
        agent.restore(tensors)
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{folder}: does not fit its description ({error})") from None
    return NetworkFinder(agent.network, found, described.observation)
