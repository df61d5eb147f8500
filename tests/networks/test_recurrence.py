"""The compiled recurrence is what torch's LSTM gives, for several networks and threads at once. Its way back is in
test_gradients."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from rltuner.networks.devices import undivided
from rltuner.networks.note_rnn import NoteRNN

every_shape = pytest.mark.parametrize("hidden_sizes", [(7,), (6, 5), (5, 5, 5), (40,), (64,)])


def some_events(batch: int, time: int) -> torch.Tensor:
    return torch.randint(-1, 38, (batch, time), generator=torch.Generator().manual_seed(1))


def unrolled(model: NoteRNN, events: torch.Tensor, skipped: int = 0) -> torch.Tensor:
    with torch.no_grad():
        return model.unrolled(events, skipped)


@every_shape
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (3, 11), (9, 2), (12, 3), (25, 4), (0, 5)])
def test_unrolled_is_what_torchs_lstm_gives(hidden_sizes: tuple[int, ...], batch: int, time: int) -> None:
    model, events = NoteRNN(hidden_sizes=hidden_sizes), some_events(batch, time)
    torch.testing.assert_close(unrolled(model, events), model(events)[0].detach(), atol=1e-5, rtol=0)


def test_with_gradients_it_is_torchs_lstm() -> None:
    model, events = NoteRNN(hidden_sizes=(6, 5)), some_events(3, 11)
    found = torch.autograd.grad(model.unrolled(events).sum(), list(model.parameters()))
    expected = torch.autograd.grad(model(events)[0].sum(), list(model.parameters()))
    for gradient, by_torch in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, by_torch)


def test_outputs_after_the_context_alone() -> None:
    model, events = NoteRNN(hidden_sizes=(6, 5)), some_events(3, 11)
    torch.testing.assert_close(unrolled(model, events, 4), unrolled(model, events)[:, 4:])
    torch.testing.assert_close(model.unrolled(events, 4), model.unrolled(events)[:, 4:])  # torch's


@every_shape
def test_compiled_steps_are_steps(hidden_sizes: tuple[int, ...]) -> None:
    model, compiled_model = NoteRNN(hidden_sizes=hidden_sizes), NoteRNN(hidden_sizes=hidden_sizes)
    compiled_model.compiled = True
    state = compiled_state = None
    with torch.no_grad():
        for events in some_events(4, 6).t():
            logits, state = model.step(events, state)
            found, compiled_state = compiled_model.step(events, compiled_state)
            torch.testing.assert_close(found, logits, atol=1e-5, rtol=0)
    assert state is not None
    assert compiled_state is not None
    for pair, compiled_pair in zip(state, compiled_state, strict=True):
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
        _, [(h, c)] = model.step(torch.tensor([3]))
        for count in (2, 30):
            with pytest.raises(ValueError, match="state"):
                model.step(torch.full((count,), 4), [(h, c)])
        both, _ = model.step(torch.tensor([4, 4]), [(h.expand(2, -1), c.expand(2, -1))])
        alone, _ = model.step(torch.tensor([4]), [(h, c)])
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
