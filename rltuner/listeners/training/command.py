"""`rltuner listeners train`: one run of one agent, to its end or on from where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from rltuner.console import output_console, say
from rltuner.listeners.config import TrainConfig
from rltuner.listeners.training.grid_run import GridRun
from rltuner.listeners.training.likes_run import EPISODES, LikesRun
from rltuner.listeners.training.session_run import SessionRun

GRID_UPDATES, SESSION_UPDATES = 2_000, 1_500


def described(config: TrainConfig) -> GridRun | SessionRun | LikesRun:
    """The run that a configuration asks for."""
    if config.env == "grid":
        recurrent = config.agent == "a2c"
        if config.agent == "acktr" and config.observation == "grid":
            say("acktr has no memory of its own: take --observation board")
        return GridRun(
            algorithm=config.agent,
            dimensions=config.dimensions,
            listener=config.listener,
            reward=config.reward,
            observation=config.observation,
            recurrent=recurrent,
            updates=config.updates or GRID_UPDATES,
            seed=config.seed,
        )
    if config.env == "sessions":
        logs, items = (str(file) if file is not None else "" for file in (config.logs, config.items))
        return SessionRun(
            config.autoencoder,
            config.sources,
            logs=logs,
            items=items,
            updates=config.updates or SESSION_UPDATES,
            seed=config.seed,
        )
    episodes = config.updates or EPISODES[config.agent]
    return LikesRun(config.agent, config.sources, config.like, episodes=episodes, seed=config.seed)


def train(config: TrainConfig) -> None:
    """Trains, and prints how the agent does. Ctrl-C saves; the same command goes on."""
    torch.set_num_threads(1)
    assert isinstance(config.out, Path)
    try:
        result: dict[str, Any] = described(config).result(config.out)
    except KeyboardInterrupt:
        say(f"{config.out}: go on by the same command")
        raise
    for name, value in result.items():
        if name != "losses":
            output_console.print(
                f"{name} {value:,.4g}" if isinstance(value, float) else f"{name} {value}", markup=False
            )
    say(f"run: {config.out}")
