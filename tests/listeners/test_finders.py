"""What needs no learning: the exact optimum by brute force, and that nothing beats it."""

from functools import cache

import pytest
import torch

from rltuner.listeners.agents.coordinates import CoordinateFinder
from rltuner.listeners.agents.finder import RandomFinder, try_out
from rltuner.listeners.agents.optimal import OptimalFinder
from rltuner.listeners.agents.posterior import PosteriorFinder
from rltuner.listeners.environments.grid import GridListeners
from rltuner.listeners.environments.raters import Raters, raters


def brute_force(found: Raters, worth: torch.Tensor, steps: int) -> float:
    """The best expected reward of an episode of so many steps: every action after every answer, nothing left out."""

    @cache
    def value(members: frozenset[int], before: int, left: int) -> float:
        if not left:
            return 0.0
        best = 0.0
        for action in range(len(found.positions)):
            groups: dict[tuple[int, bool], list[int]] = {}
            for h in members:
                closer = bool(found.distance[h, action] < found.distance[h, before])
                groups.setdefault((int(found.rating[h, action]), closer), []).append(h)
            total = sum(float(worth[found.rating[h, action]]) for h in members)
            total += sum(value(frozenset(group), action, left - 1) for group in groups.values())
            best = max(best, total)
        return best

    by_start: dict[int, list[int]] = {}
    for h in range(len(found.target)):
        by_start.setdefault(int(found.rating[h, found.centre]), []).append(h)
    return sum(value(frozenset(group), found.centre, steps) for group in by_start.values()) / len(
        found.target
    )


@pytest.mark.parametrize("percentiles", ["top_target", "wider_top_target"])
@pytest.mark.parametrize("reward", ["bullseye", "rating"])
def test_the_optimum_is_brute_forces(percentiles: str, reward: str) -> None:
    """One feature of 5 levels, 4 steps."""
    found = raters(1, percentiles)
    worth = GridListeners(found, 1, reward).worth
    optimal = OptimalFinder(found, worth)
    starts: dict[int, int] = {}
    for h in range(5):
        rating = int(found.rating[h, found.centre])
        starts[rating] = starts.get(rating, 0) | 1 << h
    mean = sum(optimal.solve(members, found.centre, 4)[0] for members in starts.values()) / 5
    assert mean == pytest.approx(brute_force(found, worth, 4))


@pytest.mark.parametrize(
    ("percentiles", "reward", "optimum"),
    [
        ("top_target", "bullseye", 194.0),
        ("wider_top_target", "bullseye", 201.6),
        ("wider_top_target", "rating", 323.48),
    ],
)
@pytest.mark.long
def test_nothing_beats_the_optimum_in_two_dimensions(percentiles: str, reward: str, optimum: float) -> None:
    found = raters(2, percentiles)
    worth = GridListeners(found, 1, reward).worth
    who = torch.arange(25)
    best = try_out(OptimalFinder(found, worth), found, who, reward).total.mean().item()
    assert best == pytest.approx(optimum, abs=0.01)
    for finder in (PosteriorFinder(found, worth), CoordinateFinder(found), RandomFinder(found)):
        assert try_out(finder, found, who, reward).total.mean().item() <= best + 1e-3


def test_the_rules_find_every_target_and_the_posterior_faster() -> None:
    found = raters(3, "top_target")
    who = torch.arange(125)
    rules = try_out(CoordinateFinder(found), found, who)
    posterior = try_out(PosteriorFinder(found, GridListeners(found, 1).worth), found, who)
    assert int(rules.found.max()) <= 9  # at most two steps up or down and one to turn, a feature
    assert posterior.found.float().mean() < rules.found.float().mean()


def test_the_posterior_withstands_answers_that_contradict_each_other() -> None:
    """Raters who err, believed not to: it goes on, and finds many; believed to err, it finds more."""
    found = raters(2, "top_target", "noisy")
    worth = GridListeners(found, 1).worth
    who = torch.arange(25).repeat(4)
    naive = try_out(PosteriorFinder(raters(2, "top_target"), worth), found, who)
    knowing = try_out(PosteriorFinder(found, worth), found, who)
    assert knowing.total.mean() > naive.total.mean()
    assert (knowing.found <= 21).float().mean() > 0.95
