"""With gamma = 1 the optimum is known. Here it is enumerated, and the real training loop has to find it.

Five classes, four events, five primers: 3,125 melodies in all, a random Note RNN, random rules.
"""

import dataclasses
import math
from functools import cache

import pytest
import torch
from torch import Tensor

from rltuner.melody import Melodies, Vocabulary
from rltuner.networks.inputs.heard import inputs_of
from rltuner.networks.note_rnn import NoteRNN
from rltuner.rules.book import RuleBook
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.learner import Learner
from rltuner.tuning.replay import Replay
from rltuner.tuning.round import rounds_of, tune_round

SMALL = Vocabulary(60, 63)  # 5 classes
CLASSES, LENGTH = 5, 4
TREE = (CLASSES,) * (1 + LENGTH)  # primer, then the events
CONFIG = FinetuneConfig(
    events=600_000,
    length=LENGTH,
    c=0.7,
    gamma=1.0,
    batch_size=256,
    passes=2,
    minibatch_size=128,
    replay=1024,
    learning_rate=2e-2,
    value_learning_rate=2e-2,
    trace=0.5,
    threads=1,
)


def wishes(melodies: Melodies) -> Tensor:
    """Fixed random rewards of each event given the two before it."""
    table = torch.randn((LENGTH, 5, 5, 5), generator=torch.Generator().manual_seed(7))
    events = melodies.events
    one, two = (torch.nn.functional.pad(events[:, :-back], (back, 0)) for back in (1, 2))
    return table[torch.arange(LENGTH), two, one, events]


BOOK = RuleBook("wishes", "", "C major", None, {"wishes": wishes}, {"wishes": 1.0}, {})


def every_melody() -> Melodies:
    """All primers with all melodies, so that any tensor over them has the shape TREE + (...)."""
    rows = torch.cartesian_prod(*[torch.arange(CLASSES)] * (1 + LENGTH))
    return Melodies(rows[:, 1:], None, rows[:, :1], SMALL)


@cache
def tuned(algo: str, likeliest: float = 1.0) -> Learner:
    """The learner after a whole run of the loop that `finetune` runs."""
    config = dataclasses.replace(CONFIG, algo=algo, likeliest=likeliest, likeliest_cost=2.0)  # type: ignore[arg-type]
    learner, replay = Learner(NoteRNN(SMALL, (24,), seed=3), config), Replay(config.replay)
    generator = torch.Generator().manual_seed(0)
    for update in range(rounds_of(config)):
        tune_round(learner, replay, BOOK, generator, update)
    return learner


def exact_scores(learner: Learner) -> list[Tensor]:
    """S*(s_t, a) by dynamic programming from the last event, for each t: float64 [5] * (t + 2), s_t before a."""
    melodies = every_melody()
    log_p = learner.log_prior(melodies).gather(2, melodies.events[..., None])[..., 0].double()
    rewards = wishes(melodies).double() / CONFIG.c
    following, scores = torch.zeros(TREE, dtype=torch.float64), []
    for t in range(LENGTH - 1, -1, -1):
        # What happens at t depends on the primer and the first t + 1 events; the rest of the index is free.
        here = (slice(None),) * (t + 2) + (0,) * (LENGTH - 1 - t)
        prior = log_p[:, t].reshape(TREE)[here]
        score = rewards[:, t].reshape(TREE)[here] + (following if t < LENGTH - 1 else 0.0)
        if learner.config.algo != "g":
            score = score + prior
        scores.append(score)
        following = learner.backup.state_value(score, prior)
    return scores[::-1]


def learned_scores(learner: Learner) -> list[Tensor]:
    """V(s_t) + A(s_t, a) of the policy and value networks, in the same shapes."""
    melodies = every_melody()
    heard = inputs_of(melodies)
    with torch.no_grad():
        logits, log_prior = learner.policy.network.unrolled(heard), learner.log_prior(melodies)
        advantage = logits - learner.backup.state_value(logits, log_prior)[..., None]
        all_scores = learner.value(heard)[..., None] + advantage  # (3125, 4, 5)
    scores = []
    for t in range(LENGTH):
        here = (slice(None),) * (t + 1) + (0,) * (LENGTH - t)
        scores.append(all_scores[:, t].reshape((*TREE, CLASSES))[here].double())
    return scores


