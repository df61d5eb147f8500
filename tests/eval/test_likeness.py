"""Likeness: equal sets are alike, a single melody played again and again is not, and neither is taken for the other."""

import math
import warnings

import numpy as np
import pytest
import torch
from generators import random_tunes
from music21 import note, stream

from rltuner.eval.likeness import _overlap, cut, feature_overlaps, features
from rltuner.eval.sources import read_source
from rltuner.eval.telling import LOGISTIC, TREES, Judge, told_apart
from rltuner.eval.texture import FEATURES
from rltuner.eval.tonality import krumhansl_keys, notes_in_own_key
from rltuner.melody import Melodies


@pytest.fixture(scope="module")
def human() -> tuple[Melodies, torch.Tensor]:
    source = read_source("human", 0, 32)
    assert source.groups is not None
    return source.melodies, source.groups


def test_overlap_of_normal_densities_is_the_textbooks() -> None:
    generator = np.random.default_rng(0)
    within, between = generator.normal(10, 1, 40_000), generator.normal(11, 1, 40_000)
    found = _overlap(within, between)
    assert found.area == pytest.approx(math.erfc(0.5 / 2**0.5), abs=0.02)  # 2 Phi(-1/2)
    assert found.divergence == pytest.approx(0.5, abs=0.04)  # (difference of means)^2 / 2


def test_halves_of_the_human_tunes_are_alike_and_one_melody_is_not(
    human: tuple[Melodies, torch.Tensor],
) -> None:
    melodies, groups = human
    side = groups % 2 == 0
    halves = feature_overlaps(melodies[side], melodies[~side])
    one = feature_overlaps(Melodies(melodies.events[:1].expand(400, -1)), melodies[~side])
    assert set(halves) > set(FEATURES)
    assert np.mean([o.area for o in halves.values()]) > 0.85
    assert np.mean([o.area for o in one.values()]) < 0.6


both_judges = pytest.mark.parametrize("judge", [LOGISTIC, TREES], ids=lambda judge: judge.name)


@both_judges
def test_a_judge_cannot_tell_human_from_human_but_from_one_melody(
    judge: Judge,
    human: tuple[Melodies, torch.Tensor],
) -> None:
    melodies, groups = human
    side = groups % 2 == 0
    halves = told_apart(judge, melodies[side], melodies[~side], groups[side], groups[~side])
    assert halves.low < 0.5 < halves.high
    one = Melodies(melodies.events[:1].expand(400, -1))  # played by people, but always the same
    assert told_apart(judge, one, melodies, None, groups).value > 0.97


@both_judges
def test_melodies_of_one_tune_stay_in_one_fold(judge: Judge) -> None:
    # Forty tunes of one kind on either side, ten copies of each: split freely, a classifier learns them by heart.
    tunes = torch.randint(38, (80, 32), generator=torch.Generator().manual_seed(0))
    one, other = (Melodies(half.repeat_interleave(10, dim=0)) for half in (tunes[:40], tunes[40:]))
    groups = torch.arange(40).repeat_interleave(10)
    assert told_apart(judge, one, other, groups, groups).value < 0.65
    assert told_apart(judge, one, other, None, None).value > 0.9


@both_judges
def test_fewer_than_five_tunes_tell_nothing(judge: Judge, human: tuple[Melodies, torch.Tensor]) -> None:
    melodies, groups = human
    assert math.isnan(told_apart(judge, melodies, melodies, torch.zeros_like(groups), groups).value)


def test_nothing_to_measure_gives_nan_and_no_warning(human: tuple[Melodies, torch.Tensor]) -> None:
    silent = Melodies(torch.ones(200, 32, dtype=torch.int64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = feature_overlaps(silent, human[0])
        assert math.isnan(found["mean_interval"].area)
        assert not math.isnan(found["rest_rate"].area)
        for judge in (LOGISTIC, TREES):
            assert 0.9 < told_apart(judge, silent, human[0], None, human[1]).value <= 1
        assert math.isnan(feature_overlaps(silent[:0], human[0])["rest_rate"].area)
    assert features(silent).shape == (200, len(FEATURES) + 12 + 25 + 16)


def test_files_are_cut_into_windows_from_bar_lines() -> None:
    melodies = Melodies.from_lists([[14, 1] * 20, [16] * 15, [18, 1] * 16])
    windows, numbers = cut(melodies, 16)
    assert numbers.tolist() == [0, 0, 2, 2]  # 40 events hold two, 15 none, 32 two
    assert windows.events.shape == (4, 16)


def test_keys_are_those_of_music21() -> None:
    melodies = Melodies.from_lists(random_tunes(40, 5, 32))
    names = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
    for index, found in enumerate(krumhansl_keys(melodies).tolist()):
        line = stream.Stream()
        for pitch, start, end in melodies.notes(index):
            line.append(note.Note(pitch, quarterLength=(end - start) / 4))
        if not len(line):
            assert found == -1
            continue
        key = line.analyze("krumhansl")
        assert (names[found % 12], "major" if found < 12 else "minor") == (
            names[key.tonic.pitchClass],
            key.mode,
        )


def test_a_scale_lies_in_its_own_key_wherever_it_starts() -> None:
    scale = [14, 16, 18, 19, 21, 23, 25, 26]
    for shift in range(-6, 7):
        assert notes_in_own_key(Melodies([[event + shift for event in scale]])).value == 1.0
    silent = Melodies([[1] * 8])
    assert krumhansl_keys(silent).tolist() == [-1]
    assert math.isnan(notes_in_own_key(silent).value)
