"""A2C and ACKTR: returns and natural gradients exactly, small problems with known optima, and stable-baselines3."""

import pytest
import torch
from torch import nn

from rltuner.errors import InputError
from rltuner.listeners.agents.a2c import A2C, A2CConfig, discounted
from rltuner.listeners.agents.acktr import ACKTR, DAMPING, KroneckerFactors
from rltuner.listeners.agents.finder import Answer, NetworkFinder, try_out
from rltuner.listeners.agents.optimal import OptimalFinder
from rltuner.listeners.environments.grid import GridListeners
from rltuner.listeners.environments.raters import raters
from rltuner.listeners.environments.vector import Step


def test_returns_are_discounted_and_end_with_the_episode() -> None:
    rewards = torch.tensor([[1.0], [2.0], [4.0]])
    dones = torch.tensor([[False], [True], [False]])
    assert discounted(rewards, dones, torch.tensor([8.0]), 0.5)[:, 0].tolist() == [2.0, 2.0, 8.0]


def test_natural_gradients_solve_the_kronecker_equation() -> None:
    """G v A + lambda v = gradient, when the trust region does not bind."""
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    factors = KroneckerFactors([layer])
    a, g = torch.randn(50, 4), torch.randn(50, 2)
    factors.inputs, factors.outputs = [a.T @ a / 50], [g.T @ g / 50]
    factors.eigen = [(*torch.linalg.eigh(factors.inputs[0]), *torch.linalg.eigh(factors.outputs[0]))]
    gradient = 1e-3 * torch.randn(2, 4)
    layer.weight.grad, layer.bias.grad = gradient[:, :3].clone(), gradient[:, 3].clone()
    factors.precondition()
    v = torch.cat([layer.weight.grad, layer.bias.grad[:, None]], dim=1)
    assert torch.allclose(factors.outputs[0] @ v @ factors.inputs[0] + DAMPING * v, gradient, atol=1e-7)


def test_the_factors_are_the_layers_second_moments() -> None:
    """Of the mean of a function linear in a layer's outputs: A = E[a a'], 1 appended, and G = E[g g'] of single
    samples."""
    layer = nn.Linear(2, 1)
    factors = KroneckerFactors([layer])
    inputs = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    with factors.watching():
        factors.measuring = True
        (3 * layer(inputs)).mean().backward()
    factors.update()
    assert factors.inputs[0].tolist() == [[5.0, 7.0, 2.0], [7.0, 10.0, 3.0], [2.0, 3.0, 1.0]]
    assert factors.outputs[0].tolist() == [[9.0]]


def optimum() -> float:
    found = raters(1, "top_target")
    finder = OptimalFinder(found, GridListeners(found, 1).worth)
    return try_out(finder, found, torch.arange(5)).total.mean().item()


@pytest.mark.parametrize(("kind", "updates"), [(A2C, 700), (ACKTR, 800)])
@pytest.mark.long
def test_the_optimum_of_one_feature_is_learned(kind: type[A2C], updates: int) -> None:
    """Five levels, the board seen: at most one or two wrong guesses more than the best, over all targets."""
    found = raters(1, "top_target")
    config = A2CConfig(n=21, recurrent=False, learning_rate=2e-3, reward_scale=0.05 if kind is A2C else 1.0)
    agent = kind(GridListeners(found, 32, observation="board"), 5, config, seed=0)
    for _ in range(updates):
        agent.update()
    total = try_out(NetworkFinder(agent.network, found, "board"), found, torch.arange(5)).total.mean().item()
    assert optimum() - 15 <= total <= optimum() + 1e-3


@pytest.mark.long
def test_a_gru_remembers_what_the_observation_does_not_say() -> None:
    """Three levels: what was tried must be remembered to find the target, which an observation alone does not tell."""
    found = raters(1, "top_target", levels=3)
    agent = A2C(GridListeners(found, 32), 3, A2CConfig(n=21, learning_rate=2e-3, reward_scale=0.05), seed=0)
    for _ in range(600):
        agent.update()
    trial = try_out(NetworkFinder(agent.network, found, "grid"), found, torch.arange(3))
    assert trial.total.mean() >= 195


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*render")
def test_it_does_as_well_as_stable_baselines3() -> None:
    """Three levels of one feature, the same values, as many steps: both learn to try another level than the start's,
    worth 140; who stays there gets 70."""
    from gymnasium.wrappers import TransformReward
    from stable_baselines3 import A2C as Theirs
    from stable_baselines3.common.env_util import make_vec_env

    import rltuner.listeners.environments.single  # noqa: F401

    found = raters(1, "top_target", levels=3)
    options = {"dimensions": 1, "percentiles": "top_target", "observation": "board", "levels": 3}
    environments = make_vec_env(
        "rltuner/Grid-v0",
        16,
        env_kwargs=options,
        seed=0,
        wrapper_class=TransformReward,
        wrapper_kwargs={"func": lambda reward: 0.05 * reward},
    )
    theirs = Theirs("MlpPolicy", environments, n_steps=20, learning_rate=2e-3, ent_coef=0.01, seed=0)
    theirs.learn(16 * 20 * 250)
    ours = A2C(
        GridListeners(found, 16, observation="board"),
        3,
        A2CConfig(recurrent=False, learning_rate=2e-3),
        seed=0,
    )
    for _ in range(250):
        ours.update()

    class Their:
        def begin(self, count: int) -> None:
            self.board = torch.full((count, 3), -1.0)

        def next(self, answer: Answer, left: int) -> torch.Tensor:
            self.board[torch.arange(len(self.board)), answer.position] = answer.rating.float()
            return torch.from_numpy(theirs.predict(self.board.numpy(), deterministic=True)[0])

    finders = {"theirs": Their(), "ours": NetworkFinder(ours.network, found, "board")}
    reached = {
        name: try_out(finder, found, torch.arange(3)).total.mean().item() for name, finder in finders.items()
    }
    assert min(reached.values()) >= 130, reached
    assert abs(reached["theirs"] - reached["ours"]) <= 10


def test_rewards_that_are_no_numbers_stop_the_learning() -> None:
    listeners = GridListeners(raters(1), 2)
    agent = A2C(listeners, 5, A2CConfig(n=2))
    before = [weight.clone() for weight in agent.network.parameters()]
    step = listeners.step
    listeners.step = lambda actions: Step(
        step(actions)[0], torch.full((2,), float("nan")), torch.zeros(2, dtype=torch.bool)
    )  # type: ignore[method-assign]
    with pytest.raises(InputError, match="not a finite number"):
        agent.update()
    assert all(torch.equal(one, other) for one, other in zip(before, agent.network.parameters(), strict=True))
