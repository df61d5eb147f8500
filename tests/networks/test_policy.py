"""Policies and composing: probabilities that add up, samples that follow them, primers that are heard and not played."""

from pathlib import Path

import pytest
import torch

from rltuner.errors import InputError
from rltuner.melody import Melodies, Vocabulary
from rltuner.networks.compose import compose
from rltuner.networks.inputs.heard import Heard, begin, inputs_of
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy, load

every_kind = pytest.mark.parametrize("kind", ["note_rnn", "q", "psi", "g"])
SMALL = Vocabulary(60, 63)  # 5 classes


def policy_of(kind: str, vocabulary: Vocabulary | None = None, temperature: float = 1.0) -> Policy:
    """A policy that is not its Note RNN: a random network, larger weights than usual."""
    note_rnn = NoteRNN(vocabulary, (8,), seed=1)
    policy = (
        Policy("note_rnn", note_rnn) if kind == "note_rnn" else Policy.tuned_from(kind, note_rnn, temperature)
    )
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in policy.network.parameters():
            parameter.add_(torch.randn_like(parameter))
    return policy.eval().requires_grad_(False)


@pytest.mark.parametrize("kind", ["q", "psi", "g"])
def test_the_tuned_policy_starts_as_the_note_rnn(kind: str) -> None:
    note_rnn = NoteRNN(hidden_sizes=(8,), seed=4)
    events = torch.randint(-1, 38, (6, 9))
    heard = Heard(events, begin(6, 1, None, note_rnn.meter))
    found = Policy.tuned_from(kind, note_rnn)(heard)
    torch.testing.assert_close(found, note_rnn(events)[0].log_softmax(-1))


@every_kind
def test_steps_and_unrolled_log_probabilities_agree(kind: str) -> None:
    policy, events = policy_of(kind), torch.randint(-1, 38, (4, 10))
    whole, state = policy(Heard(events, begin(4, 1, None, policy.meter))), None
    for t in range(10):
        step, state = policy.step(events[:, t], state)
        torch.testing.assert_close(step, whole[:, t], atol=1e-4, rtol=0)


@every_kind
@pytest.mark.parametrize("primer", ["none", "random_note"])
def test_melody_probabilities_sum_to_one(kind: str, primer: str) -> None:
    """All 5 ** 3 melodies of three events over five classes."""
    policy = policy_of(kind, SMALL)
    events = torch.cartesian_prod(*[torch.arange(5)] * 3)
    context = None if primer == "none" else torch.full((len(events), 1), 3)
    total = policy.log_prob(Melodies(events, None, context, SMALL)).sum(dim=1).exp().sum()
    torch.testing.assert_close(total, torch.ones(()), atol=1e-4, rtol=0)


@every_kind
def test_samples_follow_the_policy(kind: str) -> None:
    policy = policy_of(kind, SMALL)
    melodies = policy.compose(20_000, 2, primer="none", seed=0)
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    expected = policy.log_prob(Melodies(pairs, vocabulary=SMALL)).sum(dim=1).exp()
    found = torch.bincount(melodies.events[:, 0] * 5 + melodies.events[:, 1], minlength=25) / len(melodies)
    # five standard deviations of a binomial share
    assert bool(((found - expected).abs() <= 5 * (expected * (1 - expected) / 20_000).sqrt() + 1e-9).all())


def test_a_lower_temperature_sharpens_and_zero_takes_the_likeliest() -> None:
    policy = policy_of("psi", SMALL)
    first = policy(inputs_of(Melodies([[0]])))[0, 0]
    cold = policy.compose(4_000, 1, primer="none", seed=1, temperature=0.5).events[:, 0]
    found = torch.bincount(cold, minlength=5) / 4_000
    torch.testing.assert_close(found, (first / 0.5).softmax(0), atol=0.04, rtol=0)
    greedy = policy.compose(50, 1, primer="none", seed=1, temperature=0.0).events[:, 0]
    assert set(greedy.tolist()) == {int(first.argmax())}


