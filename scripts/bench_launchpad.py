"""Speed of the launchpad, for scripts/bench.py: exact rewards of all presses, boards alone, learning."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import faiss
import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN

from rltuner.launchpad.board.beats import Board
from rltuner.launchpad.choices import NetworkName
from rltuner.launchpad.environments.boards import Boards
from rltuner.launchpad.environments.gymnasium_boards import NAME
from rltuner.launchpad.learning.config import preset
from rltuner.launchpad.learning.training import Training
from rltuner.launchpad.music.corpus import load_bars
from rltuner.launchpad.rewards.rewards import Bars, Reward

Seconds = tuple[float, float, float]
UNITS = {"linear": [], "mlp": [1024, 512]}


def run(timed: Callable[..., Seconds], report: Callable[..., None], threads: int = 2) -> None:
    """All of it. The minimal time of a kernel counts: the machine may be busy."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    board = Board()
    reward = Reward(Bars(board, load_bars("chorales", board, quiet=True).words), "distance")
    bench_rewards(reward, timed, report)
    for draws in (32, 0):
        boards = Boards(reward, 1024, draws=draws, seed=0)
        actions = np.random.default_rng(0).integers(board.actions, size=(64, 1024))

        def play(boards: Boards = boards, actions: np.ndarray = actions) -> None:
            for row in actions:
                boards.step(row)

        seconds = timed(play)
        note = f"{actions.size / seconds[1]:,.0f} steps/s at best, 1 thread"
        report(f"launchpad: boards, {draws or len(reward.bars)} bars a reward", seconds, note)
    torch.set_num_threads(threads)
    networks: tuple[NetworkName, ...] = ("linear", "mlp")
    for network in networks:
        for ratio in (1.0, 8.0):
            bench_learning(reward, network, ratio)
            bench_sb3(reward, network, ratio)


def bench_rewards(reward: Reward, timed: Callable[..., Seconds], report: Callable[..., None]) -> None:
    """The exact reward of all 313 presses in one state; all three must agree."""
    board, bars = reward.bars.board, reward.bars
    state = Boards(reward, 1, seed=1).states
    after = np.array([board.press(state[0], action) for action in range(board.actions)])
    words = board.words[after]
    index = faiss.IndexBinaryFlat(64 * board.notes)
    index.add(np.ascontiguousarray(bars.words).view(np.uint8))
    queries = np.ascontiguousarray(words).view(np.uint8)

    def by_numpy() -> np.ndarray:
        """A press changes one note's word: the others' cells are counted once."""
        rest = np.bitwise_count(board.words[state[0]] ^ bars.words).astype(np.int32)
        whole = rest.sum(axis=1)
        found = np.empty(board.actions, dtype=np.int32)
        for action in range(board.actions):
            note = min(action // board.presses, board.notes - 1)
            changed = np.bitwise_count(words[action, note] ^ bars.words[:, note])
            found[action] = -(whole - rest[:, note] + changed).min()
        return found

    ours = reward.of_actions(state)[0]
    assert (ours == by_numpy()).all()
    assert (ours == -index.search(queries, 1)[0][:, 0]).all()
    size = board.actions * len(bars)
    for name, work in (
        ("kernel", lambda: reward.of_actions(state)),
        ("numpy's bitwise_count", by_numpy),
        ("faiss's IndexBinaryFlat", lambda: index.search(queries, 1)),
    ):
        seconds = timed(work, 11)
        report(
            f"launchpad: 313 presses, {name}",
            seconds,
            f"{size / seconds[1] / 1e6:,.0f} M bar-words/s at best, 1 thread",
        )


def bench_learning(reward: Reward, network: NetworkName, ratio: float, seconds: float = 5.0) -> None:
    """Steps a second of training, acting, rewards of 32 drawn bars and learning included."""
    config = replace(
        preset("seed", network),
        boards=256,
        batch_size=256,
        ratio=ratio,
        replay=100_000,
        threads=torch.get_num_threads(),
        steps=10**9,
    )
    training = Training(config, reward)
    while training.learner.updates < 10:
        training.round()
    before, started = training.steps, time.perf_counter()
    while time.perf_counter() - started < seconds:
        training.round()
    speed = (training.steps - before) / (time.perf_counter() - started)
    what = f"launchpad: {network}, {ratio:g} learned a step"
    print(f"{what:<44} {speed:9,.0f} steps/s   {torch.get_num_threads()} threads, 256 boards, batch 256")


def bench_sb3(reward: Reward, network: NetworkName, ratio: float, steps: int = 1500) -> None:
    """The same board and network with stable-baselines3's DQN: one board, batches of 32 every 32 / ratio steps."""
    board = gymnasium.make(NAME, bars=reward.bars, reward="distance", draws=32, start="random")
    every = round(32 / ratio)
    agent = DQN("MlpPolicy", board, batch_size=32, train_freq=every, buffer_size=100_000, learning_starts=100, gamma=0.99,
                policy_kwargs={"net_arch": UNITS[network]})  # fmt: skip
    started = time.perf_counter()
    agent.learn(steps)
    speed = steps / (time.perf_counter() - started)
    print(f"launchpad: {network}, {ratio:g} learned a step, stable-baselines3 {speed:9,.0f} steps/s")
