"""The compiled gradient step is that of torch's graph, for every algorithm and shape of network."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from rltuner.melody import Melodies, Meter, Vocabulary
from rltuner.networks.algorithms import Loss, advantage, backup_named
from rltuner.networks.inputs.heard import inputs_of
from rltuner.networks.inputs.names import INPUTS
from rltuner.networks.kernel_engine import Step
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import predicted
from rltuner.networks.value import ValueNetwork
from rltuner.networks.weights import flattened, parts_of

VOCABULARY = Vocabulary(60, 75)  # 17 classes, one more than a tile has
METER = Meter(4, 2)
DEEP = [
    pytest.param(sizes, marks=pytest.mark.long) for sizes in ((6, 5), (5, 18), (5, 5, 5))
]  # to be compiled
every_algorithm = pytest.mark.parametrize("algo", ["q", "psi", "g"])


class Case:
    """Networks with weights of every size, melodies with contexts of `context` events, goals, and log p."""

    def __init__(
        self,
        algo: str,
        hidden_sizes: tuple[int, ...] = (7,),
        value_units: int = 3,
        batch: int = 25,
        length: int = 5,
        context: int = 1,
        loss: Loss = Loss(0.0, 2.0),  # noqa: B008
        inputs: tuple[str, ...] = ("event",),
    ) -> None:
        generator = torch.Generator().manual_seed(4)
        self.backup, self.loss = backup_named(algo), loss
        self.network = NoteRNN(VOCABULARY, hidden_sizes, METER, 1, inputs)
        self.value = ValueNetwork(self.network, value_units, max(6, length), loss.scale, seed=2)
        for parameter in (*self.network.parameters(), *self.value.parameters()):
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
        events = torch.randint(17, (batch, context + length), generator=generator)
        self.melodies = Melodies(events[:, context:], None, events[:, :context], VOCABULARY, METER)
        self.goals = 3 * torch.randn(batch, length, generator=generator)
        log_prior = torch.randn(batch, length, 17, generator=generator).log_softmax(dim=2)
        self.log_prior = None if self.backup.includes_log_prior else log_prior

    def expected(self, share: float = 1.0) -> tuple[float, list[torch.Tensor]]:
        """By torch's graph through torch's LSTM: the loss as it is written in docs/algorithms.md."""
        heard = inputs_of(self.melodies)
        logits = predicted(self.network, heard)
        a = advantage(
            self.backup, logits, logits if self.log_prior is None else self.log_prior, self.melodies.events
        )
        error = (self.value(heard) + a - self.goals).abs()
        limit = self.loss.limit
        rho = torch.where(error > limit, 2 * limit * error - limit**2, error**2) if limit else error**2
        loss = share * rho.mean()
        parameters = [*self.network.parameters(), *self.value.parameters()]
        gradients = torch.autograd.grad(loss / self.loss.scale**2, parameters)
        return float(loss.detach()), list(gradients)

    def found(self, share: float = 1.0) -> tuple[float, list[torch.Tensor]]:
        step = Step(self.network, self.value, self.loss, self.backup.is_soft)
        loss, (by_policy, by_value) = step(self.melodies, self.goals, self.log_prior, share)
        of_policy = parts_of(by_policy, list(self.network.parameters()))
        return loss, [*of_policy, *parts_of(by_value, list(self.value.parameters()))]

    def assert_equal(self) -> None:
        (loss, gradients), (expected_loss, expected) = self.found(), self.expected()
        assert loss == pytest.approx(expected_loss, rel=1e-5)
        for gradient, by_torch in zip(gradients, expected, strict=True):
            torch.testing.assert_close(gradient, by_torch, atol=2e-6, rtol=2e-4)


@every_algorithm
@pytest.mark.parametrize(
    "hidden_sizes",
    [
        (1,),
        (7,),
        (40,),
        *(pytest.param(sizes, marks=pytest.mark.long) for sizes in ((6, 5), (5, 18), (5, 5, 5))),
    ],
)
def test_the_gradients_of_any_network(algo: str, hidden_sizes: tuple[int, ...]) -> None:
    Case(algo, hidden_sizes).assert_equal()


@every_algorithm
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 6), (12, 2), (13, 4)])
@pytest.mark.parametrize("context", [0, 1, 4])
def test_the_gradients_of_any_melodies(algo: str, batch: int, length: int, context: int) -> None:
    """Also those shorter than V has offsets for, and after contexts of any length."""
    Case(algo, batch=batch, length=length, context=context).assert_equal()


@pytest.mark.parametrize("inputs", [("event", "phrase"), ("event", "lookback"), INPUTS])
@pytest.mark.parametrize("context", [0, 1, 7])
@pytest.mark.parametrize("algo", ["psi", "g"])
def test_the_gradients_of_any_inputs(algo: str, context: int, inputs: tuple[str, ...]) -> None:
    """Of melodies of ten bars, so that all there is to look back on is there."""
    Case(algo, (7,), batch=13, length=40, context=context, inputs=inputs).assert_equal()


@pytest.mark.long
@every_algorithm
@pytest.mark.parametrize("value_units", [0, 1, 33])
def test_the_gradients_of_any_value_network(algo: str, value_units: int) -> None:
    """0 units: layers as the network has them."""
    Case(algo, (6, 5), value_units).assert_equal()


@pytest.mark.parametrize("limit", [0.0, 0.5, 2.0, 100.0])
@pytest.mark.parametrize("scale", [0.25, 20.0])
def test_the_gradients_of_any_loss(limit: float, scale: float) -> None:
    Case("psi", loss=Loss(limit, scale)).assert_equal()


def test_a_maximum_that_classes_share_divides_its_gradient() -> None:
    """Q's state value has no one gradient there; torch's takes equal parts."""
    case = Case("q")
    with torch.no_grad():
        case.network.output.weight[3:] = case.network.output.weight[3].clone()
        case.network.output.bias[3:] = 50.0
    case.assert_equal()


def test_the_parts_of_a_step_add_up() -> None:
    case = Case("g")
    whole_loss, whole = case.found()
    losses, every = 0.0, [torch.zeros_like(gradient) for gradient in whole]
    melodies, goals, log_prior = case.melodies, case.goals, case.log_prior
    assert log_prior is not None
    for part in (slice(0, 7), slice(7, 25)):
        case.melodies, case.goals, case.log_prior = melodies[part], goals[part], log_prior[part]
        loss, gradients = case.found(share=len(case.melodies) / 25)
        losses += loss
        every = [a + b for a, b in zip(every, gradients, strict=True)]
    assert losses == pytest.approx(whole_loss, rel=1e-6)
    for found, expected in zip(every, whole, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_threads_side_by_side() -> None:
    cases = [Case("psi", (size,)) for size in (5, 30, 9, 7, 40, 8)]
    alone = [case.found() for case in cases]
    with ThreadPoolExecutor(4) as pool:
        for (loss, gradients), (expected_loss, expected) in zip(
            pool.map(Case.found, cases), alone, strict=True
        ):
            assert loss == expected_loss
            assert all(torch.equal(a, b) for a, b in zip(gradients, expected, strict=True))


@pytest.mark.parametrize("limit", [0.0, 2.0])
def test_what_is_not_a_number_is_not_made_one(limit: float) -> None:
    """A run whose weights are lost must see it in its loss."""
    case = Case("psi", loss=Loss(limit, 2.0))
    with torch.no_grad():
        case.network.layers[0].get_parameter("weight_hh_l0")[2, 1] = float("nan")
    loss, gradients = case.found()
    assert loss != loss
    assert bool(gradients[0].isnan().any())


def test_what_does_not_fit_is_refused() -> None:
    case = Case("g")
    step = Step(case.network, case.value, case.loss, True)
    with pytest.raises(ValueError, match="goals"):
        step(case.melodies, case.goals[:, :4], case.log_prior, 1.0)
    with pytest.raises(ValueError, match="log p"):
        step(case.melodies, case.goals, case.goals, 1.0)
    longer = Case("g", length=7)  # V has six
    with pytest.raises(ValueError, match="offsets"):
        step(longer.melodies, longer.goals, longer.log_prior, 1.0)
    for outside in (-2, 17):
        for events, context in ((outside, 0), (-1, 0), (0, outside)):
            other = Melodies.__new__(Melodies)  # which Melodies itself would not take
            vars(other).update(vars(case.melodies))
            object.__setattr__(other, "events", torch.full((25, 5), events))
            object.__setattr__(other, "context", torch.full((25, 1), context))
            with pytest.raises(IndexError):
                step(other, case.goals, case.log_prior, 1.0)


def test_other_whole_numbers_and_another_default_precision_change_nothing() -> None:
    case = Case("psi")
    loss, gradients = case.found()
    torch.set_default_dtype(torch.float64)
    try:
        other_loss, others = case.found()
    finally:
        torch.set_default_dtype(torch.float32)
    assert other_loss == loss
    assert all(torch.equal(a, b) for a, b in zip(gradients, others, strict=True))


def test_parameters_become_parts_of_one_tensor_and_stay_what_they_were() -> None:
    network = NoteRNN(VOCABULARY, (6, 5))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    [flat] = flattened(network)
    for parameter, old in zip(network.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
    flat += 1.0
    for parameter, old in zip(network.parameters(), before, strict=True):
        assert torch.equal(parameter, old + 1.0)
    network.load_state_dict(NoteRNN(VOCABULARY, (6, 5), seed=3).state_dict())
    assert torch.equal(flat, torch.cat([parameter.detach().flatten() for parameter in network.parameters()]))
