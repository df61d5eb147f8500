"""The split of a corpus into training, validation and test tunes."""

import random

from rltuner.corpus.split import opening, shared_runs, split_tunes
from rltuner.melody import Meter
from rltuner.melody.tunes import Tune


def made_up(number, first_pitch=60, notes=24):
    steps = random.Random(number).choices([-2, -1, 1, 2, 3], k=notes - 1)
    classes = [first_pitch - 46]
    for step in steps:
        classes.append(min(max(classes[-1] + step, 2), 37))
    return Tune(f"tune {number}", f"file {number:04} {first_pitch}", "", Meter(), tuple(classes))


def test_the_split_is_80_10_10_whatever_the_order() -> None:
    tunes = [made_up(number) for number in range(400)]
    parts = split_tunes(tunes)
    assert {name: len(part) for name, part in parts.items()} == {"train": 320, "validation": 40, "test": 40}
    assert sorted(t.source for part in parts.values() for t in part) == [t.source for t in tunes]
    shuffled = list(tunes)
    random.Random(1).shuffle(shuffled)
    assert split_tunes(shuffled) == parts
    assert split_tunes(tunes, seed=1) != parts
    assert [len(part) for part in split_tunes([]).values()] == [0, 0, 0]
    assert [len(part) for part in split_tunes(tunes[:1]).values()] == [1, 0, 0]
    fewer = split_tunes(tunes[20:])  # a corpus that changes a little is split much the same
    moved = sum(tune not in parts[name] for name, part in fewer.items() for tune in part)
    assert moved < 20


def test_near_duplicates_stay_on_one_side() -> None:
    originals = [made_up(number, 64) for number in range(60)]
    transposed = [
        Tune(t.title, t.source + "+", "", t.meter, tuple(e + 3 for e in t.events[:16]) + (20,) * 8)
        for t in originals
    ]
    assert all(opening(a) == opening(b) for a, b in zip(originals, transposed, strict=True))
    parts = split_tunes(originals + transposed)
    side = {tune.source: name for name, part in parts.items() for tune in part}
    assert all(side[t.source] == side[t.source + "+"] for t in originals)
    assert all(parts.values())
    other = Tune("", "", "", Meter(), (*originals[0].events[:15], 2))
    assert opening(other) != opening(originals[0])  # the sixteenth onset counts


def tune_of(events: list[int]) -> Tune:
    return Tune("", "", "", Meter(), tuple(events))


def test_a_run_is_shared_in_any_key_at_any_place_but_not_with_fewer_than_three_notes() -> None:
    run = [20, 1, 22, 0, 24, 1] + [1] * 25 + [19]
    higher = [event + 5 if event > 1 else event for event in run]
    assert len(run) == 32
    other = [5, 1, 8] * 20
    assert shared_runs([tune_of([*other, *higher]), tune_of(other)], [tune_of([9, *run, 7])]) == [True, False]
    assert shared_runs([tune_of([*other, *higher[:-1]])], [tune_of(run)]) == [False]  # one event short
    inverted = [40 - event if event > 1 else event for event in run]
    assert shared_runs([tune_of(inverted)], [tune_of(run)]) == [False]
    rest = [20, 1, 22] + [1] * 29
    assert shared_runs([tune_of(rest)], [tune_of(rest)]) == [False]
    assert shared_runs([tune_of(run[:31])], [tune_of(run[:31])]) == [False]  # too short to have one


def test_nothing_of_a_test_tune_is_learned_or_looked_at_while_learning() -> None:
    tunes = [made_up(number, notes=40) for number in range(100)]
    borrowed = [
        Tune(t.title, t.source + " borrowed", "", t.meter, (*made_up(500 + i, notes=8).events, *t.events))
        for i, t in enumerate(tunes)
    ]
    parts = split_tunes(tunes + borrowed)
    assert len(parts["test"]) == 20  # whatever they share
    for part in ("train", "validation"):
        assert parts[part]
        assert not any(shared_runs(parts[part], parts["test"]))
    assert len(parts["train"] + parts["validation"]) < 180  # some did share
