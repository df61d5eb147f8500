"""The command `rltuner study`: new, serve, analyze, simulate, export. Thin, as `rltuner.cli` is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tyro

from rltuner.config_checks import check, check_seed, tidy
from rltuner.errors import InputError

Command = Callable[[], object]


@dataclass(frozen=True)
class NewConfig:
    """Make a study: clips of every source, and study.toml to edit."""

    name: tyro.conf.Positional[Path]
    """The study's folder; it must not exist."""
    sources: tuple[str, ...] = ("note_rnn", "q", "psi", "g", "human")
    """Checkpoints (shipped names, folders, run folders), folders of MIDI files, or `human`: the test tunes. The results
    call each by the last part of its path, or as you say: NAME=SOURCE."""
    pairs: int = 40
    """Trials a listener: pairs of clips that one person judges, besides catch trials."""
    items: int = 0
    """Clip pairs for each pair of sources, of which a listener hears some; 0: as many as one hears, at least 8."""
    catch: int = 2
    """Catch trials of each kind: an identical pair, and a human tune against random notes."""
    bars: int | None = None
    """Length of every clip in bars of 4/4; 4 where --seconds is not given either."""
    seconds: float | None = None
    """The same in seconds, rounded to whole sixteenths, instead of --bars."""
    qpm: float = 100.0
    """Tempo of every clip in quarter notes a minute."""
    seed: int = 0
    """Of the melodies, the order and the sides."""
    config: Path | None = None
    """A study.toml whose questions, texts and exclusions the study takes over."""

    def __post_init__(self) -> None:
        where = "study new"
        tidy(self)
        check(where, "pairs", self.pairs, 1, 1000)
        check(where, "items", self.items, 0, 1000)
        check(where, "catch", self.catch, 0, 20)
        check(where, "qpm", self.qpm, 4, 1000)
        check_seed(where, self.seed)
        if self.bars is not None and self.seconds is not None:
            raise InputError(f"{where}: bars = {self.bars} and seconds = {self.seconds:g}; give one of them")
        if self.bars is not None:
            check(where, "bars", self.bars, 1, 32)
        if self.seconds is not None:
            check(where, "seconds", self.seconds, 0.1, 120)


def new(config: NewConfig) -> Command:
    """Make a study: clips of every source, and study.toml to edit."""

    def run() -> None:
        from rltuner.study.plan import Plan
        from rltuner.study.plan_file import read_plan
        from rltuner.study.stimuli import named, new_study

        base = read_plan(config.config) if config.config is not None else Plan()
        names, sources = zip(*named(config.sources), strict=True)
        contrasts = max(1, len(names) * (len(names) - 1) // 2)
        step = 15 / config.qpm  # seconds of a sixteenth
        events = (config.bars or 4) * 16 if config.seconds is None else max(1, round(config.seconds / step))
        plan = dataclasses.replace(
            base,
            design=dataclasses.replace(
                base.design,
                sources=names,
                pairs=config.pairs,
                items=config.items or max(8, -(-config.pairs // contrasts)),
                catch=config.catch,
                seconds=round(events * step, 6),
                qpm=config.qpm,
                seed=config.seed,
            ),
        )
        new_study(config.name, sources, plan, events)

    return run


@dataclass(frozen=True)
class ServeConfig:
    """Serve a study to listeners' browsers; the first start freezes it."""

    name: tyro.conf.Positional[Path]
    """The study's folder."""
    host: str = "127.0.0.1"
    """Address to listen at. 0.0.0.0 lets other machines in; for the open internet put a reverse proxy before it."""
    port: int = 8000
    """Port to listen at; 0 takes a free one."""
    database: str | None = None
    """SQLAlchemy address of the answers, such as postgresql+psycopg://user@host/name. Default: NAME/answers.sqlite."""
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


def serve(config: ServeConfig) -> Command:
    """Serve a study to listeners' browsers; the first start freezes it."""

    def run() -> None:
        _check_installed()
        from rltuner.study.serve import serve

        serve(
            config.name,
            config.host,
            config.port,
            config.database,
            preview=config.preview,
            freeze_only=config.freeze,
        )

    return run


@dataclass(frozen=True)
class AnalyzeConfig:
    """Exclusions, tests, strengths and agreement; with --report a page, plots and CSV files."""

    name: tyro.conf.Positional[Path]
    """The study's folder."""
    report: bool = False
    """Also write report.html, results.json, plots, CSV files and their codebook."""
    out: Path | None = None
    """Folder for them. Default: NAME/analysis."""
    simulated: bool = False
    """Analyze the listeners of `rltuner study simulate`; all output says so."""
    database: str | None = None
    """SQLAlchemy address of the answers. Default: NAME/answers.sqlite."""
    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        tidy(self)
        check_seed("study analyze", self.seed)


def analyze(config: AnalyzeConfig) -> Command:
    """Exclusions, tests, strengths and agreement; with --report a page, plots and CSV files."""

    def run() -> None:
        _check_installed()
        from rltuner.study.command import run_analyze

        run_analyze(config.name, config.database, config.simulated, config.report, config.out, config.seed)

    return run


@dataclass(frozen=True)
class SimulateConfig:
    """Simulated listeners with known strengths, to plan how many are needed."""

    name: tyro.conf.Positional[Path]
    """The study's folder. The listeners go into NAME/simulated.sqlite, never among people's answers."""
    listeners: int = 50
    """How many."""
    strengths: tuple[str, ...] = ()
    """Log strengths as SOURCE=NUMBER; 0 for a source that is not named. Default: evenly from -0.5 to 0.5, in order."""
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


def simulate(config: SimulateConfig) -> Command:
    """Simulated listeners with known strengths, to plan how many are needed."""

    def run() -> None:
        _check_installed()
        from rltuner.study.command import run_simulate

        run_simulate(
            config.name,
            config.listeners,
            config.strengths,
            config.ties,
            config.spread,
            config.careless,
            config.studies,
            config.seed,
        )

    return run


@dataclass(frozen=True)
class ExportConfig:
    """Write the answers as CSV files with a codebook."""

    name: tyro.conf.Positional[Path]
    """The study's folder."""
    out: Path | None = None
    """Folder to write to. Default: NAME/analysis."""
    simulated: bool = False
    """Export the listeners of `rltuner study simulate`; every row says so."""
    database: str | None = None
    """SQLAlchemy address of the answers. Default: NAME/answers.sqlite."""

    def __post_init__(self) -> None:
        tidy(self)


def export(config: ExportConfig) -> Command:
    """Write the answers as CSV files with a codebook."""

    def run() -> None:
        _check_installed()
        from rltuner.study.command import run_export

        run_export(config.name, config.database, config.simulated, config.out)

    return run


def _check_installed() -> None:
    """InputError, with the command, where a package of the extra is missing."""
    from importlib.util import find_spec

    for package in ("fastapi", "uvicorn", "sqlalchemy", "jinja2"):
        if find_spec(package) is None:
            raise InputError(f"study needs {package}, which is not installed: pip install 'rltuner[study]'")


COMMANDS: dict[str, Callable[..., Command]] = {
    "new": new,
    "serve": serve,
    "analyze": analyze,
    "simulate": simulate,
    "export": export,
}
