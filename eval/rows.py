"""Rows: every figure that the evaluator reports, with its name, its title, what is wanted of it and how it is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rltuner.eval.counts import Estimate
from rltuner.eval.form import LAGS
from rltuner.eval.paper import ROW_TITLES
from rltuner.rules.book import RuleBook
from rltuner.rules.held_out import HELD_OUT

Kind = Literal["share", "correlation", "number", "reward"]
Wanted = Literal["↓", "↑", "→0", "½", ""]
STEP_SHARES = ("notes_excessively_repeated", "notes_not_in_key", "notes_in_motif", "notes_in_repeated_motif")
SOUNDING = "_sounding"  # ends the names of rows that are shares of sounding notes instead of steps


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    section: str
    wanted: Wanted = ""
    """What the rules, or good sense, ask for: lower, higher, near 0, near a half, or nothing in itself."""
    kind: Kind = "share"

    def text(self, estimate: Estimate, with_interval: bool = False) -> str:
        """The value as people read it, with half the width of its interval where asked and known; a dash for NaN."""
        if math.isnan(estimate.value):
            return "–"
        if math.isinf(estimate.value):
            return "∞"
        half = (estimate.high - estimate.low) / 2
        shown = with_interval and not math.isnan(half)
        if self.kind == "share":
            return f"{100 * estimate.value:.2f}" + (f"±{100 * half:.2f}" if shown else "") + "%"
        digits = 2 if self.kind == "reward" or abs(estimate.value) >= 10 else 3
        sign = "" if self.kind == "number" else "+"
        value = round(estimate.value, digits) + 0.0  # no minus before a zero
        return f"{value:{sign}.{digits}f}" + (f"±{half:.{digits}f}" if shown else "")

    def distance(self, estimate: Estimate) -> Estimate:
        """How far from what is wanted, with its interval: the smaller the better. NaN where nothing is wanted."""
        if self.wanted == "":
            return Estimate(math.nan, math.nan, math.nan)
        sign, goal = {"↓": (1.0, 0.0), "↑": (-1.0, 0.0), "→0": (1.0, 0.0), "½": (1.0, 0.5)}[self.wanted]
        value, low, high = (sign * (x - goal) for x in (estimate.value, estimate.low, estimate.high))
        if self.wanted in ("↓", "↑"):
            return Estimate(value, min(low, high), max(low, high))
        nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
        return Estimate(abs(value), nearest, max(abs(low), abs(high)))


def best_of(row: Row, estimates: Mapping[str, Estimate]) -> str | None:
    """The source nearest to what the row wants, if its interval parts from every other's; else None."""
    known = {name: row.distance(e) for name, e in estimates.items()}
    known = {name: e for name, e in known.items() if not (math.isnan(e.value) or math.isnan(e.low))}
    if len(known) < 2:
        return None
    best = min(known, key=lambda name: known[name].value)
    return best if all(known[best].parts_from(e) for name, e in known.items() if name != best) else None


PAPER = "The RL Tuner paper's rows"
_CORRELATIONS = ("autocorrelation_lag1", "autocorrelation_lag2", "autocorrelation_lag3")
_SMALLER = ("notes_excessively_repeated", "notes_not_in_key")
PAPER_ROWS = tuple(
    Row(
        name,
        title,
        PAPER,
        "→0" if name in _CORRELATIONS else "↓" if name in _SMALLER else "↑",
        "correlation" if name in _CORRELATIONS else "share",
    )
    for name, title in ROW_TITLES.items()
)


def paper_rows_with_sounding() -> list[Row]:
    """The paper's rows, and after each share of steps the share of sounding notes."""
    rows = []
    for row in PAPER_ROWS:
        rows.append(row)
        if row.name in STEP_SHARES:
            rows.append(Row(row.name + SOUNDING, "  of sounding notes", PAPER, row.wanted))
    return rows


KEY_ROWS = (Row("notes_in_own_key", "Notes in the melody's own key", "Key", "↑"),)

DIVERSITY_ROWS = (
    Row("distinct", "Distinct melodies", "Diversity", "↑"),
    Row("distinct_4grams", "Distinct runs of 4", "Diversity", ""),
    Row("distinct_8grams", "Distinct runs of 8", "Diversity", ""),
    Row("edit_distance", "Mean edit distance of two", "Diversity", "↑", "number"),
    Row("self_similarity", "Similarity to the nearest other", "Diversity", "", "number"),
)

