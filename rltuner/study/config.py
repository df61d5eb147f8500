"""The configurations of `rltuner study`: new, serve, analyze, simulate, export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from rltuner.checks import check, check_seed, tidy
from rltuner.errors import InputError


def _shown(metavar: str, default: str = "") -> Any:
    """How --help shows an option whose default is not its value but a rule."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})" if default else "")


OUT = "NAME/analysis; NAME/analysis-simulated with --simulated"


Folder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="NAME")]


@dataclass(frozen=True)
class NewConfig:
    """Make a study: clips of every source, and study.toml to edit."""

    name: Folder
    """The study's folder; it must not exist."""
    sources: Annotated[tuple[str, ...], _shown("SOURCE ...", "note_rnn tune human")] = ()
    """Checkpoints (shipped names, folders, run folders), folders of MIDI files, or `human`: the test tunes. The results
    call each by the last part of its path, or as you say: NAME=SOURCE."""
    pairs: Annotated[int | None, _shown("INT", "24")] = None
    """Trials a listener: pairs of clips that one person judges, besides catch trials."""
    items: Annotated[int | None, _shown("INT", "0")] = None
    """Clip pairs for each pair of sources, of which a listener hears some; 0: as many as one hears, at least 8."""
    catch: Annotated[int | None, _shown("INT", "2")] = None
    """Catch trials of each kind: an identical pair, and a human tune against random notes."""
    bars: Annotated[int | None, _shown("INT", "8")] = None
    """Length of every clip in bars of 4/4."""
    seconds: Annotated[float | None, _shown("FLOAT", "19.2")] = None
    """The same in seconds, rounded to whole sixteenths, instead of --bars."""
    qpm: Annotated[float | None, _shown("FLOAT", "100")] = None
    """Tempo of every clip in quarter notes a minute."""
    seed: Annotated[int | None, _shown("INT", "0")] = None
    """Of the melodies, the order and the sides."""
    config: Annotated[Path | None, _shown("FILE", "")] = None
    """A study.toml that the study takes over: questions, texts, exclusions, and of [design] what is not given here."""

    def __post_init__(self) -> None:
        where = "study new"
        tidy(self)
        for name, low, high in (("pairs", 1, 1000), ("items", 0, 1000), ("catch", 0, 20), ("qpm", 4, 1000)):
            if getattr(self, name) is not None:
                check(where, name, getattr(self, name), low, high)
        if self.seed is not None:
            check_seed(where, self.seed)
        if self.bars is not None and self.seconds is not None:
            raise InputError(f"{where}: bars = {self.bars} and seconds = {self.seconds:g}; give one of them")
        if self.bars is not None:
            check(where, "bars", self.bars, 1, 32)
        if self.seconds is not None:
            check(where, "seconds", self.seconds, 0.1, 120)


@dataclass(frozen=True)
class ServeConfig:
    """Serve a study to listeners' browsers; the first start freezes it."""

    name: Folder
    """The study's folder."""
    host: str = "127.0.0.1"
    """Address to listen at. 0.0.0.0 lets other machines in; for the open internet put a reverse proxy before it."""
    port: int = 8000
    """Port to listen at; 0 takes a free one."""
    database: Annotated[str | None, _shown("ADDRESS", "NAME/answers.sqlite")] = None
    """SQLAlchemy address of the answers, such as postgresql+psycopg://user@host/name."""
    preview: bool = False
    """Try the study out: freeze nothing and keep no answers."""
    freeze: bool = False
    """Only freeze the study and print its hash, for a pre-registration."""

    def __post_init__(self) -> None:
        tidy(self)
        check("study serve", "port", self.port, 0, 65535)
        if self.preview and (self.freeze or self.database is not None):
            raise InputError(
                "study serve: preview freezes nothing and keeps no answers; leave out the other option"
            )


@dataclass(frozen=True)
class AnalyzeConfig:
    """Exclusions, tests, strengths and agreement; with --report a page, plots and CSV files."""

    name: Folder
    """The study's folder."""
    report: bool = False
    """Also write report.html, results.json, plots, CSV files and their codebook."""
    out: Annotated[Path | None, _shown("FOLDER", OUT)] = None
    """Folder for them. Those of an earlier analysis in it are replaced."""
    simulated: bool = False
    """Analyze the listeners of `rltuner study simulate`; all output says so."""
    database: Annotated[str | None, _shown("ADDRESS", "NAME/answers.sqlite")] = None
    """SQLAlchemy address of the answers."""
    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        tidy(self)
        check_seed("study analyze", self.seed)


@dataclass(frozen=True)
class SimulateConfig:
    """Simulated listeners with known strengths, to plan how many are needed."""

    name: Folder
    """The study's folder. NAME/simulated.sqlite in it is made anew; people's answers are not touched."""
    listeners: int = 50
    """How many."""
    strengths: Annotated[
        tuple[str, ...], _shown("SOURCE=NUMBER ...", "evenly from -0.5 to 0.5, in order")
    ] = ()
    """Log strengths; 0 for a source that is not named."""
    ties: float = 0.7
    """Davidson's nu: odds of "no difference" between two sources of one strength, against either being preferred."""
    spread: float = 0.3
    """Standard deviation of a listener's own log strengths."""
    careless: float = 0.05
    """Share of listeners who answer at random."""
    studies: int = 0
    """Also print the power: in how many of so many simulated studies each contrast is found."""
    seed: int = 0
    """Of the listeners."""

    def __post_init__(self) -> None:
        where = "study simulate"
        tidy(self)
        check(where, "listeners", self.listeners, 1, 100_000)
        check(where, "ties", self.ties, 1e-6, 1000)
        check(where, "spread", self.spread, 0, 10)
        check(where, "careless", self.careless, 0, 1)
        check(where, "studies", self.studies, 0, 100_000)
        check_seed(where, self.seed)


@dataclass(frozen=True)
class ExportConfig:
    """Write the answers as CSV files with a codebook."""

    name: Folder
    """The study's folder."""
    out: Annotated[Path | None, _shown("FOLDER", OUT)] = None
    """Folder to write to. Files of an earlier export in it are replaced."""
    simulated: bool = False
    """Export the listeners of `rltuner study simulate`; every row says so."""
    database: Annotated[str | None, _shown("ADDRESS", "NAME/answers.sqlite")] = None
    """SQLAlchemy address of the answers."""

    def __post_init__(self) -> None:
        tidy(self)
