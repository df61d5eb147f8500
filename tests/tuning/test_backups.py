"""Backups against the reference's own numbers, against the equations, and against exact optima."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.networks.algorithms import BACKUPS, advantage, backup_named
from rltuner.tuning.backups import excess, reward, targets

FIXTURE = Path(__file__).parents[1] / "fixtures" / "magenta_backups.npz"
every_algorithm = pytest.mark.parametrize("name", ["q", "psi", "g"])


@pytest.mark.parametrize("case", ["q", "psi", "g", "qclip"])
def test_one_step_matches_the_reference(case: str) -> None:
    """RL Tuner's targets and losses for five updates on one minibatch of 32 transitions."""
    with np.load(FIXTURE) as stored:
        numbers = {name: torch.from_numpy(np.asarray(stored[name])) for name in stored}
    backup = backup_named(case.removesuffix("clip"))
    rewards = numbers["rewards"] * (20 if case == "qclip" else 1)
    for update in range(5):
        (scores, log_prior, value, goal, score, loss) = (
            numbers[f"{case}/{update}/{name}"]
            for name in (
                "next_action_scores",
                "reward_scores",
                "target_vals",
                "future_rewards",
                "masked",
                "loss",
            )
        )
        ours = backup.state_value(scores, log_prior.log_softmax(dim=-1))
        torch.testing.assert_close(ours, value, atol=1e-5, rtol=0)
        # Two events: the transition, then one whose state value is the next state's; the reference's rewards
        # hold log p already.
        pair = torch.stack([rewards, torch.zeros_like(rewards)], dim=1)
        zeros = torch.zeros_like(pair)
        values = torch.stack([torch.zeros_like(ours), ours], dim=1)
        y = targets(pair, values, zeros, zeros.bool(), float(numbers["discount"]), trace=0.0)[:, 0]
        torch.testing.assert_close(y, goal, atol=1e-4, rtol=1e-6)
        torch.testing.assert_close((y - score).square().mean(), loss, rtol=1e-5, atol=1e-5)


@every_algorithm
def test_the_state_value_of_an_advantage_is_zero(name: str) -> None:
    backup, logits, log_prior = (
        BACKUPS[name],
        torch.randn(5, 7, 11) * 9,
        torch.randn(5, 7, 11).log_softmax(-1),
    )
    of_classes = [advantage(backup, logits, log_prior, torch.full((5, 7), event)) for event in range(11)]
    value = backup.state_value(torch.stack(of_classes, dim=-1), log_prior)
    torch.testing.assert_close(value, torch.zeros(5, 7), atol=1e-5, rtol=0)


@every_algorithm
def test_a_policy_does_not_see_a_constant_added_to_the_scores(name: str) -> None:
    backup, logits, log_prior = BACKUPS[name], torch.randn(4, 6), torch.randn(4, 6).log_softmax(-1)
    once, shifted = (
        backup.log_policy(x, log_prior, 0.7 if name == "q" else 1.0) for x in (logits, logits + 50)
    )
    torch.testing.assert_close(once, shifted, atol=1e-5, rtol=0)
    torch.testing.assert_close(once.exp().sum(-1), torch.ones(4))


def test_g_with_zero_scores_is_the_note_rnn() -> None:
    log_prior = torch.randn(3, 38).log_softmax(-1)
    torch.testing.assert_close(BACKUPS["g"].log_policy(torch.zeros(3, 38), log_prior), log_prior)


@every_algorithm
@pytest.mark.parametrize("trace", [0.0, 0.6, 1.0])
def test_the_last_event_is_terminal(name: str, trace: float) -> None:
    backup = BACKUPS[name]
    rewards, log_prior, values, scores = torch.randn(4, 3, 5)
    keep = torch.ones(3, 5, dtype=torch.bool)
    whole = reward(backup, rewards, log_prior)
    torch.testing.assert_close(whole, rewards if name == "g" else rewards + log_prior)
    y = targets(whole, values, scores, keep, 0.9, trace)
    torch.testing.assert_close(y[:, -1], whole[:, -1])


def test_watkins_cuts_a_return_at_the_first_event_that_is_not_greedy() -> None:
    backup = BACKUPS["q"]
    logits = torch.tensor([[[3.0, 2.0], [1.0, 3.0], [3.0, 0.0]]])
    a = advantage(backup, logits, logits, torch.tensor([[0, 0, 0]]))
    assert backup.keeps_trace(a).tolist() == [[True, False, True]]
    rewards, zeros = torch.tensor([[1.0, 10.0, 100.0]]), torch.zeros(1, 3)
    y = targets(rewards, zeros, zeros, torch.tensor([[True, False, True]]), 1.0, 1.0)
    assert y.tolist() == [[1.0, 110.0, 100.0]]  # the middle event was not greedy: its return stops before it


