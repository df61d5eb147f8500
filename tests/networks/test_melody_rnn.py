"""Magenta's inputs are note_seq's, event by event; a network that hears them tunes, composes and steers as others do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rltuner.melody import NO_EVENT, NOTE_OFF, Melodies, Vocabulary
from rltuner.networks.compose import compose
from rltuner.networks.divergence import log_probabilities
from rltuner.networks.inputs.heard import Heard, inputs_of
from rltuner.networks.inputs.names import KEY, LOOKBACK
from rltuner.networks.melody_rnn.attention import AttentionShape
from rltuner.networks.melody_rnn.inputs import MelodyRnnInputs
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.particles import steer
from rltuner.networks.policy import Policy
from rltuner.networks.torch_engine import TorchEngine
from rltuner.rules import load_rulebook
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.learner import Learner

SHAPES = [
    (LOOKBACK, None),
    (KEY, AttentionShape(5, 1)),
    (KEY, AttentionShape(3, 2)),
    ("event", AttentionShape(4, 1)),
]
every_shape = pytest.mark.parametrize(("inputs", "attention"), SHAPES)


def network_of(inputs: str, attention: AttentionShape | None, scale: float = 0.2) -> NoteRNN:
    """A network in which every input, output and part of the attention counts."""
    network = NoteRNN(hidden_sizes=(7, 6), seed=1, inputs=(inputs,), attention=attention)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator)
    return network.eval().requires_grad_(False)


def some_melodies(count: int, length: int, context: int = 1, seed: int = 0) -> Melodies:
    """Holds, silences, few pitches, bars that return after one and two bars."""
    rng = np.random.default_rng(seed)
    time = context + length
    events = rng.choice(
        [NO_EVENT, NOTE_OFF, 2, 9, 14, 16, 21, 37], (count, time), p=[0.4, 0.15, *[0.075] * 6]
    )
    for row, back in zip(events, rng.choice([0, 16, 32], count), strict=True):
        first = rng.integers(0, 8)
        if back and first + back < time:
            copied = row[first : first + time - first - back]
            row[first + back :] = np.where(rng.random(len(copied)) < 0.9, copied, row[first + back :])
    events[0, :3] = [NOTE_OFF, NO_EVENT, NOTE_OFF]
    return Melodies(events[:, context:], None, events[:, :context])


@pytest.mark.parametrize("name", [LOOKBACK, KEY])
def test_the_input_vectors_are_note_seqs(name: str) -> None:
    from rltuner.melody.note_sequences import import_note_seq

    note_seq = import_note_seq()
    if name == KEY:
        encoder = note_seq.KeyMelodyEncoderDecoder(48, 84)
        columns = [*range(74)]
    else:
        encoder = note_seq.LookbackEventSequenceEncoderDecoder(note_seq.MelodyOneHotEncoding(48, 84))
        swapped = [1, 0, *range(2, 38)]  # ours 0 NOTE_OFF and 1 NO_EVENT, note_seq's the other way round
        columns = [38 * block + place for block in range(3) for place in swapped] + [*range(114, 121)]
    melodies = some_melodies(25, 69)
    inputs, heard = MelodyRnnInputs(Vocabulary(), name), inputs_of(melodies)
    rows = inputs.rows(heard)
    found = inputs.vectors()[rows.all()].sum(dim=2)
    for index, row in enumerate(heard.events.tolist()):
        events = note_seq.Melody([{0: -1, 1: -2}.get(event, event + 46) for event in row])
        expected = torch.tensor([encoder.events_to_input(events, t) for t in range(len(row))])[:, columns]
        assert torch.equal(found[index], expected)
        for number, label in enumerate((38, 39)):
            repeated = [encoder.class_index_to_event(label, list(events)[: t + 1]) for t in range(len(row))]
            ours = [{-1: 0, -2: 1}.get(event, event - 46) for event in repeated]
            assert rows.played[index, :, number].tolist() == ours


@pytest.mark.parametrize("name", [LOOKBACK, KEY])
def test_the_memory_carries_everything_heard(name: str) -> None:
    melodies = some_melodies(12, 100, seed=1)
    heard = inputs_of(melodies)
    inputs = MelodyRnnInputs(Vocabulary(), name)
    whole = inputs.rows(heard)
    parts, played, begun = [], [], heard.begun
    for first, last in ((0, 1), (1, 2), (2, 40), (40, 41), (41, 100)):
        rows = inputs.rows(Heard(heard.events[:, first:last], begun))
        begun = rows.then
        parts.append(rows.all())
        played.append(rows.played)
    assert torch.equal(torch.cat(parts, dim=1), whole.all())
    assert torch.equal(torch.cat(played, dim=1), whole.played)


@every_shape
def test_steps_parts_and_the_whole_are_one_function(inputs: str, attention: AttentionShape | None) -> None:
    network, events = network_of(inputs, attention), some_melodies(9, 50).events
    whole, _ = network(events)
    first, state = network(events[:, :17])
    second, _ = network(events[:, 17:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, atol=1e-5, rtol=0)
    chosen = torch.tensor([3, 3, 8])
    state, parts = network.begin(9), []
    for t in range(events.shape[1]):
        logits, state = network.step(events[:, t], state)
        parts.append(logits)
        if t == 30:
            other, _ = network(events[chosen, 31:], state.chosen(chosen))
            torch.testing.assert_close(other, whole[chosen, 31:], atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.stack(parts, dim=1), whole, atol=1e-5, rtol=0)


@every_shape
def test_an_event_changes_only_later_predictions(inputs: str, attention: AttentionShape | None) -> None:
    network, events = network_of(inputs, attention), some_melodies(1, 40).events
    changed = events.clone()
    changed[:, 20] = 30
    before, after = network(events)[0], network(changed)[0]
    assert torch.equal(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20], after[:, 20])


def test_classes_that_stand_for_one_event_share_its_probability() -> None:
    """16 and 32 steps ago another event was played each: p is the softmax's sum over three classes at most."""
    network, melodies = network_of(LOOKBACK, None), some_melodies(4, 50)
    heard = inputs_of(melodies)
    rows = network.inputs.rows(heard)
    outputs = network.output(network.features(rows.all())[0]).softmax(dim=2)
    expected = outputs[..., :38].scatter_add(2, rows.played, outputs[..., 38:])
    found = network.logits(network.features(rows.all())[0], rows.played).softmax(dim=2)
    torch.testing.assert_close(found, expected)


