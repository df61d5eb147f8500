"""Runs: stopped and resumed bit for bit, and what an agent learns of likes."""

import json
from pathlib import Path

import pytest
import torch

from rltuner.errors import InputError
from rltuner.listeners.agents.a2c import A2C, A2CConfig
from rltuner.listeners.agents.acktr import ACKTR
from rltuner.listeners.agents.ddpg import DDPG, DDPGConfig
from rltuner.listeners.agents.dueling import DuelingConfig, DuelingDQN
from rltuner.listeners.agents.q_table import QTable, QTableConfig
from rltuner.listeners.environments.grid import GridListeners
from rltuner.listeners.environments.likes import LikesListeners, Preference, Shelf
from rltuner.listeners.environments.raters import raters
from rltuner.listeners.environments.sessions import SessionListeners
from rltuner.listeners.environments.skipping import Skipping
from rltuner.listeners.music.catalogue import Catalogue
from rltuner.listeners.music.families import family
from rltuner.listeners.music.features import features
from rltuner.listeners.training.grid_run import GridRun
from rltuner.listeners.training.likes_run import judged
from rltuner.listeners.training.runs import Learning, run
from rltuner.melody import Meter
from rltuner.melody.tunes import Tune
from rltuner.networks.note_rnn import NoteRNN


def shelf() -> Shelf:
    """Forty tunes of four families, of as many rhythms."""
    rhythms = [(14, 1, 1, 1), (14, 16, 1, 1), (14, 16, 17, 1), (14, 1, 16, 1)]
    tunes = tuple(
        Tune(
            f"T{n}",
            f"book {n}",
            "",
            Meter(),
            rhythms[n % 4] * (4 + n % 3 * 4),
            rhythm=("reel", "jig", "air", "march")[n % 4],
        )
        for n in range(40)
    )
    known = Catalogue(tunes, tuple(family(one) for one in tunes))
    return Shelf(known, features(tunes, "measured", NoteRNN(hidden_sizes=(4,))))


SHELF = shelf()


def agent_of(kind: str) -> Learning:
    if kind in ("a2c", "board"):
        listeners = GridListeners(
            raters(2, kind="noisy"), 4, observation="grid" if kind == "a2c" else "board"
        )
        return A2C(listeners, 25, A2CConfig(n=5, falls_over=8, recurrent=kind == "a2c"))
    if kind == "acktr":
        return ACKTR(GridListeners(raters(1), 4, observation="board"), 5, A2CConfig(n=5, recurrent=False))
    if kind == "ddpg":
        points = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
        config = DDPGConfig("pretrained-features", autoencoder_updates=4, batch=8, replay=64, warm_up=2)
        return DDPG(SessionListeners(points, Skipping(points), 4), config)
    likes = LikesListeners(SHELF, Preference("jig"), 1, shown=torch.arange(10), until_liked=False)
    if kind == "q-table":
        return QTable(likes)
    return DuelingDQN(likes, DuelingConfig(prioritised=True, batch=4, replay=32, renew=5))


@pytest.mark.parametrize("kind", ["a2c", "board", "acktr", "ddpg", "q-table", "dueling"])
def test_a_run_that_stopped_goes_on_bit_for_bit(kind: str, tmp_path: Path) -> None:
    """Stopped by Ctrl-C after update 3 of 8: networks, optimisers, replay and listeners end as those of a run that was
    not."""
    whole = agent_of(kind)
    run(tmp_path / "whole", {"kind": kind}, whole, 8, dict)

    def stop(number: int, value: float) -> None:
        if number == 3:
            import signal

            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", {"kind": kind}, agent_of(kind), 8, dict, stop)
    again = agent_of(kind)
    result = run(tmp_path / "parts", {"kind": kind}, again, 8, dict)
    one, other = whole.tensors(), again.tensors()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert result["steps"] == whole.steps
    means = [
        [json.loads(line)["mean"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    assert means[0] == means[1]


def test_another_run_in_the_folder_is_refused_with_what_differs(tmp_path: Path) -> None:
    small = {"environments": 2, "n": 2, "updates": 1}
    assert GridRun(**small).result(tmp_path / "run")["updates"] == 1  # type: ignore[arg-type]
    with pytest.raises(InputError, match="seed = 0, asked for was 1"):
        GridRun(seed=1, **small).result(tmp_path / "run")  # type: ignore[arg-type]


def test_the_q_table_knows_what_it_was_shown_and_nothing_else() -> None:
    """Shown thirty tunes: each is predicted as it is liked; what was not shown is worth nothing."""
    likes = LikesListeners(SHELF, Preference("jig"), 1, shown=torch.arange(30), until_liked=False)
    agent = QTable(likes, QTableConfig(episodes=20))
    for _ in range(20):
        agent.update()
    margins = agent.margins(SHELF)
    assert torch.equal(margins[:30] > 0, likes.likes[:30])
    hashes = SHELF.hashes(agent.config.buckets)
    is_alone = ~(hashes[30:, None] == hashes[:30]).any(dim=1)  # two tunes can share a state
    assert is_alone.sum() >= 8
    assert bool((margins[30:][is_alone] == 0).all())
    assert agent.losses[-1] < agent.losses[0]


@pytest.mark.parametrize("prioritised", [False, True])
def test_the_dueling_network_knows_what_it_was_not_shown(prioritised: bool) -> None:
    likes = LikesListeners(SHELF, Preference("jig"), 1, shown=torch.arange(30), until_liked=False)
    agent = DuelingDQN(likes, DuelingConfig(prioritised=prioritised))
    for _ in range(10):
        agent.update()
    assert torch.equal(agent.margins(SHELF) > 0, likes.likes)


def test_how_a_listener_is_served_by_hand() -> None:
    """Predicted in the order 2, 0, 3; liked are 0 and 1: one of three, one of two, at the second tune."""
    found = judged(torch.tensor([0.5, -1.0, 2.0, 0.1]), torch.tensor([True, True, False, False]))
    assert found["precision"] == pytest.approx(1 / 3)
    assert found["recall"] == 0.5
    assert found["steps"] == 2
    assert found["served"] == 1
    assert judged(torch.tensor([-1.0]), torch.tensor([True]))["served"] == 0
