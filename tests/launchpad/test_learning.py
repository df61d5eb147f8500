"""Learning: a step of it by hand, resumed exactly, checkpoints that are safe, baselines, generating."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from few_bars import few_bars

from rltuner.commands.main import main
from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Board
from rltuner.launchpad.environments.boards import Boards
from rltuner.launchpad.generate import generate, play_alone
from rltuner.launchpad.learning.config import TrainConfig, preset
from rltuner.launchpad.learning.evaluation import baselines, beam_search, evaluate
from rltuner.launchpad.learning.exploration import presses_by_reward
from rltuner.launchpad.learning.learner import Learner
from rltuner.launchpad.learning.networks import QNetwork
from rltuner.launchpad.learning.policies import greedy, load_policy, save_policy
from rltuner.launchpad.learning.replay import Replay
from rltuner.launchpad.learning.training import Training
from rltuner.launchpad.music.corpus import BarCorpus
from rltuner.launchpad.rewards.rewards import Bars, Reward

SMALL = {"steps": 640, "boards": 8, "batch_size": 16, "evaluate_every": 320, "threads": 1, "corpus": "few"}


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the place of files to read."""

    def few(name: str, board: Board, options: object) -> BarCorpus:
        return BarCorpus(name, few_bars().words, {"bars": 40}, [])

    monkeypatch.setattr("rltuner.launchpad.learning.train.load_bars", few)


def test_the_networks_have_the_papers_layers() -> None:
    shapes = {
        name: tuple(t.shape) for name, t in QNetwork(Board(), "mlp").state_dict().items() if "weight" in name
    }
    assert shapes == {
        "hidden.0.weight": (1024, 312),
        "hidden.1.weight": (512, 1024),
        "advantages.weight": (313, 512),
    }
    assert QNetwork(Board(), "linear").advantages.weight.shape == (313, 312)


def test_the_preset_seed_has_the_papers_values() -> None:
    mlp, linear = preset("seed", "mlp"), preset("seed", "linear")
    assert (mlp.epsilon, linear.epsilon) == ((0.2, 0.01), (0.1, 0.0001))
    assert (mlp.learning_rate, linear.learning_rate) == ((0.00025, 0.00005), (0.0025, 0.0005))
    assert (mlp.gamma, mlp.replay, mlp.target_every, mlp.clip, mlp.episode) == (0.99, 10**6, 1000, 10.0, 1000)
    assert (mlp.reward, mlp.cells, mlp.evaluate_every, mlp.double, mlp.dueling) == (
        "distance", "sounding", 250_000, False, False,
    )  # fmt: skip


@pytest.mark.parametrize("double", [False, True])
def test_a_gradient_step_is_that_of_the_papers_loss(double: bool) -> None:
    """Against torch's own Adam on the loss, written out once more."""
    board = Board()
    config = replace(preset("seed", "linear"), batch_size=5, double=double, threads=1)
    learner, replay = Learner(board, config), Replay(board, 50)
    generator = np.random.default_rng(0)
    states, actions = board.random(generator, 50), generator.integers(313, size=50)
    replay.add(states, actions, generator.normal(size=50).astype(np.float32))
    for network in (learner.network, learner.target):
        torch.nn.init.normal_(network.advantages.weight, std=0.1)
    mine = QNetwork(board, "linear")
    mine.load_state_dict(learner.network.state_dict())
    s, a, r, after, _ = replay.draw(np.random.default_rng(1), 5)
    bits = torch.from_numpy(board.bits)
    with torch.no_grad():
        q = learner.target(bits[after].flatten(1))
        best = mine(bits[after].flatten(1)).argmax(1) if double else q.argmax(1)
        goal = torch.from_numpy(r) + 0.99 * q[torch.arange(5), best]
    loss = ((mine(bits[s].flatten(1))[torch.arange(5), a] - goal) ** 2).mean()
    optimiser = torch.optim.Adam(mine.parameters(), lr=0.0025)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(mine.parameters(), 10.0)
    optimiser.step()
    assert learner.learn(replay, np.random.default_rng(1), 0.0025) == pytest.approx(
        float(loss.detach()), rel=1e-5
    )
    for name, tensor in mine.state_dict().items():
        assert learner.network.state_dict()[name] == pytest.approx(tensor, abs=1e-6), name