COPYING_ROWS = (
    Row("copied_8grams", "8 events of a training tune", "Copying", ""),
    Row("copied_16grams", "16 events of a training tune", "Copying", ""),
)

FIDELITY = "Fidelity to the Note RNN, nats an event"
FIDELITY_ROWS = (
    Row("log_prior", "log p under the Note RNN", FIDELITY, "", "number"),
    Row("kl", "KL(π‖p)", FIDELITY, "", "number"),
    Row("reverse_kl", "KL(p‖π)", FIDELITY, "", "number"),
    Row("entropy", "Entropy of the policy", FIDELITY, "", "number"),
)

TEXTURE = "Rhythm and texture"
TEXTURE_ROWS = (
    Row("onset_rate", "Steps that begin a note", TEXTURE),
    Row("hold_rate", "Steps that hold one", TEXTURE),
    Row("rest_rate", "Silent steps", TEXTURE),
    Row("mean_inter_onset", "Onset to onset, sixteenths", TEXTURE, "", "number"),
    Row("pitch_range", "Range, semitones", TEXTURE, "", "number"),
    Row("pitch_class_entropy", "Pitch-class entropy, bits", TEXTURE, "", "number"),
    Row("mean_interval", "Interval, semitones", TEXTURE, "", "number"),
    Row("scale_consistency", "Scale consistency", TEXTURE, "", "share"),
    Row("groove_consistency", "Groove consistency", TEXTURE, "", "share"),
    Row("empty_bar_rate", "Empty bars", TEXTURE, "", "share"),
)

FORM = "Form over the whole melody"
FORM_ROWS = (
    Row("returning", "Bars that return exactly", FORM),
    Row("returning_in_rhythm", "… in rhythm", FORM),
    Row("returning_moved", "… exactly or on another degree", FORM),
    *(Row(f"similarity_lag{lag}", f"Like the bar {lag} before", FORM) for lag in LAGS),
    Row("compressed", "Bytes an event, compressed", FORM, "", "number"),
    Row("ends_on_tonic", "Ending on the tonic", FORM),
    Row("half_cadences", "Bar 4 of 8 ends on the dominant", FORM),
    Row("full_cadences", "Bar 8 of 8 ends on the tonic", FORM),
)

LIKENESS = "Likeness to the held-out human tunes"
LIKENESS_ROWS = (
    Row("overlap_area", "Overlap of distances", LIKENESS, "↑", "number"),
    Row("overlap_divergence", "KL of distances, nats", LIKENESS, "↓", "number"),
    Row("told_from_human", "Told from human, logistic", LIKENESS, "½"),
    Row("told_from_human_trees", "Told from human, trees", LIKENESS, "½"),
)

HELD_OUT_ROWS = tuple(
    Row(f"held_out_{name}", name, "Mean reward a melody by held-out rules, in no shipped book", "", "reward")
    for name in HELD_OUT
)


def reward_rows(rewards: Mapping[str, float]) -> list[Row]:
    """One row for each rule of the dictionary that `rltuner.eval.mean_rewards` gives."""
    return [Row(name, name, "Rewards", "", "reward") for name in rewards]


def rule_rows(book: RuleBook, c: float) -> list[Row]:
    """One row for each rule of the book, their total, and J."""
    section = f"Mean reward a melody by the {book.name} book, in {book.key}"
    rows = [Row(f"rule_{name}", name, section, "", "reward") for name in book.rules]
    objective = Row("objective", f"J at c = {c:g}, nats a melody", section, "↑", "reward")
    return [*rows, Row("rule_total", "total", section, "↑", "reward"), objective]


def all_rows(book: RuleBook | None, c: float) -> list[Row]:
    """Every row, section by section."""
    return [
        *paper_rows_with_sounding(),
        *KEY_ROWS,
        *DIVERSITY_ROWS,
        *COPYING_ROWS,
        *FIDELITY_ROWS,
        *TEXTURE_ROWS,
        *FORM_ROWS,
        *LIKENESS_ROWS,
        *(rule_rows(book, c) if book is not None else ()),
        *HELD_OUT_ROWS,
    ]


def by_section(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each section, in order."""
    sections: dict[str, list[Row]] = {}
    for row in rows:
        sections.setdefault(row.section, []).append(row)
    return sections
