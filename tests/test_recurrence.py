"""The compiled recurrence is what torch's LSTM gives, its gradients too, for several networks and threads at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from rltuner.note_rnn import NoteRNN
from rltuner.recurrence import MOST_KEPT, WORKSPACE, hidden_states, undivided

every_shape = pytest.mark.parametrize("hidden_sizes", [(7,), (6, 5), (5, 5, 5), (40,), (64,)])


def some_events(batch: int, time: int) -> torch.Tensor:
    return torch.randint(-1, 38, (batch, time), generator=torch.Generator().manual_seed(1))


def gradients(model: NoteRNN, logits: torch.Tensor) -> list[torch.Tensor]:
    """Of a loss that weighs every logit differently."""
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(2))
    return list(torch.autograd.grad((logits * weights).sum(), list(model.parameters())))


def assert_equal_lists(found: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


@every_shape
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (3, 11), (9, 2), (12, 3), (25, 4)])
def test_unrolled_is_what_torchs_lstm_gives_and_so_are_its_gradients(
    hidden_sizes: tuple[int, ...], batch: int, time: int
) -> None:
    model, events = NoteRNN(hidden_sizes=hidden_sizes), some_events(batch, time)
    expected, found = model(events)[0], model.unrolled(events)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert_equal_lists(gradients(model, found), gradients(model, expected))
    with torch.no_grad():  # keeps two steps' memory instead of all
        assert torch.equal(model.unrolled(events), found)


def test_outputs_after_the_context_alone() -> None:
    model, events = NoteRNN(hidden_sizes=(6, 5)), some_events(3, 11)
    torch.testing.assert_close(model.unrolled(events, 4), model.unrolled(events)[:, 4:])


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
            model.unrolled(torch.tensor([[3, outside]]))


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


def test_a_table_that_does_not_fit_the_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="table"):
        hidden_states(torch.zeros(3, 8), torch.zeros((2, 2), dtype=torch.int64), torch.zeros(400, 100))


def test_other_whole_numbers_and_another_default_precision_change_nothing() -> None:
    model, events = NoteRNN(hidden_sizes=(5,)), some_events(3, 4)
    expected = torch.autograd.grad(model.unrolled(events).sum(), list(model.parameters()))
    torch.set_default_dtype(torch.float64)
    try:
        found = torch.autograd.grad(model.unrolled(events.int()).sum(), list(model.parameters()))
    finally:
        torch.set_default_dtype(torch.float32)
    for gradient, as_before in zip(found, expected, strict=True):
        assert torch.equal(gradient, as_before)


def test_other_precisions_take_torchs_lstm() -> None:
    model = NoteRNN(hidden_sizes=(4,)).double()
    assert model.unrolled(some_events(2, 3)).dtype == torch.float64


def test_unrollings_that_are_alive_at_once_do_not_share_memory() -> None:
    models = [NoteRNN(hidden_sizes=(size,), seed=size) for size in (7, 9, 7)]
    events = some_events(5, 8)
    expected = [gradients(model, model.unrolled(events)) for model in models]
    together = [model.unrolled(events) for model in models]
    for model, logits, alone in zip(models, together, expected, strict=True):
        assert_equal_lists(gradients(model, logits), alone)


def test_threads_unroll_side_by_side() -> None:
    models = [NoteRNN(hidden_sizes=(30,), seed=seed) for seed in range(8)]
    events = some_events(20, 16)

    def learn(model: NoteRNN) -> list[torch.Tensor]:
        return gradients(model, model.unrolled(events))

    alone = [learn(model) for model in models]
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(learn, models), alone, strict=True):
            assert_equal_lists(found, expected)


def test_memory_is_kept_for_the_next_unrolling() -> None:
    model, events = NoteRNN(hidden_sizes=(7,)), some_events(5, 8)
    gradients(model, model.unrolled(events))
    kept = [memory.data_ptr() for memory in WORKSPACE.free]
    gradients(model, model.unrolled(events))
    assert [memory.data_ptr() for memory in WORKSPACE.free] == kept


def test_memory_does_not_gather_where_the_way_back_is_in_another_thread() -> None:
    model, events = NoteRNN(hidden_sizes=(7,)), some_events(5, 8)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2 * MOST_KEPT):
            pool.submit(model.unrolled, events).result().sum().backward()
    assert len(WORKSPACE.free) <= MOST_KEPT


def test_the_way_back_is_gone_once() -> None:
    model = NoteRNN(hidden_sizes=(4,))
    total = model.unrolled(some_events(2, 3)).sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="anew"):
        total.backward()


def test_what_is_not_a_number_is_not_made_one() -> None:
    """A run whose weights are lost must see it in its loss."""
    model = NoteRNN(hidden_sizes=(4,))
    with torch.no_grad():
        model.layers[0].get_parameter("weight_hh_l0")[2, 1] = float("nan")
    logits = model.unrolled(some_events(2, 3))
    assert bool(logits[:, 0].isfinite().all())  # the first step has no state to multiply
    assert bool(logits[:, 1:].isnan().all())


def test_no_melodies_have_no_hidden_states() -> None:
    for grad in (False, True):
        table = torch.zeros(3, 8, requires_grad=grad)
        assert hidden_states(table, torch.zeros((5, 0), dtype=torch.int64), torch.zeros(8, 2)).shape == (
            5,
            0,
            2,
        )


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
