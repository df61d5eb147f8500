"""The design as facts: who is compared with whom how often, on which side, in which order; and study.toml."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest

from rltuner.errors import InputError
from rltuner.study.plan import Design, Exclusions, ListenerQuestion, Plan, Question, Texts
from rltuner.study.plan_file import plan_toml, read_plan
from rltuner.study.schedule import Items, Trial, trials_of

DESIGNS = [
    (5, 40, 8, 2),
    (5, 13, 3, 2),
    (4, 7, 2, 0),
    (3, 2, 1, 1),
    (2, 9, 9, 1),
]  # sources, pairs, items, catch


def design_of(sources: int, pairs: int, items: int, catch: int, seed: int = 0) -> tuple[Plan, Items]:
    plan = Plan(design=Design(tuple("abcde"[:sources]), pairs=pairs, items=items, catch=catch, seed=seed))
    contrasts = {
        (a, b): [(f"{a}{a}{b}{k}", f"{b}{a}{b}{k}") for k in range(items)] for a, b in plan.contrasts
    }
    return plan, Items(
        contrasts, [f"same{k}" for k in range(catch)], [(f"tune{k}", f"noise{k}") for k in range(catch)]
    )


def sources_of(trials: list[Trial]) -> list[tuple[str, str]]:
    """(source of A, source of B) of the pairs, catch trials left out."""
    return [(t.left[0], t.right[0]) for t in trials if t.left[0] in "abcde" and t.left != t.right]


@pytest.mark.parametrize("numbers", DESIGNS)
def test_every_pair_of_sources_is_compared_equally_often(numbers: tuple[int, int, int, int]) -> None:
    plan, items = design_of(*numbers)
    contrasts = len(plan.contrasts)
    total: Counter[frozenset[str]] = Counter()
    for listener in range(3 * contrasts):
        trials = trials_of(plan, items, listener)
        assert len(trials) == plan.trials
        own = Counter(frozenset(pair) for pair in sources_of(trials))
        assert sum(own.values()) == plan.design.pairs
        often = [own[frozenset(contrast)] for contrast in plan.contrasts]
        assert max(often) - min(often) <= 1
        total += own
    assert set(total.values()) == {
        3 * plan.design.pairs
    }  # 3 C listeners with `pairs` trials, over C contrasts


@pytest.mark.parametrize("numbers", DESIGNS)
def test_sides_are_balanced_within_and_across_listeners(numbers: tuple[int, int, int, int]) -> None:
    plan, items = design_of(*numbers)
    first: Counter[tuple[str, str]] = Counter()
    for listener in range(31):
        own = Counter(sources_of(trials_of(plan, items, listener)))
        first += own
        for a, b in plan.contrasts:
            assert abs(own[a, b] - own[b, a]) <= 1
    for a, b in plan.contrasts:
        assert abs(first[a, b] - first[b, a]) <= 1


@pytest.mark.parametrize("numbers", DESIGNS)
def test_a_listener_hears_no_item_twice_and_items_are_used_evenly(numbers: tuple[int, int, int, int]) -> None:
    plan, items = design_of(*numbers)
    used: Counter[frozenset[str]] = Counter()
    for listener in range(24):
        own = [frozenset((t.left, t.right)) for t in trials_of(plan, items, listener) if t.left[0] in "abcde"]
        assert len(set(own)) == len(own)
        used.update(own)
    for contrast in plan.contrasts:
        counts = [used[frozenset(item)] for item in items.contrasts[contrast]]
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    "numbers", [*DESIGNS, (4, 4, 4, 0), (4, 6, 8, 0), (5, 10, 8, 0), (2, 1, 8, 0), (2, 4, 4, 0)]
)
def test_every_item_is_heard_both_ways(numbers: tuple[int, int, int, int]) -> None:
    plan, items = design_of(*numbers)
    heard: Counter[tuple[str, str]] = Counter()
    for listener in range(200):
        heard.update((t.left, t.right) for t in trials_of(plan, items, listener) if t.left[0] in "abcde")
    for a, b in (item for found in items.contrasts.values() for item in found):
        share = heard[a, b] / (heard[a, b] + heard[b, a])
        assert 0.3 < share < 0.7, (a, b)


def test_catch_trials_are_all_there_never_first_and_anywhere_else() -> None:
    plan, items = design_of(5, 20, 2, 2)
    places: Counter[int] = Counter()
    tune_is_a = 0
    for listener in range(400):
        trials = trials_of(plan, items, listener)
        found = [place for place, t in enumerate(trials) if t.left[0] not in "abcde"]
        assert sorted(trials[p].left for p in found if trials[p].left == trials[p].right) == [
            "same0",
            "same1",
        ]
        random = [trials[p] for p in found if trials[p].left != trials[p].right]
        assert {frozenset((t.left, t.right)) for t in random} == {
            frozenset((f"tune{k}", f"noise{k}")) for k in (0, 1)
        }
        tune_is_a += sum(t.left.startswith("tune") for t in random)
        places.update(found)
    assert places[0] == 0
    assert len(places) == plan.trials - 1
    assert 320 < tune_is_a < 480  # of 800, 5.6 standard deviations either way


def test_a_listener_who_stops_early_has_heard_all_contrasts_evenly() -> None:
    plan, items = design_of(5, 40, 8, 0)
    for listener in range(20):
        pairs = sources_of(trials_of(plan, items, listener))
        for block in range(4):
            assert len({frozenset(pair) for pair in pairs[10 * block : 10 * block + 10]}) == 10


def test_the_order_comes_from_the_seed_and_differs_between_listeners() -> None:
    plan, items = design_of(5, 40, 8, 2, seed=3)
    assert trials_of(plan, items, 5) == trials_of(plan, items, 5)
    orders = {tuple(sources_of(trials_of(plan, items, listener))) for listener in range(50)}
    assert len(orders) == 50
    other, _ = design_of(5, 40, 8, 2, seed=4)
    assert trials_of(other, items, 5) != trials_of(plan, items, 5)


def test_a_plan_is_its_toml(tmp_path: Path) -> None:
    plan = replace(
        Plan(),
        texts=Texts(
            title='"Quotes", \\ and\ttabs', welcome='One.\n\nTwo: """ and Ψ.\n', completion_code="C1"
        ),
        questions=(Question("pleasing", "Which?"), Question("odd", "Which is odder?", tuple("vwxyz"))),
        listener_questions=(ListenerQuestion("age", "How old?", ("young", "old")),),
    )
    file = tmp_path / "study.toml"
    file.write_text(plan_toml(plan), encoding="utf-8")
    assert read_plan(file) == plan
    file.write_text(plan_toml(replace(plan, listener_questions=())), encoding="utf-8")
    assert read_plan(file).listener_questions == ()


