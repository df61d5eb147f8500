"""Mean rewards by rule."""

import math

import pytest
import torch
from generators import random_tunes

from rltuner.eval.rewards import held_out_rewards, mean_rewards
from rltuner.melody import Melodies
from rltuner.rules import load_rulebook
from rltuner.rules.held_out import HELD_OUT


def test_mean_rewards_are_sums_over_events_averaged_over_melodies() -> None:
    batch = Melodies.from_lists(random_tunes(90, seed=12))
    book = load_rulebook("magenta")
    means = mean_rewards(batch, book)
    for name, rewards in book.score(batch).items():
        assert means[name] == pytest.approx(float(rewards.sum(dim=1).mean()), rel=1e-5, abs=1e-5)
    assert list(means) == [*book.rules, "total"]


def test_held_out_rules_are_judged_in_the_key_that_is_asked_for() -> None:
    a_minor_triad = Melodies([11, *[1] * 15, 14, *[1] * 15])  # A3, then C4, on the downbeats
    assert held_out_rewards(a_minor_triad, key="A minor")["triad_on_downbeat"] == 2
    assert held_out_rewards(a_minor_triad, key="C major")["triad_on_downbeat"] == 1
    assert held_out_rewards(a_minor_triad)["downbeat_onset"] == 2


def test_without_melodies_there_is_no_mean() -> None:
    nothing = Melodies(torch.empty((0, 8), dtype=torch.int64))
    assert all(math.isnan(value) for value in held_out_rewards(nothing).values())
    assert set(held_out_rewards(nothing)) == set(HELD_OUT)
    assert math.isnan(mean_rewards(nothing, load_rulebook("gauldin"))["total"])
