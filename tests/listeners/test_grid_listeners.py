"""Listeners of grids: what they say, what it is worth, and how fast they say it."""

import time

import pytest
import torch

from rltuner.errors import InputError
from rltuner.listeners.environments.grid import GridListeners
from rltuner.listeners.environments.raters import KINDS, raters


def test_top_target_has_one_best_position_and_wider_has_its_neighbours() -> None:
    """In 2 dimensions: the target alone, or everything at Manhattan distance 1 of it (in a corner two of four exist)."""
    top, wider = raters(2, "top_target"), raters(2, "wider_top_target")
    assert (top.rating == 4).sum(dim=1).tolist() == [1] * 25
    assert (top.rating == 4).nonzero()[:, 1].tolist() == list(range(25))
    best = (wider.rating == 4).sum(dim=1)
    assert best[12] == 5
    assert best[0] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_nearer_is_never_rated_lower(kind: str) -> None:
    found = raters(2, kind=kind)
    order = found.distance.argsort(dim=1, stable=True)
    assert bool((found.rating.gather(1, order).diff(dim=1) <= 0).all())
    assert bool((found.rating[torch.arange(len(found.target)), found.target] == 4).all())
    assert len(found.target) == {"unequal": 200, "differing": 75}.get(kind, 25)


def test_percentiles_give_the_shares_of_ratings() -> None:
    """About 15 % of positions are rated 3 and above, half are rated 1 and above, on average over targets in 4-D."""
    rating = raters(4).rating.float()
    assert (rating >= 1).float().mean() == pytest.approx(0.5, abs=0.12)
    assert 0.05 <= float((rating == 4).float().mean()) < 0.12


def test_an_episode_by_hand() -> None:
    """Target 0 (a corner), TopTarget: the centre is at distance 4, position 1 at 1; closer twice, then not."""
    listeners = GridListeners(raters(2, "top_target"), 1, who=torch.tensor([0]))
    first = listeners.reset()
    assert first.tolist() == [[2, 2, 0, float(raters(2, "top_target").rating[0, 12])]]
    seen = [listeners.step(torch.tensor([position])) for position in (1, 0, 0)]
    assert [step.observation[0, 2].item() for step in seen] == [1, 1, 0]
    assert [step.reward.item() for step in seen] == [0, 10, 10]
    for _ in range(17):
        assert not listeners.step(torch.tensor([24])).done
    assert bool(listeners.step(torch.tensor([0])).done)  # the 21st step
    assert listeners.position.item() == 12


def test_the_board_remembers_what_was_rated() -> None:
    listeners = GridListeners(raters(2), 1, "rating", "board", who=torch.tensor([0]))
    board = listeners.step(torch.tensor([0])).observation[0]
    assert board[0] == 4
    assert board[12] == raters(2).rating[0, 12]
    assert (board == -1).sum() == 23


def test_noisy_raters_are_wrong_one_time_in_ten() -> None:
    found = raters(2, kind="noisy")
    listeners = GridListeners(found, 20_000, who=torch.zeros(20_000, dtype=torch.int64))
    listeners.step(torch.full((20_000,), 18))
    true = found.rating[0, 18]
    assert (listeners.said != true).float().mean() == pytest.approx(0.1, abs=0.01) or true == 0
    listeners.step(torch.full((20_000,), 1))  # nearer to 0 than 18 is
    assert listeners.closer.mean() == pytest.approx(0.9, abs=0.01)


def test_a_listener_tires_of_what_repeats_and_recovers() -> None:
    """Rated 4, 3, 2, 1, 1: of the last three steps; and 4 again after three others."""
    listeners = GridListeners(raters(2, "top_target", "tiring"), 1, who=torch.tensor([0]))
    said = []
    for position in (0, 0, 0, 0, 0, 5, 6, 7, 0):
        listeners.step(torch.tensor([position]))
        said.append(int(listeners.said))
    assert said[:5] == [4, 3, 2, 1, 1]
    assert said[-1] == 4


def test_a_thousand_listeners_take_200_000_steps_a_second_of_one_core() -> None:
    listeners = GridListeners(raters(2), 1024)
    actions = torch.randint(25, (1024,))
    listeners.step(actions)
    began = time.process_time()
    for _ in range(100):
        listeners.step(actions)
    assert 100 * 1024 / (time.process_time() - began) > 200_000


@pytest.mark.parametrize(
    ("options", "named"),
    [({"kind": "moody"}, "moody"), ({"percentiles": "top"}, "top_target"), ({"dimensions": 9}, "9 features")],
)
def test_what_there_is_not_is_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        raters(**{"dimensions": 2, **options})  # type: ignore[arg-type]
