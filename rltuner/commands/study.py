"""The command `rltuner study`: new, serve, analyze, simulate, export. Thin, as all commands are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from rltuner.commands.options import Command
from rltuner.errors import InputError
from rltuner.study.config import AnalyzeConfig, ExportConfig, NewConfig, ServeConfig, SimulateConfig


def new(config: NewConfig) -> Command:
    """Make a study: clips of every source, and study.toml to edit."""

    def run() -> None:
        from rltuner.study.plan import Plan
        from rltuner.study.plan_file import read_plan
        from rltuner.study.stimuli import designed, new_study, sources_of

        base = read_plan(config.config) if config.config is not None else Plan()
        sources = sources_of(base.design, config.config, config.sources)
        given = {name: getattr(config, name) for name in ("pairs", "items", "catch", "qpm", "seed")}
        design, events = designed(
            base.design, [name for name, _ in sources], given, config.bars, config.seconds
        )
        new_study(
            config.name, [source for _, source in sources], dataclasses.replace(base, design=design), events
        )

    return run


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


def analyze(config: AnalyzeConfig) -> Command:
    """Exclusions, tests, strengths and agreement; with --report a page, plots and CSV files."""

    def run() -> None:
        _check_installed()
        from rltuner.study.analysis.command import run_analyze

        run_analyze(config.name, config.database, config.simulated, config.report, config.out, config.seed)

    return run


def simulate(config: SimulateConfig) -> Command:
    """Simulated listeners with known strengths, to plan how many are needed."""

    def run() -> None:
        _check_installed()
        from rltuner.study.analysis.command import run_simulate

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


def export(config: ExportConfig) -> Command:
    """Write the answers as CSV files with a codebook."""

    def run() -> None:
        _check_installed()
        from rltuner.study.analysis.command import run_export

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
