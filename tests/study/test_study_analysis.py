"""Who counts, what the figures say of simulated listeners with known strengths, and what is written."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_study import make_study, small_plan

from rltuner.study.analysis.analyze import Analysis, analyse
from rltuner.study.analysis.command import run_analyze, run_export, run_simulate
from rltuner.study.analysis.listeners import CAUGHT, INCLUDED, INCOMPLETE, REPEATED, rule_in_words
from rltuner.study.analysis.report import print_analysis, write_report
from rltuner.study.analysis.simulate import Simulated, analysis_of, power, simulate
from rltuner.study.folder import HUMAN_CATCH, SIMULATED, Study, read_study
from rltuner.study.plan import Design, Exclusions, Plan, Question
from rltuner.study.schedule import Trial, trials_of

TRUTH = {"note_rnn": -0.5, "psi": 0.0, "human": 0.5}


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Twelve pairs and two catch trials of each kind a listener."""
    plan = Plan(design=Design(("note_rnn", "psi", "human"), pairs=12, items=6, catch=2, seconds=0.1))
    return make_study(tmp_path_factory.mktemp("larger") / "study", plan)


def rows(
    study: Study, listeners: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the store gives for listeners who answer as `judge(trial)` says."""
    sessions, trials = [], []
    for number, listener in enumerate(listeners):
        sessions.append(
            {
                "number": number,
                "recruiting_hash": listener.get("id"),
                "about": None,
                "consented_at": float(number),
                "finished_at": None,
            }
        )
        for position, trial in enumerate(
            trials_of(study.plan, study.items, number)[: listener.get("stop")], 1
        ):
            trials.append(
                {
                    "session": number,
                    "position": position,
                    "clip_a": trial.left,
                    "clip_b": trial.right,
                    "shown_at": 100.0 * position,
                    "answers": json.dumps({"pleasing": listener["judge"](study, trial)}),
                    "plays_a": 1,
                    "plays_b": 2,
                    "answered_at": 100.0 * position + 30,
                }
            )
    return sessions, trials


def attentive(study: Study, trial: Trial) -> int:
    """Prefers the source that comes later in the list, clearly; gets every catch trial right."""
    if trial.left == trial.right:
        return 3
    a, b = study.source_of[trial.left], study.source_of[trial.right]
    order = ["catch: random notes", HUMAN_CATCH, *study.plan.design.sources]
    return 1 if order.index(a) > order.index(b) else 5


def left_only(study: Study, trial: Trial) -> int:
    return 1


def near_the_middle(study: Study, trial: Trial) -> int:
    """Hears a slight difference in an identical pair, which the rule allows, and else answers well."""
    return 4 if trial.left == trial.right else attentive(study, trial)


def test_preferences_follow_the_melodies_whatever_their_side(larger: Study) -> None:
    found = analyse(larger, *rows(larger, [{"judge": attentive}] * 6), replicates=0).findings[0]
    assert found.wins == {"note_rnn": (0, 0, 48), "psi": (24, 0, 24), "human": (48, 0, 0)}
    assert found.mean_rating == {"note_rnn": 1.0, "psi": 3.0, "human": 5.0}
    for contrast in found.contrasts:
        assert contrast.wins == (0, 0, 24)
        assert contrast.listeners == (0, 0, 6)
        assert contrast.sign_p == pytest.approx(2 / 64)
        assert contrast.sign_p_holm == pytest.approx(3 * 2 / 64)
    strengths = found.strengths.estimate
    assert strengths[0] < strengths[1] < strengths[2]
    assert found.alpha_items == 18


def test_a_preference_for_the_first_clip_gives_no_source_an_advantage(larger: Study) -> None:
    careless = replace(larger, plan=replace(larger.plan, exclusions=Exclusions(allowed_misses=4)))
    found = analyse(careless, *rows(careless, [{"judge": left_only}] * 6), replicates=0).findings[0]
    assert set(found.wins.values()) == {(24, 0, 24)}
    assert abs(found.strengths.estimate).max() < 1e-9
    assert all(contrast.listeners == (0, 6, 0) for contrast in found.contrasts)


def test_listeners_are_excluded_by_the_rule_and_only_by_it(larger: Study) -> None:
    listeners = [
        {"judge": attentive, "id": "one"},
        {"judge": left_only},
        {"judge": attentive, "stop": 15},
        {"judge": attentive, "id": "one"},
        {"judge": near_the_middle, "id": "two"},
        {"judge": attentive, "stop": 0},
    ]
    found = analyse(larger, *rows(larger, listeners), replicates=0)
    expected = [INCLUDED, CAUGHT, INCOMPLETE, REPEATED, INCLUDED, INCOMPLETE]
    assert [listener.status for listener in found.listeners] == expected
    assert found.listeners[1].missed[0] == 2
    assert sum(found.findings[0].contrasts[0].wins) == 2 * 4
    late = [{"judge": attentive, "id": "three", "stop": 3}, {"judge": attentive, "id": "three"}]
    statuses = [one.status for one in analyse(larger, *rows(larger, late), replicates=0).listeners]
    assert statuses == [INCOMPLETE, INCLUDED]  # whoever starts again in another browser counts
    strict = replace(larger, plan=replace(larger.plan, exclusions=Exclusions(identical_tolerance=0)))
    assert analyse(strict, *rows(strict, listeners), replicates=0).listeners[4].status == CAUGHT
    lenient = replace(
        larger, plan=replace(larger.plan, exclusions=Exclusions(4, least_share=0.9, one_per_id=False))
    )
    statuses = [
        listener.status for listener in analyse(lenient, *rows(lenient, listeners), replicates=0).listeners
    ]
    assert statuses == [INCLUDED] * 5 + [INCOMPLETE]
    assert "all of the 16 trials" in found.rule
    assert "at least 90%" in analyse(lenient, *rows(lenient, listeners), replicates=0).rule


def test_the_rule_counts_in_plain_english() -> None:
    assert "1 identical pair, " in rule_in_words(small_plan(catch=1))
    assert "and 1 pair of a human tune" in rule_in_words(small_plan(catch=1))
    assert "2 identical pairs, " in rule_in_words(small_plan(catch=2))
    assert "and 2 pairs of a human tune" in rule_in_words(small_plan(catch=2))


def test_one_question_decides_about_catch_trials_and_the_rule_says_which(larger: Study) -> None:
    questions = (Question("odd", "Which is odder?"), Question("pleasing", "Which is nicer?"))

    def judged(catch_question: str) -> Analysis:
        plan = replace(larger.plan, questions=questions, exclusions=Exclusions(catch_question=catch_question))
        sessions, trials = rows(larger, [{"judge": attentive}])
        for row in trials:
            row["answers"] = json.dumps({"odd": 1, **json.loads(row["answers"])})
        return analyse(replace(larger, plan=plan), sessions, trials, replicates=0)

    assert judged("").listeners[0].status == CAUGHT  # by "odd", the first
    assert "“Which is odder?” decides" in judged("").rule
    assert judged("pleasing").listeners[0].status == INCLUDED
    assert "“Which is nicer?” decides" in judged("pleasing").rule


def test_without_a_listener_who_counts_there_are_no_figures(
    larger: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = analyse(larger, *rows(larger, [{"judge": left_only}, {"judge": attentive, "stop": 3}]))
    print_analysis(found)
    said = capsys.readouterr().out
    assert "0 included, 1 incomplete" in said
    assert "No listener counts yet" in said
    write_report(found, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "No listener counts yet" in page
    for text in (said, page):
        assert not re.search(r"\+0\.00|1\.000|Kruskal|nan", text)
    assert json.loads((tmp_path / "results.json").read_text())["questions"] == []
    assert (tmp_path / "answers.csv").read_text().count(
        "\n"
    ) == 1 + 16 + 3  # everything that was answered is kept
    nobody = power(larger, Simulated(2, TRUTH, 0.7, 0.0, 1.0, 0), 3)
    assert set(nobody.values()) == {0.0}


def test_the_terminal_says_what_the_figures_of_a_contrast_are(
    larger: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    print_analysis(analyse(larger, *rows(larger, [{"judge": attentive}] * 6), replicates=0))
    said = capsys.readouterr().out
    assert "0/0/24" in said
    assert "the first source was preferred / neither / the second" in said


def test_known_strengths_of_simulated_listeners_are_recovered(larger: Study) -> None:
    """Through the whole way: schedule, sides, clips, exclusions. Careless listeners are in, most of them found out."""
    hits = 0
    for number in range(20):
        found = analysis_of(larger, Simulated(50, TRUTH, 0.7, 0.0, 0.05, 1), number, replicates=200)
        strengths = found.findings[0].strengths
        hits += all(
            low <= TRUTH[name] <= high
            for name, low, high in zip(strengths.sources, strengths.low, strengths.high, strict=True)
        )
        assert strengths.sources[strengths.estimate.argmax()] == "human"
    assert hits >= 18
    careless = analysis_of(larger, Simulated(200, TRUTH, 0.7, 0.0, 1.0, 1), replicates=0)
    assert careless.tally[CAUGHT] > 130  # of 200 who answer at random


def test_power_grows_with_the_difference_and_is_small_without_one(larger: Study) -> None:
    found = power(larger, Simulated(30, {"note_rnn": 0.0, "psi": 0.0, "human": 1.5}, 0.7, 0.0, 0.0, 0), 20)
    assert found["note_rnn", "human"] == found["psi", "human"] == 1.0
    assert found["note_rnn", "psi"] <= 0.15


def test_the_same_seed_simulates_the_same_listeners(larger: Study) -> None:
    same = Simulated(3, TRUTH, 0.7, 0.3, 0.0, 4)
    assert simulate(larger, same) == simulate(larger, same)
    assert simulate(larger, same) != simulate(larger, replace(same, seed=5))
    assert simulate(larger, same) != simulate(larger, same, 1)


def test_simulated_listeners_are_marked_in_all_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path / "pilot", small_plan())
    run_simulate(study.folder, 12, ["human=1.5"], 0.7, 0.0, 0.0, 3, 0)
    assert "note_rnn – human" in capsys.readouterr().out  # the power
    assert sorted(file.name for file in study.folder.glob("*.sqlite")) == [SIMULATED]
    run_analyze(study.folder, None, True, True, None, 0)
    assert capsys.readouterr().out.count("SIMULATED LISTENERS, NO PEOPLE") == 2
    out = study.folder / "analysis-simulated"
    page = (out / "report.html").read_text()
    assert "Simulated listeners, no people: 12" in page
    assert "Simulated: " in re.search("<title>(.*)</title>", page)[1]  # type: ignore[index]
    assert json.loads((out / "results.json").read_text())["simulated"]["strengths"]["human"] == 1.5
    assert "Simulated listeners, no people" in (out / "wins_pleasing.svg").read_text()
    for name in ("answers.csv", "listeners.csv"):
        with open(out / name, encoding="utf-8", newline="") as file:
            assert {row["simulated"] for row in csv.DictReader(file)} == {"1"}
    assert "simulated listeners, no people" in (out / "codebook.md").read_text()


def test_the_report_needs_no_other_file_and_the_codebook_explains_every_column(tmp_path: Path) -> None:
    study = make_study(tmp_path / "pilot", small_plan())
    run_simulate(study.folder, 10, [], 0.7, 0.3, 0.1, 0, 0)
    run_analyze(study.folder, None, True, True, tmp_path / "out", 0)
    page = (tmp_path / "out" / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.index("Who counts") < page.index("Which melody is more musically pleasing?")
    codebook = (tmp_path / "out" / "codebook.md").read_text()
    run_export(study.folder, None, True, tmp_path / "again")
    for name in ("answers.csv", "listeners.csv"):
        with open(tmp_path / "out" / name, encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        for column in header:
            assert re.search(rf"\b{column}\b", codebook), column
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    with open(tmp_path / "out" / "answers.csv", encoding="utf-8", newline="") as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == 10 * study.plan.trials
    assert {row["kind"] for row in answers} == {"pair", "identical", "random notes"}
    for row in answers:
        assert read_study(study.folder).source_of[row["clip_a"]] == row["source_a"]
