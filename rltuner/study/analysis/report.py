"""An analysis for people: tables in the terminal, a plot, report.html and results.json."""

from __future__ import annotations

import base64
import io
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2
from rich.table import Table

from rltuner.console import output_console
from rltuner.melody.plots import pyplot
from rltuner.study.analysis.analyze import Analysis, Finding
from rltuner.study.analysis.export import export, write_files
from rltuner.study.analysis.listeners import CAUGHT, INCLUDED, INCOMPLETE, REPEATED
from rltuner.study.folder import frozen_at
from rltuner.version import __version__

NOBODY = "No listener counts yet who has judged a pair, so there are no figures."
LEGEND = (
    "Contrasts: trials in which the first source was preferred / neither / the second; listeners who preferred the first "
    "more often / as often / less often. Sign test over listeners, Mann-Whitney over ratings, Holm's correction over the "
    "contrasts."
)
STATUSES = (INCLUDED, INCOMPLETE, REPEATED, CAUGHT)


def print_analysis(analysis: Analysis) -> None:
    """Prints the analysis as tables: exclusions first, then every question."""
    show = output_console.print
    mark = "SIMULATED LISTENERS, NO PEOPLE: " if analysis.simulated is not None else ""
    if mark:
        show(f"{mark}{_made_of(analysis)}", markup=False, soft_wrap=True)
    show(analysis.rule, markup=False, soft_wrap=True)
    show(", ".join(f"{analysis.tally[status]} {status}" for status in STATUSES), markup=False)
    if not analysis.findings:
        show(NOBODY, markup=False)
    for finding in analysis.findings:
        show(f"\n{mark}{finding.question.text}", markup=False, soft_wrap=True)
        show(_sources_table(finding))
        show(_contrasts_table(finding))
        test = finding.kruskal_wallis
        show(
            f"Kruskal-Wallis H = {number(test.statistic, 2)} with {len(finding.wins) - 1} degrees of freedom, "
            f"p {p_value(test.p, True)}; Davidson's ν = {finding.strengths.tie:.2f}; Krippendorff's α (ordinal) = "
            f"{number(finding.alpha, 3)} over {finding.alpha_items} pairs of clips",
            markup=False,
            soft_wrap=True,
        )
    if analysis.findings:
        show(f"\n{LEGEND}", markup=False, soft_wrap=True)


def write_report(analysis: Analysis, folder: Path) -> list[Path]:
    """report.html, results.json, a plot for each question, and the export. InputError where it cannot be written."""
    plots = [wins_plot(analysis, finding) for finding in analysis.findings]
    contents = {"report.html": _html(analysis, plots).encode(), "results.json": _json(analysis).encode()}
    for finding, plot in zip(analysis.findings, plots, strict=True):
        contents[f"wins_{finding.question.id}.svg"] = plot
    return write_files(folder, contents) + export(analysis, folder)


