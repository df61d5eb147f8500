"""The command `rltuner listeners`: table, train, map, recommend, find. Thin, as all commands are."""

from __future__ import annotations

from collections.abc import Callable

from rltuner.commands.options import Command
from rltuner.interrupts import importing
from rltuner.listeners.config import FindConfig, MapConfig, RecommendConfig, TableConfig, TrainConfig


def table(config: TableConfig) -> Command:
    """Run what is missing of a table, and print it: grid, sessions, likes or system."""

    def run() -> None:
        with importing():
            from rltuner.listeners.tables.command import run_table
        run_table(config)

    return run


def train(config: TrainConfig) -> Command:
    """Train one agent in one environment; a folder that was stopped goes on."""

    def run() -> None:
        with importing():
            from rltuner.listeners.training.command import train
        train(config)

    return run


def map_(config: MapConfig) -> Command:
    """Draw the space of features: components, families of tunes, distances of their centres."""

    def run() -> None:
        with importing():
            from rltuner.listeners.music.mapping import draw
        draw(config)

    return run


def recommend(config: RecommendConfig) -> Command:
    """A playlist for a preference, as MIDI, with the reason for each tune."""

    def run() -> None:
        with importing():
            from rltuner.listeners.playlists.recommend import recommend
        recommend(config)

    return run


def find(config: FindConfig) -> Command:
    """Search for a tune in your mind: you rate what is played, in a browser."""

    def run() -> None:
        with importing():
            from rltuner.listeners.playlists.find import find
        find(config)

    return run


COMMANDS: dict[str, Callable[..., Command]] = {
    "table": table,
    "train": train,
    "map": map_,
    "recommend": recommend,
    "find": find,
}
