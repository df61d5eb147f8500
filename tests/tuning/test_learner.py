"""Learning: what moves, and what must not. That it finds the optimum is in test_optimum."""

import dataclasses

import pytest
import torch

from rltuner.melody import Melodies, Vocabulary
from rltuner.networks.note_rnn import NoteRNN
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.learner import Learner
from rltuner.tuning.replay import Replay

every_algorithm = pytest.mark.parametrize("algo", ["q", "psi", "g"])
SMALL = Vocabulary(60, 63)  # 5 classes
LENGTH = 3


def small(algo: str, **changes: object) -> FinetuneConfig:
    config = FinetuneConfig(
        algo=algo,  # type: ignore[arg-type]
        events=100_000,
        length=LENGTH,
        c=0.7,
        gamma=0.85,
        batch_size=128,
        minibatch_size=64,
        replay=512,
        learning_rate=1e-2,
        value_learning_rate=1e-2,
        trace=0.5,
        threads=1,
    )
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def batch(learner: Learner) -> tuple[Melodies, torch.Tensor]:
    events = torch.randint(5, (16, LENGTH), generator=torch.Generator().manual_seed(1))
    melodies = Melodies(events, None, torch.ones((16, 1), dtype=torch.int64), SMALL)
    return melodies, learner.goals(melodies, torch.ones(16, LENGTH))


@every_algorithm
def test_no_gradient_reaches_the_reward_network(algo: str) -> None:
    learner = Learner(NoteRNN(SMALL, (6,)), small(algo))
    before = {name: tensor.clone() for name, tensor in learner.reward_network.state_dict().items()}
    prior = learner.policy.prior
    prior_before = {n: t.clone() for n, t in prior.state_dict().items()} if prior else {}
    for _ in range(5):
        learner.learn(*batch(learner))
    assert all(parameter.grad is None for parameter in learner.reward_network.parameters())
    assert all(torch.equal(t, before[n]) for n, t in learner.reward_network.state_dict().items())
    assert all(torch.equal(t, prior_before[n]) for n, t in (prior.state_dict() if prior else {}).items())


@every_algorithm
def test_the_policy_learns_and_the_target_follows_slowly(algo: str) -> None:
    learner = Learner(NoteRNN(SMALL, (6,)), small(algo, target_rate=0.1))
    old = learner.policy.network.output.bias.clone()
    learner.learn(*batch(learner))
    new = learner.policy.network.output.bias
    assert not torch.equal(old, new)
    torch.testing.assert_close(learner.target_network.output.bias, 0.9 * old + 0.1 * new)


def test_goals_do_not_depend_on_the_policy_network_but_on_its_target() -> None:
    learner = Learner(NoteRNN(SMALL, (6,)), small("psi"))
    melodies, goals = batch(learner)
    with torch.no_grad():
        learner.policy.network.output.bias[0] += 3
        assert torch.equal(learner.goals(melodies, torch.ones(16, LENGTH)), goals)
        learner.target_network.output.bias[0] += 3
        assert not torch.allclose(learner.goals(melodies, torch.ones(16, LENGTH)), goals)


@every_algorithm
def test_learning_continues_from_its_tensors_as_if_never_stopped(algo: str) -> None:
    one, other = (Learner(NoteRNN(SMALL, (6,)), small(algo)) for _ in range(2))
    for _ in range(3):
        one.learn(*batch(one))
    other.restore(one.tensors(), "here")
    for learner in (one, other):
        learner.learn(*batch(learner))
    for (name, tensor), again in zip(one.tensors().items(), other.tensors().values(), strict=True):
        assert torch.equal(tensor, again), name


def test_the_replay_keeps_the_last_melodies_with_their_rewards() -> None:
    replay = Replay(5)
    for start in (0, 3, 6):
        events = torch.arange(start, start + 3)[:, None] % 5
        replay.add(Melodies(events, None, events, SMALL), events.float() * 10)
    assert len(replay) == 5
    like = Melodies([[0]], None, [[0]], SMALL)
    drawn, rewards = replay.draw(200, like, torch.Generator().manual_seed(0))
    assert torch.equal(rewards, drawn.events.float() * 10)
    assert torch.equal(drawn.context, drawn.events)
    assert set(replay.events[:, 0].tolist()) == {4, 0, 1, 2, 3}  # 4..8 modulo 5
    replay.add(Melodies(torch.full((9, 1), 4), None, torch.full((9, 1), 4), SMALL), torch.zeros(9, 1))
    assert replay.events.unique().tolist() == [4]


def test_goals_follow_the_target_value_network() -> None:
    learner = Learner(NoteRNN(SMALL, (6,)), small("psi", trace=0.0))
    melodies, goals = batch(learner)
    with torch.no_grad():
        learner.value.by_step += 5
        assert torch.equal(learner.goals(melodies, torch.ones(16, LENGTH)), goals)
        learner.target_value.by_step += 5
    moved = learner.goals(melodies, torch.ones(16, LENGTH)) - goals
    torch.testing.assert_close(moved[:, :-1], torch.full((16, LENGTH - 1), 0.85 * 5 * learner.value.scale))
    assert torch.equal(moved[:, -1], torch.zeros(16))  # the last event is terminal


