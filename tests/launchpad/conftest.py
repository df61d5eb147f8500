"""A small corpus, a game on it, and a server."""

from __future__ import annotations

import numpy as np
import pytest
from few_bars import few_bars

from rltuner.launchpad.learning.policies import greedy
from rltuner.launchpad.playing.game import Game
from rltuner.launchpad.playing.session import Session
from rltuner.launchpad.rewards.rewards import Reward


@pytest.fixture
def reward() -> Reward:
    return Reward(few_bars(), "f1")


@pytest.fixture
def game(reward: Reward) -> Game:
    return Game(greedy(reward))


@pytest.fixture
def session(game: Game) -> Session:
    return Session(game)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)