def number(value: float, digits: int) -> str:
    """The value with so many decimals; a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def p_value(p: float, sign: bool = False) -> str:
    """A p value as papers print it, with "=" or "<" where `sign`."""
    if math.isnan(p):
        return "= –" if sign else "–"
    if p < 0.001:
        return "< 0.001"
    return f"{'= ' if sign else ''}{p:.3f}"


def wins_plot(analysis: Analysis, finding: Finding) -> bytes:
    """Wins, ties and losses of each source as stacked hatched bars, and strengths with their intervals; SVG."""
    plt = pyplot()
    rows = _ordered(finding)
    names = [name for name, *_ in rows]
    with plt.rc_context({"svg.hashsalt": "rltuner", "svg.fonttype": "none", "hatch.linewidth": 0.7}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 0.55 * len(rows) + 1.9), layout="constrained")
        start = [0] * len(rows)
        styles = (("won", "black", ""), ("tied", "white", "////"), ("lost", "0.8", ""))
        for place, (title, colour, hatch) in enumerate(styles):
            widths = [finding.wins[name][place] for name in names]
            left.barh(
                names,
                widths,
                left=start,
                color=colour,
                edgecolor="black",
                hatch=hatch,
                label=title,
                height=0.62,
            )
            start = [a + b for a, b in zip(start, widths, strict=True)]
        left.set(xlabel="trials", title="Trials of each source")
        left.legend(ncols=3, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18), fontsize=9)
        for place, (_, value, low, high) in enumerate(rows):
            if not math.isnan(low):
                right.plot([low, high], [place, place], color="black", linewidth=1.6)
            right.plot([value], [place], "o", color="black", markersize=7)
        right.axvline(0, color="0.6", linewidth=0.9, zorder=0)
        right.set_yticks(range(len(rows)), names)
        right.set_ylim(-0.6, len(rows) - 0.4)
        right.set(xlabel="log strength, joint 95 % intervals", title="Strength (Bradley-Terry-Davidson)")
        left.invert_yaxis()
        right.invert_yaxis()
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        if analysis.simulated is not None:
            figure.suptitle("Simulated listeners, no people", fontweight="bold")
        picture = io.BytesIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
        plt.close(figure)
    return picture.getvalue()


def _ordered(finding: Finding) -> list[tuple[str, float, float, float]]:
    """(source, strength, low, high), the strongest first."""
    found = finding.strengths
    rows = zip(found.sources, found.estimate.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
    return sorted(rows, key=lambda row: -row[1])


def _made_of(analysis: Analysis) -> str:
    made = analysis.simulated or {}
    strengths = ", ".join(f"{name} {value:+.2f}" for name, value in made["strengths"].items())
    return (
        f"{made['listeners']} with log strengths {strengths}; ν {made['ties']:g}, spread {made['spread']:g}, "
        f"{made['careless']:.0%} careless, seed {made['seed']}"
    )


def _sources_table(finding: Finding) -> Table:
    table = Table(
        "source", *("strength", "joint 95 % interval", "won", "tied", "lost", "mean rating"), box=None
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for name, value, low, high in _ordered(finding):
        wins = (str(count) for count in finding.wins[name])
        interval = "–" if math.isnan(low) else f"{low:+.2f} to {high:+.2f}"
        table.add_row(name, f"{value:+.2f}", interval, *wins, number(finding.mean_rating[name], 2))
    return table


def _contrasts_table(finding: Finding) -> Table:
    titles = ("trials", "listeners", "sign test p", "Holm", "Mann-Whitney U", "p", "Holm")
    table = Table("contrast", *titles, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for one in finding.contrasts:
        table.add_row(
            " – ".join(one.sources),
            "/".join(map(str, one.wins)),
            "/".join(map(str, one.listeners)),
            p_value(one.sign_p),
            p_value(one.sign_p_holm),
            number(one.mann_whitney.statistic, 0),
            p_value(one.mann_whitney.p),
            p_value(one.mann_whitney_p_holm),
        )
    return table


def _html(analysis: Analysis, plots: list[bytes]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rltuner.study", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    plan = analysis.study.plan
    included = [listener for listener in analysis.listeners if listener.status == INCLUDED]
    about = []
    for asked in plan.listener_questions:
        counts = Counter(listener.about.get(asked.id, "") for listener in included)
        about.append((asked, [(choice, counts[choice]) for choice in asked.choices]))
    return environment.get_template("report.html").render(
        a=analysis,
        plan=plan,
        statuses=STATUSES,
        nobody=NOBODY,
        strengths=[_ordered(finding) for finding in analysis.findings],
        plots=["data:image/svg+xml;base64," + base64.b64encode(plot).decode() for plot in plots],
        about=about,
        p=p_value,
        number=number,
        version=__version__,
        frozen=frozen_at(analysis.study.folder),
    )


def _json(analysis: Analysis) -> str:
    """The figures for programs; null for what is not defined."""
    findings = [
        {
            "question": finding.question.id,
            "strengths": {
                name: {"log_strength": value, "low": low, "high": high}
                for name, value, low, high in _ordered(finding)
            },
            "tie": finding.strengths.tie,
            "wins": finding.wins,
            "mean_rating": finding.mean_rating,
            "kruskal_wallis": {"h": finding.kruskal_wallis.statistic, "p": finding.kruskal_wallis.p},
            "contrasts": [
                {
                    "sources": one.sources,
                    "trials": one.wins,
                    "listeners": one.listeners,
                    "sign_p": one.sign_p,
                    "sign_p_holm": one.sign_p_holm,
                    "mann_whitney_u": one.mann_whitney.statistic,
                    "mann_whitney_p": one.mann_whitney.p,
                    "mann_whitney_p_holm": one.mann_whitney_p_holm,
                }
                for one in finding.contrasts
            ],
            "krippendorff_alpha": finding.alpha,
        }
        for finding in analysis.findings
    ]
    content = {
        "simulated": analysis.simulated,
        "study": analysis.study.digest,
        "rltuner": __version__,
        "exclusions": analysis.rule,
        "listeners": {status: analysis.tally[status] for status in STATUSES},
        "questions": findings,
    }
    return json.dumps(_without_nan(content), indent=1, ensure_ascii=False) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value
