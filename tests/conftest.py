"""How all tests run, and the reference implementation's numbers."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch reads it

import numpy as np
import pytest
import torch
from generated import THEME
from hypothesis import settings

from rltuner.melody import Melodies
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy

# In the background of a shell, or under nohup, these are ignored; tests are about what they do.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
torch.set_num_threads(1)
settings.register_profile("rltuner", deadline=None, derandomize=True, database=None)
settings.load_profile("rltuner")

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(autouse=True)
def alike_in_any_order() -> Iterator[None]:
    """A test draws the same numbers whichever ran before it; commands that run in the tests' process set torch's threads
    to their own number."""
    torch.manual_seed(0)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def oracle() -> dict[str, np.ndarray]:
    """Rewards and counters that RL Tuner's own code gave for 400 melodies of 32 events."""
    with np.load(FIXTURES / "magenta_rewards.npz") as stored:
        numbers = dict(stored)
    assert numbers["compositions"].shape == (400, 32)
    return numbers


@pytest.fixture(scope="module")
def psi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tuned policy, as far as its configuration goes: untrained, tuned for C major."""
    folder = tmp_path_factory.mktemp("checkpoints") / "psi"
    Policy.tuned_from("psi", NoteRNN(hidden_sizes=(8,), seed=1)).save(folder, rules={"key": "C major"})
    return folder


@pytest.fixture
def theme(tmp_path: Path) -> Path:
    Melodies([THEME]).to_midi(tmp_path / "theme.mid")
    return tmp_path / "theme.mid"


BLANK = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)  # a PNG of one pixel


@pytest.fixture
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures at the end of a tuning run are of one pixel."""
    from rltuner.tuning import results

    def plot_tuning(records: list[object], c: float, file: Path) -> None:
        if records:
            file.write_bytes(BLANK)

    monkeypatch.setattr(results, "plot_tuning", plot_tuning)
    monkeypatch.setattr(results, "plot_piano_rolls", lambda melodies, file, title: file.write_bytes(BLANK))
