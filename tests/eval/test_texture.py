"""Rhythm and texture: MusPy's own figures where MusPy has the metric, the definition elsewhere."""

import math
from collections.abc import Callable

import muspy
import numpy as np
import pytest
import torch

from rltuner.eval import texture
from rltuner.melody import Melodies, Meter

BAR = 16


def random_melodies(count: int = 300) -> Melodies:
    """Of 20 to 63 events, full of holds and rests, that do not end at a bar line."""
    rng = np.random.default_rng(0)
    lists = []
    for _ in range(count):
        length = int(rng.integers(20, 64))
        length -= length % BAR == 0
        events = rng.choice([0, 1, 1, 1, *range(8, 26)], size=length).tolist()
        events[0] = 1 if events[0] == 0 else events[0]
        lists.append([*events[:-1], 14])  # so that music and melody end together
    return Melodies.from_lists(lists)


def music(melodies: Melodies, index: int) -> muspy.Music:
    notes = [muspy.Note(start, pitch, end - start) for pitch, start, end in melodies.notes(index)]
    return muspy.Music(resolution=4, tracks=[muspy.Track(notes=notes)])


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (texture.pitch_range, muspy.pitch_range),
        (texture.pitch_class_entropy, muspy.pitch_class_entropy),
        (texture.scale_consistency, muspy.scale_consistency),
        (texture.groove_consistency, lambda song: muspy.groove_consistency(song, BAR)),
    ],
)
def test_muspy_says_the_same(
    mine: Callable[[Melodies], torch.Tensor], theirs: Callable[[muspy.Music], float]
) -> None:
    melodies = random_melodies()
    wanted = [theirs(music(melodies, index)) for index in range(len(melodies))]
    assert mine(melodies).tolist() == pytest.approx(wanted, nan_ok=True)
    assert len(set(wanted)) > 5


def test_muspy_says_the_same_of_empty_bars() -> None:
    silent = [[14, 15, 16, 0] + [1] * (12 + 16 * empty) + [1, 17, 1] for empty in range(5)]
    melodies = Melodies.from_lists(silent)
    wanted = [muspy.empty_measure_rate(music(melodies, index), BAR) for index in range(len(melodies))]
    assert wanted == pytest.approx([0, 1 / 3, 2 / 4, 3 / 5, 4 / 6])
    assert texture.empty_bar_rate(melodies).tolist() == pytest.approx(wanted)


def test_onsets_holds_and_rests_are_all_there_is() -> None:
    melodies = random_melodies()
    rates = [rate(melodies) for rate in (texture.onset_rate, texture.hold_rate, texture.rest_rate)]
    assert sum(rates).tolist() == pytest.approx([1.0] * len(melodies))
    by_hand = Melodies([[1, 14, 1, 0, 1, 15, 15, 1]])
    assert [float(f(by_hand)) for f in (texture.onset_rate, texture.hold_rate, texture.rest_rate)] == [
        3 / 8,
        2 / 8,
        3 / 8,
    ]


def test_intervals_in_time_and_in_pitch() -> None:
    melodies = Melodies([[14, 1, 16, 15, 1, 1, 1, 37]])
    onsets = texture.inter_onset_histogram(melodies)[0].tolist()
    assert {index + 1: count for index, count in enumerate(onsets) if count} == {1: 1, 2: 1, 4: 1}
    assert float(texture.mean_inter_onset(melodies)) == pytest.approx(7 / 3)
    intervals = texture.interval_histogram(melodies)[0].tolist()
    assert {index - 12: count for index, count in enumerate(intervals) if count} == {2: 1, -1: 1, 12: 1}
    assert float(texture.mean_interval(melodies)) == pytest.approx((2 + 1 + 22) / 3)


def test_two_bars_of_the_same_rhythm_are_one_groove() -> None:
    bar = [14, 1, 15, 1, 16, 1, 1, 1] * 2
    assert float(texture.groove_consistency(Melodies([bar + bar]))) == 1
    assert float(texture.groove_consistency(Melodies([bar + [1] * 16]))) == 1 - 6 / 16
    waltz = Melodies([[14, 1, 1, 1] * 3 + [14] * 12], None, None, None, Meter(12, 4))
    assert float(texture.groove_consistency(waltz)) == pytest.approx(1 - 9 / 12)


@pytest.mark.parametrize("name", texture.FEATURES)
def test_padding_changes_nothing_and_silence_is_no_error(name: str) -> None:
    feature = texture.FEATURES[name]
    melodies = random_melodies(40)
    longer = Melodies(torch.nn.functional.pad(melodies.events, (0, 9), value=20), melodies.lengths)
    assert feature(melodies).tolist() == pytest.approx(feature(longer).tolist(), nan_ok=True)
    assert feature(melodies[:0]).shape == (0,)
    assert feature(Melodies(torch.empty((2, 0), dtype=torch.int64))).shape == (2,)
    of_silence = float(feature(Melodies([[1] * 32])))
    known = {"onset_rate": 0, "hold_rate": 0, "rest_rate": 1, "pitch_range": 0, "groove_consistency": 1}
    known["empty_bar_rate"] = 1
    assert of_silence == known[name] if name in known else math.isnan(of_silence)
