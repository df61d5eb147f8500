"""What `rltuner study analyze`, `simulate` and `export` do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rltuner.console import output_console, say
from rltuner.errors import InputError
from rltuner.study.analysis.analyze import Analysis, analyse
from rltuner.study.analysis.export import export
from rltuner.study.analysis.report import print_analysis, write_report
from rltuner.study.analysis.simulate import Simulated, power, simulate
from rltuner.study.database import sqlite_address
from rltuner.study.folder import ANSWERS, SIMULATED, Study, read_study
from rltuner.study.store import open_store


def run_analyze(
    folder: Path, database: str | None, simulated: bool, report: bool, out: Path | None, seed: int
) -> None:
    """Prints the analysis; with `report` also writes report.html and the export.

    Raises InputError where the study or its database cannot be used, or nobody has answered yet.
    """
    analysis = read_analysis(folder, database, simulated, seed)
    print_analysis(analysis)
    if report:
        written = write_report(analysis, out or _out(folder, simulated))
        say(f"{written[0]} and {len(written) - 1} more files")


def run_export(folder: Path, database: str | None, simulated: bool, out: Path | None) -> None:
    """Writes answers.csv, listeners.csv and the codebook."""
    written = export(read_analysis(folder, database, simulated), out or _out(folder, simulated))
    say(", ".join(map(str, written)))


def read_analysis(
    folder: Path, database: str | None = None, simulated: bool = False, seed: int = 0
) -> Analysis:
    """The analysis of a study's answers, or of its simulated listeners'; `seed` is the bootstrap's.

    Raises InputError where the study or its database cannot be used, or nobody has answered yet.
    """
    study = read_study(folder)
    address = database or sqlite_address(folder / (SIMULATED if simulated else ANSWERS))
    store = open_store(address, study.digest, simulated=simulated, create=False)
    try:
        sessions, trials = store.rows()
        note = store.note()
    finally:
        store.close()
    if not trials:
        raise InputError(f"{folder}: nobody has answered yet")
    return analyse(study, sessions, trials, json.loads(note) if simulated else None, seed=seed)


def run_simulate(
    folder: Path,
    listeners: int,
    strengths: Sequence[str],
    ties: float,
    spread: float,
    careless: float,
    studies: int,
    seed: int,
) -> None:
    """Writes simulated listeners into a new database of their own; with `studies` prints the power of so many studies.

    Raises InputError for a strength that is not SOURCE=NUMBER of a source of the study.
    """
    study = read_study(folder)
    simulated = Simulated(listeners, _strengths(study, strengths), ties, spread, careless, seed)
    file = folder / SIMULATED
    for old in (file, *folder.glob(f"{SIMULATED}-*")):  # perhaps of the study before its texts were changed
        old.unlink(missing_ok=True)
    store = open_store(sqlite_address(file), study.digest, simulated=True)
    try:
        store.replace(simulated.to_json(), *simulate(study, simulated))
    finally:
        store.close()
    shown = ", ".join(f"{name} {value:+.2f}" for name, value in simulated.strengths.items())
    say(
        f"{file}: {listeners} simulated {'listener' if listeners == 1 else 'listeners'}; log strengths {shown}"
    )
    say(f"Analyze them with: rltuner study analyze {folder} --simulated")
    if studies:
        output_console.print(
            f"Share of {studies} simulated studies in which the sign test finds a contrast (5 %, Holm):",
            markup=False,
        )
        for (first, second), share in power(study, simulated, studies).items():
            difference = simulated.strengths[first] - simulated.strengths[second]
            output_console.print(
                f"  {first} – {second}: {share:.0%}  (log odds {difference:+.2f})", markup=False
            )


def _strengths(study: Study, given: Sequence[str]) -> dict[str, float]:
    """log strengths by source: those given, 0 for the others; without any, evenly from -0.5 to 0.5 in order."""
    sources = study.plan.design.sources
    if not given:
        step = 1 / (len(sources) - 1)
        return {source: round(place * step - 0.5, 6) for place, source in enumerate(sources)}
    strengths = dict.fromkeys(sources, 0.0)
    for entry in given:
        name, equals, value = entry.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not equals or name not in strengths or not -10 <= number <= 10:
            raise InputError(
                f"strengths: {entry!r} must be SOURCE=NUMBER with a source of the study ({', '.join(sources)}) and a "
                "number from -10 to 10"
            )
        strengths[name] = number
    return strengths


def _out(folder: Path, simulated: bool) -> Path:
    return folder / ("analysis-simulated" if simulated else "analysis")
