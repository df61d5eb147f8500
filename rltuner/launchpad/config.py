"""The configurations of `rltuner launchpad`: play, explore, generate. That of train is `learning.config`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rltuner.checks import check, check_seed, tidy
from rltuner.launchpad.choices import Start

SLOWEST_QPM, FASTEST_QPM = 40, 240
MOST_BARS = 100_000


@dataclass(frozen=True)
class PlayConfig:
    """Open the launchpad in a browser; a policy plays along, one press a bar."""

    policy: str = "greedy"
    """greedy (the press after which the exact reward is largest), a shipped policy (mlp), or a run's folder."""
    host: str = "127.0.0.1"
    """Address to listen at. 0.0.0.0 lets other machines in."""
    port: int = 8001
    """Port to listen at; 0 takes a free one."""
    qpm: float = 100.0
    """Tempo in quarter notes a minute."""
    midi_port: str | None = None
    """MIDI output of this machine to play on, by its name or a part of it; needs the extra launchpad."""
    pads: str | None = None
    """Novation Launchpad (X, Mini MK3 or Pro MK3) at this machine to play with, by a part of its port's name."""
    browser: bool = True
    """Open the page in this machine's browser."""

    def __post_init__(self) -> None:
        tidy(self)
        check("launchpad play", "port", self.port, 0, 65535)
        check("launchpad play", "qpm", self.qpm, SLOWEST_QPM, FASTEST_QPM)


@dataclass(frozen=True)
class ExploreConfig:
    """The seed's tabular experiment on one note of four steps, and its three figures."""

    out: Path = Path("runs/launchpad-explore")
    """Folder for the figures and results.json; it must not exist or be empty."""
    seed: int = 0
    """Of the session in figures 8 and 9."""
    repeats: int = 16
    """Of each beta. 16 is the seed's."""
    sweeps: int = 400
    """Over all actions while exploring. 400 is the seed's."""

    def __post_init__(self) -> None:
        tidy(self)
        check_seed("launchpad explore", self.seed)
        check("launchpad explore", "repeats", self.repeats, 2, 10_000)
        check("launchpad explore", "sweeps", self.sweeps, 1, 100_000)


@dataclass(frozen=True)
class GenerateConfig:
    """Let a policy play alone, and write what it played as MIDI."""

    policy: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="POLICY")]
    """A shipped policy (mlp), greedy, or a run's folder."""
    bars: int = 64
    """How many; one press before each."""
    out: Path = Path("launchpad.mid")
    """File to write; it must not exist."""
    qpm: float = 100.0
    """Tempo in quarter notes a minute."""
    start: Start = "sparse"
    """First state: random, sparse (some beats are on) or empty."""
    epsilon: float = 0.05
    """Share of random presses, so that a policy that has found its bar goes on."""
    seed: int = 0
    """Of the first state and of random presses."""

    def __post_init__(self) -> None:
        tidy(self)
        check("launchpad generate", "bars", self.bars, 1, MOST_BARS)
        check("launchpad generate", "qpm", self.qpm, 4, 1000)
        check("launchpad generate", "epsilon", self.epsilon, 0, 1)
        check_seed("launchpad generate", self.seed)
