"""Distinct melodies and edit distances, against their definitions."""

import math
import random

import pytest
import torch

from rltuner.eval.diversity import (
    distinct,
    distinct_ngrams,
    distinct_share,
    edit_distances,
    mean_edit_distance,
    nearest_similarity,
)
from rltuner.melody import Melodies


def levenshtein(one: list[int], other: list[int]) -> int:
    """By the textbook's table."""
    table = [[i + j if i * j == 0 else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            kept = table[i - 1][j - 1] + (one[i - 1] != other[j - 1])
            table[i][j] = min(kept, table[i - 1][j] + 1, table[i][j - 1] + 1)
    return table[-1][-1]


def test_edit_distances_are_those_of_the_textbook() -> None:
    rng = random.Random(0)
    lists = [[[rng.randrange(5) for _ in range(rng.randrange(1, 14))] for _ in range(300)] for _ in range(2)]
    found = edit_distances(*(Melodies.from_lists(one) for one in lists))
    wanted = [levenshtein(a, b) / max(len(a), len(b)) for a, b in zip(*lists, strict=True)]
    assert found.tolist() == pytest.approx(wanted)


def test_equal_melodies_are_at_0_and_disjoint_ones_at_1() -> None:
    one = Melodies([[2, 3, 4], [2, 2, 2]])
    assert edit_distances(one, one).tolist() == [0, 0]
    assert edit_distances(one, Melodies([[5, 6, 7], [9, 9, 9]])).tolist() == [1, 1]


def test_the_mean_over_pairs_is_that_of_all_pairs() -> None:
    melodies = Melodies(torch.randint(4, (12, 9), generator=torch.Generator().manual_seed(0)))
    rows = melodies.events.tolist()
    exact = [levenshtein(a, b) / 9 for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]
    assert mean_edit_distance(melodies)[0] == pytest.approx(sum(exact) / len(exact))
    assert mean_edit_distance(melodies, 60)[0] == pytest.approx(sum(exact) / len(exact), abs=0.05)
    assert math.isnan(mean_edit_distance(melodies[:1])[0])
    assert math.isnan(mean_edit_distance(melodies[:4])[1])  # four melodies tell nothing about others


@pytest.mark.parametrize("count", [30, 300])
def test_the_error_of_the_mean_distance_is_that_of_other_melodies(count: int) -> None:
    generator = torch.Generator().manual_seed(1)

    def melodies() -> Melodies:
        """Half of them nearly alike, the other half of all kinds, so that it matters which are drawn."""
        events = torch.randint(2, 38, (count, 12), generator=generator)
        tame = torch.rand(count, 1, generator=generator) < 0.5
        return Melodies(torch.where(tame & (torch.arange(12) > 2), 14, events))

    found = [mean_edit_distance(melodies(), 400, seed=i) for i in range(200)]
    means = torch.tensor([mean for mean, _ in found])
    errors = torch.tensor([error for _, error in found])
    assert float(errors.square().mean()) ** 0.5 == pytest.approx(float(means.std()), rel=0.25)


def test_long_melodies_take_fewer_pairs() -> None:
    long = Melodies(torch.randint(38, (40, 2_000), generator=torch.Generator().manual_seed(0)))
    assert 0.8 < mean_edit_distance(long)[0] <= 1
    assert 0 <= nearest_similarity(long)[0] < 0.3


def test_the_nearest_other_is_found() -> None:
    melodies = Melodies([[2, 3, 4, 5], [2, 3, 4, 6], [9, 9, 9, 9]])
    assert nearest_similarity(melodies)[0] == pytest.approx((0.75 + 0.75 + 0) / 3)
    assert nearest_similarity(Melodies([[2, 3]] * 5))[0] == 1.0


def test_a_collapsed_policy_has_no_diversity() -> None:
    same = Melodies(torch.tensor([[2, 4, 5, 7]] * 50))
    assert distinct(same) == 1
    assert distinct_share(same) == 1 / 50
    assert mean_edit_distance(same, 100) == (0, 0)
    assert distinct_ngrams(same, (2, 5)) == {2: 3 / 150, 5: pytest.approx(math.nan, nan_ok=True)}
    assert math.isnan(distinct_share(same[:0]))


def test_lengths_tell_melodies_apart() -> None:
    melodies = Melodies(torch.tensor([[2, 1, 1], [2, 1, 1]]), [1, 3])
    assert distinct(melodies) == 2
    assert distinct_ngrams(melodies, (2,)) == {2: 1.0}  # (2, 1) and (1, 1), of the second melody only
