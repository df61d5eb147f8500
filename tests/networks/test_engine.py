"""What an engine gives is what torch gives: the same generator the same melodies, in however many threads; the same
log-probabilities, scores and gradients."""

import threading
from pathlib import Path

import pytest
import torch

from rltuner.melody import Melodies, Meter, Vocabulary
from rltuner.networks.algorithms import BACKUPS, Loss, Psi
from rltuner.networks.compose import compose
from rltuner.networks.inputs.heard import inputs_of
from rltuner.networks.inputs.names import INPUTS
from rltuner.networks.kernel_engine import KernelEngine, acting
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy, load
from rltuner.networks.torch_engine import TorchEngine
from rltuner.networks.value import ValueNetwork
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.learner import Learner

VOCABULARY = Vocabulary(60, 75)  # 17 classes, one more than a tile has


METER = Meter(4, 2)
every_input = pytest.mark.parametrize(
    "inputs", [("event",), ("event", "clock"), ("event", "lookback"), INPUTS]
)


def some_policy(
    kind: str,
    hidden_sizes: tuple[int, ...] = (7,),
    temperature: float = 1.0,
    inputs: tuple[str, ...] = ("event",),
) -> Policy:
    policy = Policy.tuned_from(kind, NoteRNN(VOCABULARY, hidden_sizes, METER, 1, inputs))
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


@every_input
@pytest.mark.parametrize("context", [0, 1, 5])
@pytest.mark.parametrize(("count", "length"), [(0, 3), (1, 1), (11, 2), (12, 5), (13, 1), (25, 40)])
def test_any_count_of_melodies_after_any_context(
    context: int, count: int, length: int, inputs: tuple[str, ...]
) -> None:
    policy = some_policy("g", inputs=inputs)
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


def engines(
    algo: str, threads: int, limit: float = 0.0, inputs: tuple[str, ...] = ("event",)
) -> tuple[TorchEngine, TorchEngine]:
    """One by torch and one by the kernels, each with networks of its own of the same weights."""
    found = []
    for kind in (TorchEngine, KernelEngine):
        policy = some_policy(algo, (6, 5), inputs=inputs)
        note_rnn = NoteRNN(VOCABULARY, (7,), METER, 3, inputs)
        value = ValueNetwork(note_rnn, 4, 9, 10.0, seed=4)
        for network in (note_rnn, value.network):  # most inputs begin at zero
            with torch.no_grad():
                weight = network.layers[0].get_parameter("weight_ih_l0")
                weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(8))
        policy.network.requires_grad_(True)
        found.append(kind(policy, value, note_rnn, Loss(limit, 10.0), threads))
    return found[0], found[1]


@every_input
@pytest.mark.parametrize("algo", ["q", "psi", "g"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [1, 140])
def test_both_engines_give_the_same_of_the_same_melodies(
    algo: str, threads: int, count: int, inputs: tuple[str, ...]
) -> None:
    by_torch, by_kernels = engines(algo, threads, inputs=inputs)
    contexts = torch.randint(17, (count, 2), generator=torch.Generator().manual_seed(5))
    melodies, same = (
        engine.compose(contexts, 9, torch.Generator().manual_seed(6), 1.0, 0.1)
        for engine in (by_torch, by_kernels)
    )
    assert torch.equal(melodies.events, same.events)
    torch.testing.assert_close(
        by_kernels.log_prior(melodies), by_torch.log_prior(melodies), atol=1e-5, rtol=0
    )
    log_prior = None if by_torch.backup.includes_log_prior else by_torch.log_prior(melodies)
    for found, expected in zip(
        *(
            engine.scores(engine.policy.network, engine.value, melodies, log_prior)
            for engine in (by_kernels, by_torch)
        ),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    goals = torch.randn(count, 9, generator=torch.Generator().manual_seed(7))
    (loss, flat), (expected_loss, gradients) = (
        engine.gradients(melodies, goals, log_prior) for engine in (by_kernels, by_torch)
    )
    assert loss == pytest.approx(expected_loss, rel=1e-4)
    by_parameter = [
        part
        for network, gradient in zip((by_kernels.policy.network, by_kernels.value), flat, strict=True)
        for part in by_kernels.weights(network).by_parameter([gradient])
    ]
    for part, gradient in zip(by_parameter, gradients, strict=True):
        torch.testing.assert_close(part, gradient, atol=1e-5, rtol=1e-3)


def test_an_event_that_there_is_not_is_refused_before_the_kernels_read_it() -> None:
    _, engine = engines("psi", 1)
    melodies = Melodies([[2, 3, 37]], None, [[4]], Vocabulary(0, 128), METER)  # the last is heard by nobody
    with pytest.raises(IndexError):
        engine.scores(engine.policy.network, engine.value, melodies, None)


def test_a_value_network_that_hears_other_things_is_refused() -> None:
    policy = some_policy("psi", inputs=INPUTS)
    value = ValueNetwork(NoteRNN(VOCABULARY, (7,), METER), 4, 9, 10.0, seed=4)
    with pytest.raises(ValueError, match="V hears"):
        KernelEngine(policy, value, policy.network, Loss(0.0, 10.0), 1)


class Doubled(Psi):
    """An algorithm of somebody's own, whose state value is another."""

    name = "doubled"
    has_kernels = False

    def state_value(self, scores: torch.Tensor, log_prior: torch.Tensor) -> torch.Tensor:
        return 2 * scores.logsumexp(dim=-1)


def test_an_algorithm_that_the_kernels_do_not_know_goes_through_torch_and_its_policies_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKUPS, "doubled", Doubled())
    config = FinetuneConfig(length=4)
    object.__setattr__(config, "algo", "doubled")
    learner = Learner(NoteRNN(VOCABULARY, (6,)), config)
    assert type(learner.engine) is TorchEngine
    melodies = learner.compose(9, 4, generator=torch.Generator().manual_seed(1))
    value, advantage = learner.engine.scores(learner.policy.network, learner.value, melodies, None)
    log_policy = learner.policy.log_prob(melodies)
    logits = learner.policy.network.unrolled(inputs_of(melodies))
    torch.testing.assert_close(advantage, log_policy - logits.logsumexp(dim=-1), atol=1e-5, rtol=0)
    assert learner.learn(melodies, value + advantage + 1) == pytest.approx(1, rel=1e-4)
    learner.policy.save(tmp_path / "mine")
    assert load(tmp_path / "mine").kind == "doubled"


def test_after_its_release_an_engine_has_no_threads_and_its_networks_step_by_torch() -> None:
    before = threading.active_count()
    _, engine = engines("g", 2)
    engine.log_prior(engine.compose(torch.zeros((140, 1), dtype=torch.int64), 3, torch.Generator(), 1.0, 0.0))
    assert threading.active_count() > before
    engine.release()
    assert threading.active_count() == before
    assert not any(net.compiled for net in (engine.policy.network, engine.policy.prior, engine.note_rnn))  # type: ignore[union-attr]
