"""How figures are written, and when one of them is the best."""

import math

from rltuner.eval.counts import Estimate
from rltuner.eval.rows import PAPER_ROWS, Row, all_rows, best_of
from rltuner.eval.table import cells, markdown_table
from rltuner.rules import load_rulebook

UP = Row("up", "Up", "Section", "↑")
ZERO = Row("zero", "Zero", "Section", "→0", "correlation")
HALF = Row("half", "Half", "Section", "½")


def test_values_are_written_with_half_their_interval() -> None:
    assert UP.text(Estimate(0.97512, 0.97, 0.98), True) == "97.51±0.50%"
    assert UP.text(Estimate(0.97512, 0.97, 0.98)) == "97.51%"
    assert ZERO.text(Estimate(-0.0631, -0.07, -0.05), True) == "-0.063±0.010"
    assert UP.text(Estimate(math.nan, math.nan, math.nan), True) == "–"
    assert Row("n", "N", "S", "", "number").text(Estimate(-1e-9, 0, 0)) == "0.000"  # no minus before a zero


def test_the_best_is_marked_only_where_the_intervals_part() -> None:
    clear = {"a": Estimate(0.9, 0.88, 0.92), "b": Estimate(0.8, 0.78, 0.82), "c": Estimate(0.5, 0.4, 0.6)}
    assert best_of(UP, clear) == "a"
    assert best_of(UP, clear | {"b": Estimate(0.87, 0.85, 0.89)}) is None
    assert best_of(UP, {"a": clear["a"]}) is None
    published = Estimate(1.0, math.nan, math.nan)  # no interval, so it neither wins nor hinders
    assert best_of(UP, clear | {"paper": published}) == "a"
    assert best_of(Row("n", "N", "S"), clear) is None  # nothing is wanted of it


def test_near_zero_and_near_a_half_are_best_from_either_side() -> None:
    found = {"a": Estimate(-0.02, -0.03, -0.01), "b": Estimate(0.3, 0.2, 0.4), "c": Estimate(-0.9, -1, -0.8)}
    assert best_of(ZERO, found) == "a"
    assert best_of(ZERO, {"a": Estimate(-0.1, -0.3, 0.1), "b": Estimate(0.2, 0.15, 0.4)}) is None
    assert best_of(HALF, {"a": Estimate(0.45, 0.4, 0.55), "b": Estimate(1.0, 0.99, 1.0)}) == "a"


def test_a_table_says_what_it_is_told() -> None:
    columns = {"a": {"up": Estimate(0.9, 0.88, 0.92)}, "b": {"up": Estimate(0.5, 0.4, 0.6)}}
    assert cells(UP, columns, True) == ["90.00±2.00%*", "50.00±10.00%"]
    assert markdown_table(columns, [UP]).splitlines() == [
        "| row | wanted | a | b |",
        "|---|:-:|---:|---:|",
        "| Up | ↑ | 90.00%* | 50.00% |",
    ]


def test_every_row_has_a_name_of_its_own() -> None:
    names = [row.name for row in all_rows(load_rulebook("magenta"), 2.0)]
    assert len(set(names)) == len(names)
    assert {row.name for row in PAPER_ROWS} < set(names)
