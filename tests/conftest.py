"""How all tests run, and the reference implementation's numbers."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch reads it

import numpy as np
import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("rltuner", deadline=None, derandomize=True, database=None)
settings.load_profile("rltuner")

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Commands that run in the tests' process set torch's threads to their own number."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def oracle() -> dict[str, np.ndarray]:
    """Rewards and counters that RL Tuner's own code gave for 400 melodies of 32 events."""
    with np.load(FIXTURES / "magenta_rewards.npz") as stored:
        numbers = dict(stored)
    assert numbers["compositions"].shape == (400, 32)
    return numbers