def test_the_replay_follows_a_state_as_the_board_does(generator: np.random.Generator) -> None:
    board, replay = Board(), Replay(Board(), 20)
    for _ in range(3):  # round the ring
        states, actions = board.random(generator, 9), generator.integers(313, size=9)
        replay.add(states, actions, np.zeros(9))
    s, a, _, after, _ = replay.draw(generator, 30)
    assert (after == [board.press(x, int(y)) for x, y in zip(s, a, strict=True)]).all()
    assert replay.filled == 20


def test_learning_finds_the_one_bar_that_there_is() -> None:
    """One note, four steps, the bar 1011: the greedy policy reaches it from every state, as the table's does."""
    board = Board(1, 2, 60)
    reward = Reward(Bars(board, np.array([[0b1101]], dtype=np.uint64)), "distance")
    config = TrainConfig(
        network="mlp", steps=6000, boards=16, batch_size=64, ratio=8, gamma=0.9, reward="distance", episode=20,
        start="random", target_every=100, epsilon=(1.0, 0.5), 
        learning_rate=(0.0005, 0.0001), every_press=False, threads=1,
    )  # fmt: skip
    training = Training(config, reward)
    while training.steps < config.steps:
        training.round()
    states = np.arange(board.codes, dtype=np.int32)[:, None]
    boards = Boards(reward, board.codes)
    boards.set(np.arange(board.codes), states)
    for _ in range(4):
        rewards = boards.step(training.learner.greedy(boards.states))
    assert (rewards == 0).all()