def test_the_temperature_of_q_is_part_of_its_policy() -> None:
    one, half = (policy_of("q", SMALL, temperature) for temperature in (1.0, 0.5))
    inputs = inputs_of(Melodies([[2, 3, 4]]))
    torch.testing.assert_close((one(inputs) / 0.5).log_softmax(-1), half(inputs))


def test_the_same_seed_gives_the_same_melodies() -> None:
    policy = policy_of("psi")
    once, again, other = (policy.compose(9, 16, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(once.events, again.events)
    assert torch.equal(once.context, again.context)
    assert not torch.equal(once.events, other.events)


def test_a_random_note_is_uniform_over_all_classes_and_not_part_of_the_melody() -> None:
    melodies = policy_of("note_rnn").compose(38_000, 1, seed=3)
    assert melodies.context.shape == (38_000, 1)
    counts = torch.bincount(melodies.context[:, 0], minlength=38)
    assert int(counts.min()) > 800
    assert int(counts.max()) < 1_200
    assert len(melodies.notes(0)) <= 1


def test_the_primer_is_heard() -> None:
    policy = policy_of("psi", SMALL)
    after = [policy.log_prob(Melodies([[2]], None, [[context]], SMALL)).item() for context in range(5)]
    assert len({round(value, 4) for value in after}) == 5


def test_no_context_is_the_zero_input() -> None:
    policy = policy_of("psi", SMALL)
    events = [[2, 0, 4]]
    without, explicit = (
        policy.log_prob(Melodies(events, None, context, SMALL)) for context in (None, [[-1]])
    )
    torch.testing.assert_close(without, explicit)


def test_padding_has_no_probability_and_changes_none() -> None:
    policy = policy_of("psi", SMALL)
    short = policy.log_prob(Melodies([[2, 3]], vocabulary=SMALL))
    padded = policy.log_prob(Melodies([[2, 3, 4, 4], [1, 1, 1, 1]], [2, 4], vocabulary=SMALL))
    torch.testing.assert_close(padded[0], torch.tensor([*short[0].tolist(), 0.0, 0.0]))


def test_a_midi_file_primes(tmp_path: Path) -> None:
    Melodies([[14, 16, 18, 1]]).to_midi(tmp_path / "theme.mid", 0, 90)
    melodies = policy_of("psi").compose(3, 8, primer=tmp_path / "theme.mid", seed=0)
    assert melodies.context.tolist() == [[14, 16, 18, 1, 0, *[1] * 11]] * 3  # silent to the bar line


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"count": -1}, "count=-1"),
        ({"length": 0}, "length=0"),
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"primer": "humann"}, "'humann'"),
    ],
)
def test_bad_requests_are_named(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        compose(policy_of("psi"), **{"count": 1, "length": 4, **arguments})  # type: ignore[arg-type]


def test_nothing_composed_is_an_empty_batch() -> None:
    assert policy_of("psi").compose(0, 5).events.shape == (0, 5)


def test_melodies_of_another_vocabulary_are_refused() -> None:
    with pytest.raises(InputError, match="5 classes"):
        policy_of("psi").log_prob(Melodies([[2]], vocabulary=SMALL))


@every_kind
def test_a_saved_policy_composes_the_same(kind: str, tmp_path: Path) -> None:
    policy = policy_of(kind, temperature=0.8 if kind == "q" else 1.0)
    policy.save(tmp_path / "policy") if kind != "note_rnn" else policy.network.save(tmp_path / "policy")
    loaded = load(tmp_path / "policy")
    assert loaded.kind == kind
    assert torch.equal(loaded.compose(5, 12, seed=1).events, policy.compose(5, 12, seed=1).events)


def test_inputs_are_the_context_and_all_events_but_the_last() -> None:
    heard = inputs_of(Melodies([[2, 3, 4]], None, [[9, 8]]))
    assert (heard.events.tolist(), heard.skipped, heard.begun.step) == ([[9, 8, 2, 3]], 1, -1)
    heard = inputs_of(Melodies([[2, 3, 4]]))
    assert (heard.events.tolist(), heard.skipped, heard.begun.step) == ([[-1, 2, 3]], 0, 0)
