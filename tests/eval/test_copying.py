"""What is a copy: the same rhythm and intervals, in any key, found where it stands."""

import random

import pytest
import torch

from rltuner.eval.copying import TrainingTunes, relative_keys
from rltuner.melody import Melodies, Meter
from rltuner.melody.tunes import Tune, training_tunes

REST, HOLD = 0, 1


def tune(title: str, events: list[int]) -> Tune:
    return Tune(title, f"{title}.abc", "", Meter(), tuple(events))


def random_tune(seed: int, length: int = 64) -> list[int]:
    rng = random.Random(seed)
    return [rng.choice([HOLD, HOLD, REST, *range(10, 30)]) for _ in range(length)]


def moved(events: list[int], by: int) -> list[int]:
    return [event + by if event > HOLD else event for event in events]


@pytest.fixture(scope="module")
def tunes() -> TrainingTunes:
    return TrainingTunes([tune("one", random_tune(1)), tune("two", random_tune(2))])


def test_a_transposed_passage_is_a_copy(tunes: TrainingTunes) -> None:
    copied = Melodies([moved(random_tune(2)[10:42], 5)])
    assert tunes.shared_runs(copied, 8).value == 1.0
    assert tunes.shared_runs(copied, 16).value == 1.0
    assert tunes.shared_runs(Melodies([random_tune(3)[:32]]), 8).value == 0.0


def test_a_copy_across_the_border_of_two_tunes_is_none(tunes: TrainingTunes) -> None:
    across = Melodies([random_tune(1)[-8:] + random_tune(2)[:8]])
    counts = tunes.shared_runs(across, 8)
    assert (counts.numerator.item(), counts.denominator.item()) == (
        2,
        9,
    )  # the first eight and the last eight
    assert tunes.shared_runs(across, 16).value == 0.0


def test_runs_with_fewer_than_two_onsets_are_nobodys() -> None:
    keys, counted = relative_keys(torch.tensor([[20, 1, 1, 1], [1, 1, 1, 1], [20, 1, 22, 1], [25, 1, 27, 1]]))
    assert counted.tolist() == [False, False, True, True]
    assert keys[2] == keys[3]
    assert len(keys[:3].unique()) == 3


def test_rest_and_hold_are_told_apart() -> None:
    keys, _ = relative_keys(torch.tensor([[20, 0, 22, 1], [20, 1, 22, 1]]))
    assert keys[0] != keys[1]


def test_padding_is_not_looked_up(tunes: TrainingTunes) -> None:
    passage = moved(random_tune(2)[10:22], -3)
    padded = Melodies([passage + [30] * 20], [12])
    assert tunes.shared_runs(padded, 8).denominator.item() <= 5
    assert tunes.shared_runs(padded, 8).value == 1.0


def test_the_longest_stretch_is_found_with_its_tune(tunes: TrainingTunes) -> None:
    passage = random_tune(2)
    first = next(i for i in range(20, 40) if passage[i] > HOLD)  # a stretch begins with an onset
    melody = [35, 34, *moved(passage[first : first + 14], 4), 2, 36, 2]
    found = tunes.nearest(Melodies([melody]), 0)
    assert found is not None
    assert found.tune.title == "two"
    assert found.start == 2
    assert 14 <= found.events <= 15  # the next event may happen to go on
    [best] = tunes.most_copied(Melodies([melody + [HOLD] * 13, random_tune(7)[:32]]), 1)
    assert (best.index, best.tune.title) == (0, "two")


def test_silence_copies_nothing(tunes: TrainingTunes) -> None:
    silent = Melodies([[HOLD] * 16])
    assert tunes.nearest(silent, 0) is None
    assert tunes.shared_runs(silent, 8).left_out == 1
    assert tunes.most_copied(silent[:0]) == []


def test_the_shipped_note_rnns_tunes_are_there() -> None:
    shipped = training_tunes()
    assert len(shipped) > 2000
    passage = next(t.events[16:48] for t in shipped if t.meter == Meter() and len(t.events) >= 48)
    assert TrainingTunes(shipped[:50] + tuple(t for t in shipped if t.events[16:48] == passage)).shared_runs(
        Melodies([list(passage)]), 8
    ).value == pytest.approx(1.0)
