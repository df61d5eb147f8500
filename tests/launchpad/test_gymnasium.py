"""The board as others' agents see it: gymnasium's own checker, its vector form, and stable-baselines3's DQN."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from few_bars import few_bars
from gymnasium.utils.env_checker import check_env

from rltuner.errors import InputError
from rltuner.launchpad.environments.gymnasium_boards import NAME, LaunchpadEnv, LaunchpadVectorEnv


def test_gymnasiums_checker_finds_nothing() -> None:
    board = gymnasium.make(NAME, bars=few_bars(), render_mode="ansi")
    board.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(board.unwrapped)
    assert len(str(board.render()).splitlines()) == 24


def test_a_seed_repeats_an_episode_and_a_thousand_bars_end_it() -> None:
    board = LaunchpadEnv(bars=few_bars(), draws=3)

    def play(seed: int) -> list[float]:
        board.reset(seed=seed)
        return [board.step(action)[1] for action in range(20)]

    assert play(1) == play(1) != play(2)
    board.reset()
    ends = [board.step(board.board.nothing)[2:4] for _ in range(1000)]
    assert ends == [(False, False)] * 999 + [(False, True)]
    board.reset(options={"state": [64] * 24})
    with pytest.raises(InputError, match="0 to 8191"):
        board.reset(options={"state": [9000] * 24})
    with pytest.raises(InputError, match="action 313"):
        board.step(313)


def test_thousands_of_boards_in_lock_step_are_as_many_single_ones() -> None:
    many = gymnasium.make_vec(NAME, num_envs=2000, bars=few_bars(), episode=3)
    assert isinstance(many, LaunchpadVectorEnv)
    seen, _ = many.reset(seed=4)
    assert seen.shape == (2000, 312)
    assert seen.dtype == torch.float32
    one = LaunchpadEnv(bars=few_bars())
    codes = many._boards.states[7].copy()
    single, _ = one.reset(options={"state": codes})
    assert (seen[7].numpy() == single).all()
    generator = torch.Generator().manual_seed(0)
    for bar in range(3):
        actions = torch.randint(313, (2000,), generator=generator)
        seen, rewards, ended, cut, _ = many.step(actions)
        single, reward, *_ = one.step(int(actions[7]))
        assert (seen[7].numpy() == single).all()
        assert float(rewards[7]) == pytest.approx(reward)
        assert not ended.any()
        assert bool(cut.all()) == (bar == 2)
    _, rewards, _, cut, _ = many.step(actions)  # begins anew
    assert not rewards.any()
    assert not cut.any()
    with pytest.raises(InputError, match="expected 2000 numbers"):
        many.step(torch.full((2000,), 313))


@pytest.mark.long
def test_stable_baselines3_learns_on_it() -> None:
    from stable_baselines3 import DQN

    torch.set_num_threads(1)
    board = gymnasium.make(NAME, bars=few_bars(), reward="distance", start="random", episode=64)
    agent = DQN("MlpPolicy", board, learning_starts=200, buffer_size=4000, target_update_interval=200, gamma=0.5,
                exploration_fraction=0.6, policy_kwargs={"net_arch": [64]}, seed=0)  # fmt: skip

    def mean() -> float:
        total = []
        for seed in range(3):
            seen, _ = board.reset(seed=seed)
            for _ in range(64):
                seen, reward, *_ = board.step(int(agent.predict(seen, deterministic=True)[0]))
                total.append(reward)
        return float(np.mean(total))

    first = {name: tensor.clone() for name, tensor in agent.policy.state_dict().items()}
    agent.learn(4000)
    assert agent.num_timesteps == 4000
    assert any(not torch.equal(first[name], tensor) for name, tensor in agent.policy.state_dict().items())
    assert -24 * 64 <= mean() <= 0
