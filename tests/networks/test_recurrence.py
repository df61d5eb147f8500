"""The compiled recurrence is what torch's LSTM gives, for several networks and threads at once. Its way back is in
test_gradients."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from rltuner.melody import Meter
from rltuner.networks.devices import undivided
from rltuner.networks.inputs.heard import Heard, begin
from rltuner.networks.inputs.names import INPUTS
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.recurrent import State, Unroller

every_shape = pytest.mark.parametrize("hidden_sizes", [(7,), (6, 5), (5, 5, 5), (40,), (64,)])
every_input = pytest.mark.parametrize(
    "inputs", [("event",), ("event", "clock"), ("event", "lookback"), INPUTS]
)


def some_events(batch: int, time: int) -> torch.Tensor:
    return torch.randint(-1, 38, (batch, time), generator=torch.Generator().manual_seed(1))


def heard(events: torch.Tensor, skipped: int = 0) -> Heard:
    """As `NoteRNN.forward` hears events."""
    return Heard(events, begin(len(events), 1, None, Meter()), skipped)


def unrolled(model: NoteRNN, events: torch.Tensor, skipped: int = 0) -> torch.Tensor:
    with torch.no_grad():
        return model.unrolled(heard(events, skipped))


def with_weights(hidden_sizes: tuple[int, ...], inputs: tuple[str, ...]) -> NoteRNN:
    """A network in which every input counts: most begin at zero."""
    model = NoteRNN(hidden_sizes=hidden_sizes, inputs=inputs)
    with torch.no_grad():
        model.layers[0].get_parameter("weight_ih_l0").normal_(
            std=0.3, generator=torch.Generator().manual_seed(3)
        )
    return model


@every_shape
@every_input
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (3, 40), (9, 2), (12, 3), (25, 4), (0, 5)])
def test_unrolled_is_what_torchs_lstm_gives(
    inputs: tuple[str, ...], hidden_sizes: tuple[int, ...], batch: int, time: int
) -> None:
    model, events = with_weights(hidden_sizes, inputs), some_events(batch, time)
    torch.testing.assert_close(unrolled(model, events), model(events)[0].detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("hidden_sizes", [(7,), pytest.param((6, 5), marks=pytest.mark.long)])
def test_unrolled_for_training_it_is_torchs_lstm_there_and_back(
    hidden_sizes: tuple[int, ...], threads: int
) -> None:
    model, events = with_weights(hidden_sizes, INPUTS), some_events(5, 40)
    rows = model.inputs.rows(heard(events)).all()
    hidden = Unroller(model.layers, model.vocabulary.size, threads)(rows)
    expected = model.features(rows)[0].transpose(0, 1)
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=0)
    wanted, weights = torch.randn(hidden.shape), list(model.layers.parameters())
    found, by_torch = (
        torch.autograd.grad((x * wanted).sum(), weights, retain_graph=True) for x in (hidden, expected)
    )
    for one, other in zip(found, by_torch, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_what_was_unrolled_for_training_goes_back_once() -> None:
    """Its memory becomes gradients on the way: a second way back would give others, without a word."""
    model = NoteRNN(hidden_sizes=(7,))
    rows = model.inputs.rows(heard(some_events(3, 4))).all()
    total = Unroller([*model.layers], model.vocabulary.size, 1)(rows).sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        total.backward()


def test_a_row_that_there_is_not_is_refused_before_the_kernels_read_it() -> None:
    model = NoteRNN(hidden_sizes=(4,))
    unroller = Unroller(model.layers, model.vocabulary.size, 1)
    for row in (-1, 39, 127):
        with pytest.raises(IndexError):
            unroller(torch.tensor([[[3], [row]]]))


def test_with_gradients_it_is_torchs_lstm() -> None:
    model, events = NoteRNN(hidden_sizes=(6, 5)), some_events(3, 11)
    found = torch.autograd.grad(model.unrolled(heard(events)).sum(), list(model.parameters()))
    expected = torch.autograd.grad(model(events)[0].sum(), list(model.parameters()))
    for gradient, by_torch in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, by_torch)


def test_outputs_after_the_context_alone() -> None:
    model, events = NoteRNN(hidden_sizes=(6, 5)), some_events(3, 11)
    torch.testing.assert_close(unrolled(model, events, 4), unrolled(model, events)[:, 4:])
    torch.testing.assert_close(
        model.unrolled(heard(events, 4)), model.unrolled(heard(events))[:, 4:]
    )  # torch's


@every_shape
@every_input
def test_compiled_steps_are_steps(inputs: tuple[str, ...], hidden_sizes: tuple[int, ...]) -> None:
    model, compiled_model = (NoteRNN(hidden_sizes=hidden_sizes, inputs=inputs) for _ in range(2))
    compiled_model.compiled = True
    state = compiled_state = None
    with torch.no_grad():
        for events in some_events(4, 6).t():
            logits, state = model.step(events, state)
            found, compiled_state = compiled_model.step(events, compiled_state)
            torch.testing.assert_close(found, logits, atol=1e-5, rtol=0)
    assert state is not None
    assert compiled_state is not None
    assert state.layers is not None
    assert compiled_state.layers is not None
    for pair, compiled_pair in zip(state.layers, compiled_state.layers, strict=True):
        torch.testing.assert_close(compiled_pair, pair, atol=1e-5, rtol=0)


def test_compiled_or_not_a_step_has_gradients_and_a_class_must_exist() -> None:
    model = NoteRNN(hidden_sizes=(4,))
    model.compiled = True
    _, state = model.step(torch.tensor([3, 5]))
    model.step(torch.tensor([4, 6]), state)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    for outside in (-2, 38):
        with torch.no_grad(), pytest.raises(IndexError):
            model.step(torch.tensor([3, outside]))
        with pytest.raises(IndexError):
            unrolled(model, torch.tensor([[3, outside]]))


def test_a_state_of_other_melodies_is_refused_and_one_that_lies_otherwise_is_not() -> None:
    model = NoteRNN(hidden_sizes=(5,))
    model.compiled = True
    with torch.no_grad():
        _, state = model.step(torch.tensor([3]))
        assert state.layers is not None
        [(h, c)] = state.layers
        for count in (2, 30):
            with pytest.raises(ValueError, match="state"):
                model.step(torch.full((count,), 4), state)
        both, _ = model.step(
            torch.tensor([4, 4]), State([(h.expand(2, -1), c.expand(2, -1))], state.progress)
        )
        alone, _ = model.step(torch.tensor([4]), state)
    torch.testing.assert_close(both, alone.expand(2, -1))


def test_other_whole_numbers_and_another_default_precision_change_nothing() -> None:
    model, events = NoteRNN(hidden_sizes=(5,)), some_events(3, 4)
    expected = unrolled(model, events)
    torch.set_default_dtype(torch.float64)
    try:
        found = unrolled(model, events.int())
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)


def test_other_precisions_take_torchs_lstm() -> None:
    model = NoteRNN(hidden_sizes=(4,)).double()
    assert unrolled(model, some_events(2, 3)).dtype == torch.float64


def test_threads_unroll_side_by_side() -> None:
    models = [NoteRNN(hidden_sizes=(30,), seed=seed) for seed in range(8)]
    events = some_events(20, 16)
    alone = [unrolled(model, events) for model in models]
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(
            pool.map(lambda model: unrolled(model, events), models), alone, strict=True
        ):
            assert torch.equal(found, expected)


def test_what_is_not_a_number_is_not_made_one() -> None:
    """A run whose weights are lost must see it in its loss."""
    model = NoteRNN(hidden_sizes=(4,))
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0")[2, 1] = float("nan")
    logits = unrolled(model, some_events(2, 3))
    assert bool(logits[:, 0].isfinite().all())  # the first step has no state to multiply
    assert bool(logits[:, 1:].isnan().all())


def test_torch_divides_as_before_after_what_is_undivided() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with undivided():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyboardInterrupt), undivided():
            raise KeyboardInterrupt
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