def optimal_distribution(learner: Learner) -> tuple[Tensor, Tensor]:
    """pi*(melody | primer) = p exp(sum r / c) / Z, and p: float64 [5, 625]."""
    melodies = every_melody()
    log_p = learner.log_prior(melodies).gather(2, melodies.events[..., None])[..., 0].sum(dim=1).double()
    wanted = log_p + wishes(melodies).double().sum(dim=1) / CONFIG.c
    return wanted.reshape(CLASSES, -1).softmax(dim=1), log_p.reshape(CLASSES, -1).exp()


@pytest.mark.parametrize("algo", ["psi", pytest.param("g", marks=pytest.mark.long)])
def test_psi_and_g_find_the_optimal_policy(algo: str) -> None:
    learner = tuned(algo)
    exact, prior = optimal_distribution(learner)
    found = learner.policy.log_prob(every_melody()).double().sum(dim=1).exp().reshape(CLASSES, -1)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(CLASSES, dtype=torch.float64))
    assert float((exact - prior).abs().sum(dim=1).min() / 2) > 0.5, "the rules must ask for something"
    assert float((exact - found).abs().sum(dim=1).mean() / 2) <= 0.02


def bounded(distribution: Tensor, likeliest: float, cost: float) -> Tensor:
    """log pi = log pi* - cost x relu(log pi - log likeliest) + constant, each row of float64 [5, 625] for itself."""
    most, wanted = math.log(likeliest), distribution.log()
    low, high = torch.full((CLASSES, 1), -50.0).double(), torch.full((CLASSES, 1), 50.0).double()
    for _ in range(100):  # halves the interval that holds the constant
        middle = (low + high) / 2
        free = wanted + middle
        found = torch.where(free > most, (free + cost * most) / (1 + cost), free).exp()
        too_much = found.sum(dim=1, keepdim=True) > 1
        low, high = torch.where(too_much, low, middle), torch.where(too_much, middle, high)
    return found


@pytest.mark.long
@pytest.mark.parametrize("algo", ["psi", "g"])
def test_with_a_bound_on_the_likeliest_melody_they_find_the_best_policy_that_pays_for_it(algo: str) -> None:
    likeliest = 0.02
    learner = tuned(algo, likeliest)
    free, _ = optimal_distribution(learner)
    exact = bounded(free, likeliest, learner.config.likeliest_cost)
    found = learner.policy.log_prob(every_melody()).double().sum(dim=1).exp().reshape(CLASSES, -1)
    assert float((exact - free).abs().sum(dim=1).min() / 2) > 0.2, "the bound must ask for something"
    assert float((exact - found).abs().sum(dim=1).mean() / 2) <= 0.02


@pytest.mark.parametrize(
    "algo", [pytest.param("q", marks=pytest.mark.long), "psi", pytest.param("g", marks=pytest.mark.long)]
)
def test_scores_are_the_optimal_ones_where_the_policy_goes(algo: str) -> None:
    """Soft for Psi and G, hard for Q; averaged over what the learned policy plays."""
    learner = tuned(algo)
    probability = learner.policy.log_prob(every_melody()).double().sum(dim=1).exp().reshape(TREE) / CLASSES
    for t, (found, exact) in enumerate(zip(learned_scores(learner), exact_scores(learner), strict=True)):
        weight = probability.sum(dim=tuple(range(t + 2, 1 + LENGTH))) if t < LENGTH - 1 else probability
        assert float((weight * (found - exact).abs()).sum()) < 0.06


@pytest.mark.long
def test_q_learns_to_play_the_best_melody_of_every_primer() -> None:
    learner = tuned("q")
    exact = exact_scores(learner)
    found = learned_scores(learner)
    for primer in range(CLASSES):
        state: tuple[int, ...] = (primer,)
        for t in range(LENGTH):
            assert int(found[t][state].argmax()) == int(exact[t][state].argmax())
            state = (*state, int(exact[t][state].argmax()))


@pytest.mark.long
def test_psi_is_log_p_plus_g() -> None:
    """At convergence, where the policies go."""
    psi, g = tuned("psi"), tuned("g")
    prior = g.log_prior(every_melody())
    probability = psi.policy.log_prob(every_melody()).double().sum(dim=1).exp().reshape(TREE) / CLASSES
    for t, (one, other) in enumerate(zip(learned_scores(psi), learned_scores(g), strict=True)):
        here = (slice(None),) * (t + 1) + (0,) * (LENGTH - t)
        log_p = prior[:, t].reshape((*TREE, CLASSES))[here].double()
        weight = probability.sum(dim=tuple(range(t + 2, 1 + LENGTH))) if t < LENGTH - 1 else probability
        assert float((weight * (one - log_p - other).abs()).sum()) < 0.08