def run(config: TrainConfig) -> tuple[Path, dict[str, Any]]:
    from rltuner.launchpad.learning.train import train
    from rltuner.storing.state import load_state

    folder = train(config)
    _, tensors = load_state(folder / "checkpoint")
    return folder, {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


@pytest.mark.usefixtures("corpus")
def test_a_resumed_run_ends_as_one_that_was_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, expected = run(TrainConfig(network="linear", out=tmp_path / "whole", **SMALL))  # type: ignore[arg-type]
    rounds = 0
    real = Training.round

    def stopped(training: Training) -> tuple[float, float]:
        nonlocal rounds
        rounds += 1
        if rounds == 33:
            import signal

            signal.raise_signal(signal.SIGINT)
        return real(training)

    monkeypatch.setattr(Training, "round", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(TrainConfig(network="linear", out=tmp_path / "part", **SMALL))  # type: ignore[arg-type]
    monkeypatch.setattr(Training, "round", real)
    part, found = run(TrainConfig(resume=tmp_path / "part"))
    assert found == expected
    models = [(folder / "policy" / "model.safetensors").read_bytes() for folder in (whole, part)]
    assert models[0] == models[1]

    def kept(folder: Path) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [
            {k: v for k, v in row.items() if k not in ("steps_per_second", "reward", "loss")} for row in rows
        ]

    assert kept(whole) == kept(part)
    with pytest.raises(InputError, match="only threads can be changed"):
        run(TrainConfig(resume=tmp_path / "part", gamma=0.5 / 2))


@pytest.mark.usefixtures("corpus")
def test_a_run_that_exists_and_a_state_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="exists already"):
        run(TrainConfig(out=tmp_path / "there"))
    with pytest.raises(InputError, match="nothing to resume"):
        run(TrainConfig(resume=tmp_path / "there"))


def test_a_policy_comes_back_as_it_was_saved_and_others_are_refused(tmp_path: Path, reward: Reward) -> None:
    torch.manual_seed(0)
    network = QNetwork(Board(), "linear", dueling=True)
    save_policy(tmp_path / "mine", network, reward)
    policy = load_policy(str(tmp_path / "mine"))
    states = Board().random(np.random.default_rng(0), 4)
    bits = torch.from_numpy(Board().bits)[states].flatten(1)
    assert policy.values(states) == pytest.approx(network(bits).detach().numpy())
    assert (policy.reward.bars.words == reward.bars.words).all()
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    for field, value in (
        ("kind", "note_rnn"),
        ("network", "lstm"),
        ("board", {"notes": 24}),
        ("reward", "love"),
    ):
        (tmp_path / "mine" / "config.json").write_text(json.dumps({**config, field: value}))
        with pytest.raises(InputError, match=r"config\.json: "):
            load_policy(str(tmp_path / "mine"))
    other = {**config, "board": {"notes": 12, "levels": 6, "lowest": 60}}
    (tmp_path / "mine" / "config.json").write_text(json.dumps(other))
    with pytest.raises(InputError, match="its configuration says"):
        load_policy(str(tmp_path / "mine"))
    with pytest.raises(InputError, match="no such policy"):
        load_policy("psi")


def test_greedy_is_the_best_press_and_beats_doing_nothing_and_silence(reward: Reward) -> None:
    states = Board().random(np.random.default_rng(0), 3)
    chosen = greedy(reward).act(states)
    for state, action in zip(states, chosen, strict=True):
        after = np.array([Board().press(state, a) for a in range(313)])
        assert reward(Board().press(state, int(action))[None])[0] == pytest.approx(reward(after).max())
    found = {name: evaluate(policy, bars=40, boards=6) for name, policy in baselines(reward).items()}
    assert found["greedy"].mean > max(found[name].mean for name in ("do nothing", "random", "everything off"))
    assert found["everything off"].cells < found["do nothing"].cells
    assert found["do nothing"].repeated == 1
    beam = beam_search(reward, bars=12, boards=2, width=4)
    alone = evaluate(greedy(reward), bars=12, boards=2)
    assert beam.mean >= alone.mean - 1e-6


def test_exploration_by_rewards_takes_every_gain_and_few_losses(reward: Reward) -> None:
    boards = Boards(reward, 256, start="sparse", seed=3)
    before = reward(boards.states)
    generator = np.random.default_rng(0)
    actions = presses_by_reward(boards, before, 1e6, generator)
    after = np.array([boards.board.press(s, int(a)) for s, a in zip(boards.states, actions, strict=True)])
    assert (reward(after) >= before).all()
    free = presses_by_reward(boards, before, 0.0, generator)
    assert (free == boards.board.nothing).mean() < 0.05


def test_a_policy_plays_alone_into_a_midi_file(tmp_path: Path, reward: Reward) -> None:
    torch.manual_seed(0)
    save_policy(tmp_path / "mine", QNetwork(Board(), "linear"), reward)
    words, rewards = play_alone(load_policy(str(tmp_path / "mine")), 5)
    assert words.shape == (5, 24)
    assert rewards == pytest.approx(reward.of_words(words))
    generate(str(tmp_path / "mine"), 3, tmp_path / "song.mid", 100)
    generate(str(tmp_path / "mine"), 3, tmp_path / "again.mid", 100)
    assert (tmp_path / "song.mid").read_bytes() == (tmp_path / "again.mid").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        generate(str(tmp_path / "mine"), 3, tmp_path / "song.mid", 100)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--network", "lstm"], "lstm"),
        (["train", "--draws", "4"], "every_press needs gains"),
        (["train", "--gamma", "1"], "gamma = 1"),
        (["generate", "nobody", "--out", "x.mid"], "no such policy"),
        (["play", "--qpm", "1000"], "qpm = 1000"),
        (["plays"], "plays"),
    ],
)
def test_a_users_mistake_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["launchpad", *words])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("rltuner: ")
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.parametrize("command", ["play", "train", "explore", "generate"])
def test_help_has_an_example_that_parses(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    import shlex

    from rltuner.commands.main import _parse

    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as stop:
        main(["launchpad", command, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    (example,) = (line for line in shown.splitlines() if line.startswith("Example: rltuner "))
    assert callable(_parse(shlex.split(example.removeprefix("Example: rltuner "))))