def test_study_toml_explains_every_field_of_the_exclusions() -> None:
    lines = plan_toml(Plan()).splitlines()
    for field in fields(Exclusions):
        place = next(i for i, line in enumerate(lines) if line.startswith(f"{field.name} = "))
        assert lines[place - 1].startswith("# "), field.name


def test_a_study_toml_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Without comments, and without the question that decides about catch trials."""
    file = tmp_path / "study.toml"
    kept = (line for line in plan_toml(Plan()).splitlines() if not line.startswith(("#", "catch_question")))
    file.write_text("\n".join(kept), encoding="utf-8")
    assert read_plan(file) == Plan()
    assert read_plan(file).catch_question.id == "pleasing"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[design]\npairz = 3", "unknown field 'design.pairz'; did you mean 'pairs'?"),
        ("[design]\npairs = 'many'", "design.pairs = 'many' must be of type int"),
        ("[design]\npairs = 0", "pairs = 0"),
        ("[design]\nsources = ['psi']", "name at least two"),
        ("[design]\nsources = ['psi', 'psi']", "each once"),
        ("[design]\npairs = 100", "items = 8"),
        ("[exclusions]\nidentical_tolerance = 3", "identical_tolerance = 3"),
        (
            "[exclusions]\ncatch_question = 'nice'",
            "catch_question = 'nice': no question has this id; the ids are pleasing",
        ),
        (
            "[[questions]]\nid = 'Nice'\ntext = '?'",
            "question id 'Nice': an id begins with a lower-case letter",
        ),
        ("[[questions]]\nid = 'a-b'\ntext = '?'", "question id 'a-b': an id begins with a lower-case letter"),
        (
            "[[questions]]\nid = 'age'\ntext = '?'\n"
            "[[listener_questions]]\nid = 'age'\ntext = '?'\nchoices = ['a', 'b']",
            "question id 'age': 2 questions have it; give each its own",
        ),
        (
            "[[questions]]\nid = 'trial'\ntext = '?'",
            "question id 'trial': the forms or the export have a field of this name",
        ),
        (
            "[[listener_questions]]\nid = 'status'\ntext = '?'\nchoices = ['a', 'b']",
            "question id 'status': the forms or the export have a field of this name",
        ),
        (
            "[[questions]]\nid = 'seconds'\ntext = '?'",
            "question id 'seconds': the forms or the export have a field of this name",
        ),
        (
            "\n".join(
                f"[[listener_questions]]\nid = 'x{i}'\ntext = '?'\nchoices = ['a', 'b']" for i in range(41)
            ),
            "listener_questions: 41 of them",
        ),
        ("[[questions]]\nid = 'x'\ntext = '?'\nanswers = ['yes', 'no']", "2 answers; give 5"),
        ("[[questions]]\ntext = '?'", "questions[0]: id is missing"),
        ("[[listener_questions]]\nid = 'x'\ntext = '?'\nchoices = ['a']", "at least two choices"),
        ("questions = []", "ask at least one"),
        ("[texts]\ntitle = ''", "texts.title is empty; write"),
        ("[texts]\nagree = ' \t'", "texts.agree is empty"),
        ("[texts]\ndebrief = ''", "texts.debrief is empty"),
        ("[design]\nsources = ['psi', '']", "design.sources[1] is empty"),
        ("[[questions]]\nid = 'x'\ntext = ' '", "questions[0].text is empty"),
        (
            "[[questions]]\nid = 'x'\ntext = '?'\nanswers = ['a', 'b', '', 'd', 'e']",
            "questions[0].answers[2] is empty",
        ),
        ("[[questions]]\nid = 'x'\ntext = '?'\nanswers = ['a', 'b', 'c', 'd', 'a']", "all different"),
        (
            "[[listener_questions]]\nid = 'x'\ntext = ''\nchoices = ['a', 'b']",
            "listener_questions[0].text is empty",
        ),
        (
            "[[listener_questions]]\nid = 'x'\ntext = '?'\nchoices = ['a', '']",
            "listener_questions[0].choices[1] is empty",
        ),
        ("format = 2", "another format"),
        ("[design", "not a TOML file"),
    ],
)
def test_a_mistake_in_study_toml_is_one_line_that_names_the_field(
    line: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "study.toml"
    file.write_text(line)
    with pytest.raises(InputError) as error:
        read_plan(file)
    assert says in str(error.value)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(file)) + 200
