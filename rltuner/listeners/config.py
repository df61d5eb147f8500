"""The configurations of `rltuner listeners`: table, train, map, recommend, find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rltuner.checks import MOST_MELODIES, check, check_seed, tidy
from rltuner.errors import InputError, suggest

TABLES = ("grid", "sessions", "likes", "system")
ENVIRONMENTS = {
    "grid": ("a2c", "acktr"),
    "sessions": ("ddpg",),
    "likes": ("q-table", "dueling", "dueling-prioritised"),
}
"""Environments, and the agents that can learn in each."""
MOST_SEEDS, MOST_DIMENSIONS = 1000, 6
WHERE = "listeners"

Name = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
Sources = Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="SOURCE ...")]


@dataclass(frozen=True)
class TableConfig:
    """Run what is missing of a table, and print it: grid, sessions, likes or system."""

    name: Name
    """grid (Figures 22 and 23 of the thesis), sessions (DDPG), likes (Q-table against dueling DQN) or system (Table
    1)."""
    budget: Literal["quick", "seed"] = "quick"
    """Of grid: quick, at most 30 minutes on 2 cores; seed, the thesis' own setting, hours."""
    seeds: int = 5
    """Runs of each row."""
    sources: tuple[str, ...] = ("human",)
    """Of the catalogue: human, shipped, or any source of melodies."""
    logs: Path | None = None
    """Of sessions: people's sessions, .csv or .parquet, in place of the simulator; with --items."""
    items: Path | None = None
    """The features of the songs in --logs."""
    only_show: bool = False
    """Run nothing; print what is there."""
    jobs: int = 0
    """Processes; 0 takes every core."""
    out: Path = Path("runs/listeners")
    """Folder of the runs, which go on where they were; the table and its figures are written to it."""

    def __post_init__(self) -> None:
        tidy(self)
        _known("table", self.name, list(TABLES))
        check(WHERE, "seeds", self.seeds, 1, MOST_SEEDS)
        check(WHERE, "jobs", self.jobs, 0, 512)
        _check_logs(self.logs, self.items)


@dataclass(frozen=True)
class TrainConfig:
    """Train one agent in one environment; a folder that was stopped goes on."""

    env: str = "grid"
    """grid, sessions or likes."""
    agent: str = ""
    """a2c or acktr (grid), ddpg (sessions), q-table, dueling or dueling-prioritised (likes); "" takes the first."""
    updates: int = 0
    """Updates (grid, sessions) or episodes (likes); 0 takes the agent's own."""
    dimensions: int = 2
    """Of grid: features."""
    listener: str = "deterministic"
    """Of grid: deterministic, noisy, unequal, differing or tiring."""
    observation: Literal["grid", "board"] = "grid"
    """Of grid: what is seen."""
    reward: Literal["bullseye", "rating"] = "bullseye"
    """Of grid: what is rewarded."""
    autoencoder: Literal["inside-lstm", "pretrained-features"] = "inside-lstm"
    """Of sessions."""
    like: str = "reel"
    """Of likes: the family that the listener prefers."""
    sources: tuple[str, ...] = ("human",)
    """Of sessions and likes: the catalogue."""
    logs: Path | None = None
    """Of sessions: people's sessions in place of the simulator; with --items."""
    items: Path | None = None
    """The features of the songs in --logs."""
    seed: int = 0
    """Of everything that is random."""
    out: Path | None = None
    """Folder of the run; runs/listeners-ENV-AGENT where not given."""

    def __post_init__(self) -> None:
        tidy(self)
        _known("environment", self.env, list(ENVIRONMENTS))
        agents = ENVIRONMENTS[self.env]
        object.__setattr__(self, "agent", self.agent or agents[0])
        if self.agent not in agents:
            every = [agent for known in ENVIRONMENTS.values() for agent in known]
            remedy = (
                f"{self.env} has {', '.join(agents)}" if self.agent in every else suggest(self.agent, every)
            )
            raise InputError(f"{WHERE}: unknown agent {self.agent[:40]!r} of {self.env}; {remedy}")
        check(WHERE, "updates", self.updates, 0, 10**9)
        check(WHERE, "dimensions", self.dimensions, 1, MOST_DIMENSIONS)
        check_seed(WHERE, self.seed)
        _check_logs(self.logs, self.items)
        if self.out is None:
            object.__setattr__(self, "out", Path(f"runs/listeners-{self.env}-{self.agent}"))


