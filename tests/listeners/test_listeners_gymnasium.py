"""The environments as Gymnasium environments, by Gymnasium's own checker."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import rltuner.listeners.environments.single  # noqa: F401 - it registers them


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Grid", {}),
        ("Grid", {"dimensions": 3, "observation": "board", "reward": "rating", "listener": "noisy"}),
        ("Grid", {"listener": "tiring"}),
        ("Sessions", {}),
        ("Likes", {"family": "jig"}),
    ],
)
@pytest.mark.filterwarnings("ignore:.*infinity.*")
def test_an_environment_passes_gymnasiums_checker(name: str, options: dict[str, object]) -> None:
    environment = gymnasium.make(f"rltuner/{name}-v0", **options).unwrapped
    check_env(environment, skip_render_check=True)


def test_a_seed_makes_an_episode_repeat() -> None:
    """The same listener answers the same positions alike, and its last observation is its own."""
    environment = gymnasium.make("rltuner/Grid-v0", observation="board")
    episodes = []
    for _ in range(2):
        observation, _ = environment.reset(seed=5)
        rewards = [observation.sum()]
        for action in range(21):
            observation, reward, terminated, _, _ = environment.step(action)
            rewards.append(reward)
        assert terminated
        episodes.append((rewards, observation))
    assert episodes[0][0] == episodes[1][0]
    assert np.array_equal(episodes[0][1], episodes[1][1])
    assert (episodes[0][1] >= 0).sum() == 21  # positions 0 to 20 were played, the centre (12) among them
