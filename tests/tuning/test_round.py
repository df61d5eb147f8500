"""One round of tuning: what is composed, what is learned from it, and what is recorded."""

import copy
from typing import Any

import pytest
import torch

from rltuner.eval.objective import measure
from rltuner.melody import Melodies
from rltuner.networks.compose import compose
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.rules import load_rulebook
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.learner import Learner
from rltuner.tuning.replay import Replay
from rltuner.tuning.round import tune_round

NOTE_RNN = NoteRNN(hidden_sizes=(8,), seed=1)


def tiny(**changes: Any) -> FinetuneConfig:
    """24 rounds of 8 melodies of 16 events."""
    usual = {"events": 3_000, "length": 16, "batch_size": 8, "minibatch_size": 8, "replay": 32, "threads": 1}
    return FinetuneConfig(**(usual | changes))


def same_state(generator: torch.Generator) -> torch.Generator:
    """Another generator that will draw the same numbers."""
    other = torch.Generator()
    other.set_state(generator.get_state())
    return other


def test_the_recorded_figures_are_those_of_the_melodies_and_the_policy_that_composed_them() -> None:
    config = tiny(algo="psi", learning_rate=0.05)
    learner, book = Learner(NOTE_RNN, config), load_rulebook("magenta")
    generator, replay = torch.Generator().manual_seed(5), Replay(config.replay)
    for update in range(3):  # so that the policy is no longer the Note RNN
        tune_round(learner, replay, book, generator, update)
    policy = copy.deepcopy(learner.policy)
    melodies = compose(policy, config.batch_size, config.length, generator=same_state(generator))
    record = tune_round(learner, replay, book, generator, 3, measured=True)
    kl = 0.0
    for melody in range(len(melodies)):  # step by step, from the definition
        heard, p_state, state = melodies.context[melody], None, None
        for event in melodies.events[melody]:
            log_policy, state = policy.step(heard, state)
            logits, p_state = learner.reward_network.step(heard, p_state)
            log_prior = logits.log_softmax(-1)
            kl += float((log_policy.exp() * (log_policy - log_prior)).sum().detach())
            heard = event[None]
    assert kl / len(melodies) > 0.01
    assert record["kl"] == pytest.approx(kl / len(melodies), rel=1e-3)
    total = float(book.score(melodies)["total"].sum(dim=1).mean())
    assert record["rule_reward"] == pytest.approx(total, rel=1e-5)
    fresh = measure(policy, learner.reward_network, melodies, book, config.c)
    assert fresh.kl == pytest.approx(record["kl"], rel=1e-4)
    assert fresh.objective == pytest.approx(record["objective"], rel=1e-4)
    assert fresh.log_prior == pytest.approx(record["log_prior"], rel=1e-4)


def test_exploration_falls_to_its_end_over_half_of_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(epsilon=1.0, epsilon_end=0.2, greedy=True)
    learner, book = Learner(NOTE_RNN, config), load_rulebook("magenta")
    asked = []

    composed = learner.compose

    def spy(*arguments: Any, **options: Any) -> Melodies:
        asked.append((options["epsilon"], options["temperature"]))
        return composed(*arguments, **options)

    monkeypatch.setattr(learner, "compose", spy)
    for update in (0, 6, 12, 23):  # of 24
        tune_round(learner, Replay(0), book, torch.Generator().manual_seed(0), update)
    assert [round(epsilon, 6) for epsilon, _ in asked] == [1.0, 0.6, 0.2, 0.2]
    assert {temperature for _, temperature in asked} == {0.0}


def test_epsilon_one_is_uniform_and_greedy_takes_the_likeliest() -> None:
    policy = Policy("note_rnn", NOTE_RNN)
    uniform = compose(policy, 4_000, 2, primer="none", seed=0, epsilon=1.0).events
    assert int(torch.bincount(uniform.flatten(), minlength=38).min()) > 130  # of about 210
    greedy = compose(policy, 50, 4, primer="none", seed=0, temperature=0.0).events
    assert len(greedy.unique(dim=0)) == 1


def test_passes_learn_from_every_melody_as_often_towards_the_same_goals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """8 new melodies and 8 kept ones, 3 passes in steps of 4."""
    config = tiny(passes=3, minibatch_size=4, replayed=1.0)
    learner, book = Learner(NOTE_RNN, config), load_rulebook("magenta")
    replay, generator = Replay(config.replay), torch.Generator().manual_seed(0)
    tune_round(learner, replay, book, generator, 0)
    learn, seen = Learner.learn, []

    def spy(learner: Learner, melodies: Melodies, goals: torch.Tensor, log_prior: object) -> float:
        seen.append(torch.cat([melodies.context, melodies.events, goals], dim=1))
        return learn(learner, melodies, goals, log_prior)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "learn", spy)
    tune_round(learner, replay, book, generator, 1)
    assert [len(rows) for rows in seen] == [4] * 12
    passes = [torch.cat(seen[i : i + 4]) for i in (0, 4, 8)]
    assert sorted(passes[0].tolist()) == sorted(passes[1].tolist()) == sorted(passes[2].tolist())
    assert passes[0].tolist() != passes[1].tolist()  # in another order


def test_g_learns_with_log_p_of_the_very_melodies_it_learns_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Own, kept and edited melodies: what was known of each part comes in the parts' order."""
    config = tiny(algo="g", replayed=0.5, repeated=0.5)
    learner, book = Learner(NOTE_RNN, config), load_rulebook("magenta")
    generator, replay = torch.Generator().manual_seed(5), Replay(config.replay)
    goals, seen = learner.goals, []

    def checked(melodies: Melodies, rewards: torch.Tensor, log_prior: torch.Tensor | None) -> torch.Tensor:
        torch.testing.assert_close(log_prior, learner.log_prior(melodies))
        seen.append(len(melodies))
        return goals(melodies, rewards, log_prior)

    monkeypatch.setattr(learner, "goals", checked)
    for update in range(2):
        tune_round(learner, replay, book, generator, update)
    assert seen == [8 + 4, 8 + 4 + 4]