def test_errors_beyond_the_huber_limit_count_linearly() -> None:
    for huber, error, loss in ((0.0, 20.0, 400.0), (8.0, 20.0, 2 * 8 * (20 - 4)), (8.0, 3.0, 9.0)):
        learner = Learner(NoteRNN(SMALL, (6,)), small("psi", huber=huber))
        melodies, _ = batch(learner)
        with torch.no_grad():
            score = sum(learner.engine.scores(learner.policy.network, learner.value, melodies, None))
        assert learner.learn(melodies, score + error) == pytest.approx(loss, rel=1e-4)


@every_algorithm
@pytest.mark.parametrize("huber", [0.0, 2.0])
def test_threads_take_shares_of_one_and_the_same_gradient_step(algo: str, huber: float) -> None:
    """150 melodies in 1 share and, with 2 and with 3 threads, in 2 of 75: the same loss, and the same networks."""
    learners = [Learner(NoteRNN(SMALL, (6,)), small(algo, huber=huber, threads=n)) for n in (1, 2, 3)]
    generator = torch.Generator().manual_seed(3)
    events = torch.randint(5, (150, LENGTH), generator=generator)
    melodies = Melodies(events, None, events[:, :1], SMALL)
    goals = 5 * torch.randn(150, LENGTH, generator=generator)
    losses = [learner.learn(melodies, goals) for learner in learners]
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-5)
    for learner in learners[1:]:
        for name, tensor in learner.tensors().items():
            torch.testing.assert_close(
                tensor, learners[0].tensors()[name], rtol=1e-4, atol=1e-6, msg=f"{name} differs"
            )


@every_algorithm
def test_threads_find_log_p_and_goals_in_the_melodies_order(algo: str) -> None:
    one, two = (Learner(NoteRNN(SMALL, (6,)), small(algo, threads=n)) for n in (1, 2))
    events = torch.randint(5, (131, LENGTH), generator=torch.Generator().manual_seed(3))
    melodies, rewards = Melodies(events, None, events[:, :1], SMALL), torch.randn(131, LENGTH)
    torch.testing.assert_close(two.log_prior(melodies), one.log_prior(melodies))
    torch.testing.assert_close(two.goals(melodies, rewards), one.goals(melodies, rewards))
    assert one.log_prior(melodies[:0]).shape == (0, LENGTH, 5)


def test_the_value_network_has_units_of_its_own_or_begins_as_the_note_rnn() -> None:
    note_rnn = NoteRNN(SMALL, (6,), seed=5)
    own, copied = (Learner(note_rnn, small("psi", value_units=units)).value.network for units in (3, 0))
    assert own.hidden_sizes == (3,)
    assert copied.hidden_sizes == (6,)
    assert torch.equal(copied.layers[0].weight_hh_l0, note_rnn.layers[0].weight_hh_l0)


def test_q_does_without_a_bound_on_the_likeliest_melody_and_the_others_pay_beyond_it() -> None:
    """Three events of five classes: about 1 in 125, which is far above the bound."""
    for algo, pays in (("q", False), ("psi", True), ("g", True)):
        free, bounded = (
            batch(Learner(NoteRNN(SMALL, (6,)), small(algo, likeliest=most)))[1] for most in (1.0, 1e-7)
        )
        assert torch.equal(free, bounded) != pays, algo
        assert bool((bounded <= free).all())


def test_both_learning_rates_warm_up_and_fall_to_a_tenth() -> None:
    learner = Learner(NoteRNN(SMALL, (6,)), small("psi", learning_rate=1e-3, value_learning_rate=1e-2))
    for updates, done, factor in ((0, 0.0, 1 / 20), (19, 0.0, 1.0), (500, 0.5, 0.55), (999, 1.0, 0.1)):
        learner.set_progress(updates, done)
        rates = [group["lr"] for group in learner.optimiser.param_groups]
        assert rates == pytest.approx([1e-3 * factor, 1e-2 * factor])


@every_algorithm
def test_a_step_moves_every_weight_against_its_own_gradient(algo: str) -> None:
    """Adam's first step is the learning rate times the gradient's sign, whatever way gradients lie in memory."""
    learner = Learner(NoteRNN(SMALL, (6,)), small(algo, value_units=5))
    melodies, goals = batch(learner)
    before = [weights.detach().clone() for weights in learner._learned]
    learner.learn(melodies, goals)
    for old, weights in zip(before, learner._learned, strict=True):
        assert weights.grad is not None
        counts = weights.grad.abs() > 1e-5  # beside Adam's 1e-8
        assert counts.any()
        assert torch.equal((old - weights).sign()[counts], weights.grad.sign()[counts])


def test_a_steep_loss_moves_the_policy_no_further_than_its_clip() -> None:
    """Adam hides the length of a gradient, so the gradient itself is looked at."""
    learner = Learner(NoteRNN(SMALL, (6,)), small("psi", clip=0.01))
    melodies, goals = batch(learner)
    learner.learn(melodies, goals + 1000)
    for weights in learner._learned:
        assert weights.grad is not None
        assert float(weights.grad.norm()) == pytest.approx(0.01, rel=1e-3)


def test_weights_that_were_replaced_are_not_silently_left_as_they_are() -> None:
    learner = Learner(NoteRNN(SMALL, (6,)), small("psi"))
    melodies, goals = batch(learner)
    learner.policy.double().float()
    with pytest.raises(RuntimeError, match="replaced"):
        learner.learn(melodies, goals)