@dataclass(frozen=True)
class MapConfig:
    """Draw the space of features: components, families of tunes, distances of their centres."""

    sources: Sources = ("shipped",)
    """human, shipped, checkpoints, files or folders."""
    dimensions: int = 4
    """Principal components."""
    count: int = 200
    """Melodies that a checkpoint composes."""
    length: int = 128
    """Their events."""
    note_rnn: str = "note_rnn"
    """Whose hidden states are taken."""
    seed: int = 0
    """Of what is composed."""
    out: Path = Path("listeners_map")
    """Folder for the pictures and the table; it must not exist, or be empty."""

    def __post_init__(self) -> None:
        tidy(self)
        check(WHERE, "dimensions", self.dimensions, 2, 15)
        check(WHERE, "count", self.count, 2, MOST_MELODIES)
        check(WHERE, "length", self.length, 16, 100_000)
        check_seed(WHERE, self.seed)


@dataclass(frozen=True)
class RecommendConfig:
    """A playlist for a preference, as MIDI, with the reason for each tune."""

    like: str = ""
    """A family, such as jig; "" for any."""
    by: str = ""
    """A transcriber; "" for any."""
    danceability: tuple[float, float] | None = None
    """From and to: the pulse clarity, -1 to 1."""
    start: Path | None = None
    """A MIDI, ABC or MusicXML file: tunes most like it come first."""
    count: int = 8
    """Tunes."""
    compose: bool = False
    """Where the catalogue has nothing (more) that is liked, compose it, instead of saying how the preference could
    change."""
    sources: tuple[str, ...] = ("shipped",)
    """The catalogue."""
    qpm: float = 120.0
    """Tempo in quarter notes a minute."""
    seed: int = 0
    """Of what is composed."""
    out: Path = Path("playlist")
    """Folder for the MIDI files and why.md; it must not exist, or be empty."""

    def __post_init__(self) -> None:
        tidy(self)
        check(WHERE, "count", self.count, 1, 1000)
        check(WHERE, "qpm", self.qpm, 4, 1000)
        check_seed(WHERE, self.seed)


@dataclass(frozen=True)
class FindConfig:
    """Search for a tune in your mind: you rate what is played, in a browser."""

    target: Path | None = None
    """A MIDI, ABC or MusicXML file of the tune that you have in mind: the page lets you hear it, and the end tells how
    your ratings differ from an ideal user's. The finder does not use it."""
    agent: str = "posterior"
    """posterior, or the folder of a trained run of grid."""
    dimensions: int = 4
    """Principal components of the grid."""
    feed: bool = True
    """Whether your answers go to the finder; --no-feed keeps them only, and the ideal user of --target answers, as in the
    thesis."""
    sources: tuple[str, ...] = ("shipped",)
    """The catalogue."""
    host: str = "127.0.0.1"
    """Address to listen at."""
    port: int = 8000
    """Port; 0 takes a free one."""
    seed: int = 0
    """Of the tunes drawn from a cell."""
    out: Path = Path("listeners_answers.jsonl")
    """Your answers, one a line; a file that is there is added to."""

    def __post_init__(self) -> None:
        tidy(self)
        check(WHERE, "dimensions", self.dimensions, 1, 4)
        check(WHERE, "port", self.port, 0, 65535)
        check_seed(WHERE, self.seed)
        if not self.feed and self.target is None:
            raise InputError(f"{WHERE}: --no-feed needs --target: else nobody answers")


def _known(what: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise InputError(f"{WHERE}: unknown {what} {name[:40]!r}; {suggest(name, known)}")


def _check_logs(logs: Path | None, items: Path | None) -> None:
    if (logs is None) != (items is None):
        raise InputError(f"{WHERE}: --logs and --items go together: plays, and the features of their songs")