@every_shape
def test_a_checkpoint_is_the_same_network(
    inputs: str, attention: AttentionShape | None, tmp_path: Path
) -> None:
    network, events = network_of(inputs, attention), some_melodies(3, 30).events
    network.save(tmp_path / "n")
    assert torch.equal(NoteRNN.load(tmp_path / "n")(events)[0], network(events)[0])


@every_shape
@pytest.mark.parametrize("kind", ["q", "psi", "g"])
def test_tuning_begins_with_the_note_rnn_itself(
    kind: str, inputs: str, attention: AttentionShape | None
) -> None:
    network, melodies = network_of(inputs, attention), some_melodies(8, 40)
    policy = Policy.tuned_from(kind, network)
    same = log_probabilities(network, melodies)
    torch.testing.assert_close(log_probabilities(policy, melodies), same, atol=1e-5, rtol=0)


@every_shape
@pytest.mark.parametrize("kind", ["q", "psi", "g"])
def test_a_gradient_step_lowers_the_loss(kind: str, inputs: str, attention: AttentionShape | None) -> None:
    config = FinetuneConfig(algo=kind, length=20, value_units=4, threads=1, learning_rate=0.003)
    learner = Learner(network_of(inputs, attention), config)
    assert type(learner.engine) is TorchEngine
    melodies = learner.compose(64, 20, generator=torch.Generator().manual_seed(1))
    goals = torch.full((64, 20), 3.0)
    losses = [learner.learn(melodies, goals) for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]
    touched = [parameter.grad for parameter in learner.policy.network.parameters() if parameter.requires_grad]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in touched)


@pytest.mark.parametrize("kind", ["psi", "g"])
def test_composing_and_log_prob_agree(kind: str) -> None:
    """A melody's log-probability is what it was composed by: of 4,000, those of one first event have its frequency."""
    policy = Policy.tuned_from(kind, network_of(KEY, AttentionShape(5, 1), 0.2))
    melodies = compose(policy, 4000, 2, primer="none", seed=1)
    first = Melodies(torch.arange(38)[:, None])
    expected = policy.log_prob(first)[:, 0].exp()
    found = torch.bincount(melodies.events[:, 0], minlength=38) / 4000
    assert (found - expected).abs().max() < 0.03
    torch.testing.assert_close(expected.sum(), torch.tensor(1.0))


@every_shape
def test_particles_resample_what_a_network_remembers(inputs: str, attention: AttentionShape | None) -> None:
    """Log-weights are of the survivors' own past: proposed by p itself, log Z of a book that pays nothing is 0."""
    policy = Policy("note_rnn", network_of(inputs, attention))
    context = torch.full((2, 1), 14)
    generator = torch.Generator().manual_seed(1)
    book = load_rulebook("magenta")
    systems = steer(policy, policy.network, book, 0.5, context, 40, 16, generator)
    drawn = systems.draw(generator, 3)
    assert drawn.events.shape == (6, 40)
    dull = steer(policy, policy.network, book, 1e9, context, 20, 16, generator)
    torch.testing.assert_close(dull.log_z, torch.zeros(2), atol=1e-4, rtol=0)