# A tree of all melodies over A classes and T events, its rewards and prior drawn at random: small enough to
# compute every value exactly, backwards from the leaves.
CLASSES, EVENTS = 3, 4


def exact_scores(name: str, prior: list[Tensor], rewards: list[Tensor], gamma: float) -> list[Tensor]:
    """S*(s, a) for every state of the tree: level t has shape [A ** t, A]."""
    scores: list[Tensor] = []
    following = torch.zeros(CLASSES**EVENTS, dtype=torch.float64)
    for t in reversed(range(EVENTS)):
        own = rewards[t] + (prior[t] if name != "g" else 0.0)
        level = own + gamma * following.view(CLASSES**t, CLASSES)
        scores.insert(0, level)
        if name == "q":
            following = level.max(dim=1).values
        elif name == "psi":
            following = level.exp().sum(dim=1).log()
        else:
            following = (prior[t].exp() * level.exp()).sum(dim=1).log()
    return scores


@every_algorithm
@pytest.mark.parametrize("trace", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_exact_scores_are_a_fixed_point_for_every_melody(name: str, trace: float, gamma: float) -> None:
    """At the optimum every melody's targets are its scores, whoever composed it: all 81 are checked."""
    backup = BACKUPS[name]
    torch.manual_seed(3)
    prior = [torch.randn(CLASSES**t, CLASSES, dtype=torch.float64).log_softmax(-1) for t in range(EVENTS)]
    rewards = [torch.randn(CLASSES**t, CLASSES, dtype=torch.float64) * 2 for t in range(EVENTS)]
    exact = exact_scores(name, prior, rewards, gamma)
    events = torch.cartesian_prod(*[torch.arange(CLASSES)] * EVENTS)  # (81, 4)
    states, state = [], torch.zeros(len(events), dtype=torch.int64)
    for t in range(EVENTS):
        states.append(state)
        state = state * CLASSES + events[:, t]
    pick = [level[s] for level, s in zip(exact, states, strict=True)]
    log_prior = torch.stack([level[s] for level, s in zip(prior, states, strict=True)], dim=1)  # (81, 4, A)
    all_scores = torch.stack(pick, dim=1)
    values = backup.state_value(all_scores, log_prior)
    own_scores = all_scores.gather(2, events[..., None])[..., 0]
    own_rewards = torch.stack([r[s] for r, s in zip(rewards, states, strict=True)], dim=1).gather(
        2, events[..., None]
    )
    keep = backup.keeps_trace(own_scores - values)
    whole = reward(backup, own_rewards[..., 0], log_prior.gather(2, events[..., None])[..., 0])
    y = targets(whole, values, own_scores, keep, gamma, trace)
    torch.testing.assert_close(y, own_scores, atol=1e-10, rtol=0)


def test_psi_is_log_p_plus_g() -> None:
    torch.manual_seed(5)
    prior = [torch.randn(CLASSES**t, CLASSES, dtype=torch.float64).log_softmax(-1) for t in range(EVENTS)]
    rewards = [torch.randn(CLASSES**t, CLASSES, dtype=torch.float64) for t in range(EVENTS)]
    psi, g = (exact_scores(name, prior, rewards, 1.0) for name in ("psi", "g"))
    for t in range(EVENTS):
        torch.testing.assert_close(psi[t], prior[t] + g[t])


def test_an_unknown_algorithm_is_named() -> None:
    with pytest.raises(InputError, match=r"'sarsa'.*q, psi, g"):
        backup_named("sarsa")


def test_what_a_melody_is_likelier_than_it_may_be_is_counted_as_it_arises() -> None:
    most = -6.0  # the first of four events is free, then two nats an event
    log_policy = torch.tensor([[-3.0, -0.5, 0.0, -5.0], [-0.5, -0.5, -0.5, -0.5], [-2.0, -2.0, -2.0, -2.0]])
    expected = [[0.0, 0.0, 0.5, -0.5], [0.0, 1.0, 1.5, 1.5], [0.0, 0.0, 0.0, 0.0]]
    torch.testing.assert_close(excess(log_policy, most), torch.tensor(expected))
    random = -torch.rand(50, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(excess(random, -3.0).sum(dim=1), (random.sum(dim=1) + 3.0).relu())
