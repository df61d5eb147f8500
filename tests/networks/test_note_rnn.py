"""The Note RNN: one function computed two ways, causal, and the same after a round trip to disk."""

from pathlib import Path

import pytest
import torch

from rltuner.errors import InputError
from rltuner.melody import Meter, Vocabulary
from rltuner.networks.note_rnn import NoteRNN

every_shape = pytest.mark.parametrize("hidden_sizes", [(7,), (6, 5), (5, 5, 5)])


def some_events(batch: int = 3, time: int = 11) -> torch.Tensor:
    return torch.randint(-1, 38, (batch, time), generator=torch.Generator().manual_seed(1))


@every_shape
def test_steps_give_what_the_unrolled_network_gives(hidden_sizes: tuple[int, ...]) -> None:
    model, events = NoteRNN(hidden_sizes=hidden_sizes), some_events()
    whole, final = model(events)
    state, parts = None, []
    for t in range(events.shape[1]):
        logits, state = model.step(events[:, t], state)
        parts.append(logits)
    torch.testing.assert_close(torch.stack(parts, dim=1), whole, atol=1e-5, rtol=0)
    assert state is not None
    assert state.layers is not None
    assert final.layers is not None
    for stepped, unrolled in zip(state.layers, final.layers, strict=True):
        torch.testing.assert_close(stepped, unrolled, atol=1e-5, rtol=0)


@every_shape
def test_the_state_carries_everything_heard(hidden_sizes: tuple[int, ...]) -> None:
    model, events = NoteRNN(hidden_sizes=hidden_sizes), some_events()
    whole, _ = model(events)
    first, state = model(events[:, :4])
    second, _ = model(events[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, atol=1e-5, rtol=0)


def test_an_event_changes_only_later_predictions() -> None:
    model, events = NoteRNN(hidden_sizes=(9,)), some_events()
    changed = events.clone()
    changed[:, 5] = (changed[:, 5] + 2) % 38
    before, after = model(events)[0], model(changed)[0]
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5], after[:, 5])


def test_event_minus_one_is_the_zero_input() -> None:
    model = NoteRNN(hidden_sizes=(4,))
    logits, _ = model(torch.tensor([[-1]]))
    with torch.no_grad():
        model.layers[0].weight_ih_l0.zero_()  # type: ignore[union-attr]
    silent, _ = model(torch.tensor([[20]]))
    torch.testing.assert_close(logits, silent)


def test_a_checkpoint_is_the_same_network(tmp_path: Path) -> None:
    model = NoteRNN(Vocabulary(60, 65), (4, 3), Meter(12, 6), seed=5)
    digest = model.save(tmp_path / "ckpt", note="kept")
    loaded = NoteRNN.load(tmp_path / "ckpt")
    assert (loaded.vocabulary, loaded.hidden_sizes, loaded.meter) == (
        Vocabulary(60, 65),
        (4, 3),
        Meter(12, 6),
    )
    events = torch.tensor([[-1, 0, 3, 6]])
    assert torch.equal(model(events)[0], loaded(events)[0])
    assert model.save(tmp_path / "again") == digest


def test_the_seed_decides_the_initial_weights() -> None:
    one, same, other = NoteRNN(seed=1), NoteRNN(seed=1), NoteRNN(seed=2)
    assert torch.equal(one.output.weight, same.output.weight)
    assert not torch.equal(one.output.weight, other.output.weight)


def test_making_a_network_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    NoteRNN(seed=9)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("sizes", [(), (0,), (5, -1)])
def test_a_network_needs_layers_with_units(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="hidden_sizes"):
        NoteRNN(hidden_sizes=sizes)
