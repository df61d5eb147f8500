"""Composing while tuning is composing: the same generator gives the same melodies, in however many threads."""

import pytest
import torch

from rltuner.melody import Vocabulary
from rltuner.networks.compose import compose
from rltuner.networks.kernel_engine import acting
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.learner import Learner

VOCABULARY = Vocabulary(60, 75)  # 17 classes, one more than a tile has


def some_policy(kind: str, hidden_sizes: tuple[int, ...] = (7,), temperature: float = 1.0) -> Policy:
    policy = Policy.tuned_from(kind, NoteRNN(VOCABULARY, hidden_sizes, seed=1))
    policy.temperature = temperature  # of which only Q takes notice
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return policy


def acted(policy: Policy, context: torch.Tensor, length: int, seed: int, **how: float) -> torch.Tensor:
    act, events = acting(policy, context, length, torch.Generator().manual_seed(seed), **how)
    act(slice(0, len(context)))
    return events


@pytest.mark.parametrize(("kind", "temperature"), [("q", 0.7), ("psi", 0.5), ("g", 0.5)])
@pytest.mark.parametrize("hidden_sizes", [(7,), (40,), (5, 9), (9, 5), (4, 4, 4)])
@pytest.mark.parametrize(
    "how",
    [{}, {"temperature": 0.0}, {"temperature": 0.6}, {"epsilon": 0.3}, {"temperature": 0.0, "epsilon": 0.5}],
)
def test_the_same_generator_gives_the_melodies_of_compose(
    kind: str, temperature: float, hidden_sizes: tuple[int, ...], how: dict[str, float]
) -> None:
    policy = some_policy(kind, hidden_sizes, temperature)
    context = torch.randint(17, (50, 3), generator=torch.Generator().manual_seed(5))
    expected = compose(policy, 50, 12, primer=context, seed=6, **how).events  # type: ignore[arg-type]
    assert len(expected.unique()) > 3 or how.get("temperature") == 0.0  # the likeliest may always be the same
    assert torch.equal(acted(policy, context, 12, 6, **how), expected)


@pytest.mark.parametrize("context", [0, 1, 5])
@pytest.mark.parametrize(("count", "length"), [(0, 3), (1, 1), (11, 2), (12, 5), (13, 1), (25, 4)])
def test_any_count_of_melodies_after_any_context(context: int, count: int, length: int) -> None:
    policy = some_policy("g")
    contexts = torch.randint(17, (count, context), generator=torch.Generator().manual_seed(5))
    expected = compose(policy, count, length, primer=contexts, seed=6).events
    assert torch.equal(acted(policy, contexts, length, 6), expected)


def test_the_generator_goes_on_from_where_compose_leaves_it() -> None:
    policy, context = some_policy("psi"), torch.zeros((4, 1), dtype=torch.int64)
    ours, theirs = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    acting(policy, context, 5, ours, epsilon=0.2)
    compose(policy, 4, 5, primer=context, generator=theirs, epsilon=0.2)
    assert torch.equal(ours.get_state(), theirs.get_state())


def test_shares_together_are_the_whole() -> None:
    policy, context = some_policy("psi"), torch.zeros((30, 1), dtype=torch.int64)
    act, events = acting(policy, context, 6, torch.Generator().manual_seed(1))
    for share in (slice(17, 30), slice(0, 4), slice(4, 17)):
        act(share)
    assert torch.equal(events, acted(policy, context, 6, 1))


@pytest.mark.parametrize("algo", ["q", "psi", "g"])
def test_a_learner_composes_what_its_policy_does_in_one_thread_or_three(algo: str) -> None:
    for threads in (1, 3):
        config = FinetuneConfig(algo=algo, length=6, threads=threads)  # type: ignore[arg-type]
        learner = Learner(NoteRNN(VOCABULARY, (6,)), config)
        found = learner.compose(200, 6, generator=torch.Generator().manual_seed(4), epsilon=0.1)
        expected = compose(learner.policy, 200, 6, generator=torch.Generator().manual_seed(4), epsilon=0.1)
        assert torch.equal(found.events, expected.events)
        assert torch.equal(found.context, expected.context)
        assert (found.vocabulary, found.meter) == (expected.vocabulary, expected.meter)


def test_more_melodies_than_compose_takes_at_a_time() -> None:
    learner = Learner(NoteRNN(VOCABULARY, (6,)), FinetuneConfig(length=2, threads=1))
    found = learner.compose(4100, 2, generator=torch.Generator().manual_seed(4))
    expected = compose(learner.policy, 4100, 2, generator=torch.Generator().manual_seed(4))
    assert torch.equal(found.events, expected.events)
