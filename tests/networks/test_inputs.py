"""What a network is told: places in bar, phrase and tune, and what was played there before; and nothing of the future."""

import pytest
import torch

from rltuner.errors import InputError
from rltuner.melody import Melodies, Meter, Vocabulary
from rltuner.networks.inputs.clock import beat_of, clock
from rltuner.networks.inputs.heard import Heard, begin, inputs_of
from rltuner.networks.inputs.names import INPUTS
from rltuner.networks.inputs.rows import LOOKED_BACK, MOST_TO_GO, RUNS, Inputs
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.particles import steer
from rltuner.networks.policy import Policy
from rltuner.rules import load_rulebook

SMALL = Vocabulary(60, 63)  # 5 classes
WALTZ = Meter(6, 2)


def policy_of(kind: str, inputs: tuple[str, ...] = INPUTS, meter: Meter = WALTZ) -> Policy:
    """A policy in which every input counts."""
    policy = Policy.tuned_from(kind, NoteRNN(SMALL, (6, 5), meter, 1, inputs))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.4 * torch.randn(parameter.shape, generator=generator)
    return policy.eval().requires_grad_(False)


def parts_of(melodies: Melodies, name: str) -> torch.Tensor:
    """The rows of one input at every event of melodies, counted from its first one: int64 [B, T, parts]."""
    inputs = Inputs(melodies.vocabulary, ("event", name))
    heard = inputs_of(melodies)
    rows = inputs.rows(heard).all()[:, heard.skipped :, 1:]
    return rows.sort(dim=2).values - 1 - melodies.vocabulary.size  # what no melody has lies with the places


def test_to_go_and_phrase_count_bars_to_the_end_and_from_the_start() -> None:
    melodies = Melodies(torch.ones(2, 60, dtype=torch.int64), [60, 15], None, SMALL, WALTZ)
    bars = torch.arange(60) // 6
    assert torch.equal(parts_of(melodies, "phrase")[0, :, 0], bars % 8)
    to_go = parts_of(melodies, "to_go")[..., 0]
    assert torch.equal(to_go[0], (9 - bars).clamp(max=MOST_TO_GO))
    assert torch.equal(to_go[1, :15], (2 - bars).clamp(min=0)[:15])  # two bars and a half are three


def test_an_unknown_length_has_a_row_of_its_own() -> None:
    inputs, events = Inputs(SMALL, ("event", "to_go")), torch.ones(3, 4, dtype=torch.int64)
    of_no_length = inputs.rows(Heard(events, begin(3, 1, None, WALTZ))).all()
    assert (of_no_length[..., 1] == 1 + SMALL.size + MOST_TO_GO + 1).all()
    mixed = inputs.rows(Heard(events, begin(3, 1, torch.tensor([-1, 6, 600]), WALTZ))).all()
    assert (mixed[:, :, 1] - 1 - SMALL.size).tolist() == [[9] * 4, [0] * 4, [8] * 4]


def test_the_context_stands_before_step_zero() -> None:
    """Of eight events of context in bars of six the first is in bar -2, and bars count modulo eight there too."""
    context = torch.ones(1, 8, dtype=torch.int64)
    heard = inputs_of(Melodies(torch.ones(1, 6, dtype=torch.int64), None, context, SMALL, WALTZ))
    rows = Inputs(SMALL, ("event", "phrase")).rows(heard).all()
    assert (rows[0, :, 1] - 1 - SMALL.size).tolist() == [7 - (s < -6) for s in range(-7, 0)] + [0] * 6


def test_what_is_looked_back_on_is_what_was_played_at_the_same_place() -> None:
    generator = torch.Generator().manual_seed(1)
    context = torch.randint(5, (3, 4), generator=generator)
    events = torch.randint(5, (3, 60), generator=generator)
    found = parts_of(Melodies(events, None, context, SMALL, WALTZ), "lookback")
    known = torch.cat([context, events], dim=1)
    for number, bars in enumerate(LOOKED_BACK):
        for t in range(60):
            at = 4 + t - 6 * bars
            expected = known[:, at] if at >= 0 else torch.full((3,), -1)
            row = number * (SMALL.size + 1 + len(RUNS) + 1)
            assert torch.equal(found[:, t, 2 * number] - row - 1, expected)


def test_a_run_is_as_long_as_the_melody_has_followed_what_it_played_then() -> None:
    """Bars of six: the second repeats the first but for its fourth event, the third repeats the second."""
    bars = torch.tensor([[2, 1, 3, 4, 1, 2], [2, 1, 3, 2, 1, 2], [2, 1, 3, 2, 1, 2]])
    found = parts_of(Melodies(bars.reshape(1, 18), None, None, SMALL, WALTZ), "lookback")
    long = [0] * 7 + [1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7]  # before each event
    expected = [sum(run >= bound for bound in RUNS) for run in long]
    assert (found[0, :, 1] - SMALL.size - 1).tolist() == expected
    two_bars = [0] * 13 + [1, 2, 3, 0, 1]
    of_two = found[0, :, 3] - (SMALL.size + 1 + len(RUNS) + 1) - SMALL.size - 1
    assert of_two.tolist() == [sum(run >= bound for bound in RUNS) for run in two_bars]


@pytest.mark.parametrize(
    "signature", [(4, 4), (3, 4), (6, 8), (9, 8), (5, 4), (7, 8), (2, 4), (12, 8), (2, 2), (3, 8), (6, 4)]
)
def test_the_clock_tells_all_places_of_a_bar_apart(signature: tuple[int, int]) -> None:
    """Of up to seven beats; of eight the fourth and the fifth are alike."""
    meter = Meter.from_time_signature(*signature)
    steps = torch.arange(meter.steps_per_bar)
    distinct = {tuple(place) for place in torch.stack(clock(steps, meter), dim=1).tolist()}
    assert len(distinct) == meter.steps_per_bar
    ahead = torch.stack(clock(steps + 3 * meter.steps_per_bar, meter))
    assert torch.equal(ahead, torch.stack(clock(steps, meter)))
    before = torch.stack(clock(steps - meter.steps_per_bar, meter))
    assert torch.equal(before, ahead)


def test_every_place_of_a_clock_that_no_tune_has_is_made_of_some_that_tunes_have() -> None:
    """5/4 has the quarters of 4/4, its beats since the bar line and to the next one; only their pairs are new."""
    known = [Meter(16, 4), Meter(12, 4), Meter(8, 4)]
    heard = [
        set(torch.cat([clock(torch.arange(m.steps_per_bar), m)[i] for m in known]).tolist()) for i in range(4)
    ]
    five = clock(torch.arange(20), Meter(20, 4))
    assert all(set(part.tolist()) <= known_part for part, known_part in zip(five, heard, strict=True))


def test_cut_time_is_told_as_common_time() -> None:
    steps = torch.arange(16)
    for part, other in zip(clock(steps, Meter(16, 8)), clock(steps, Meter(16, 4)), strict=True):
        assert torch.equal(part, other)


def test_a_metre_that_the_clock_cannot_hold_is_refused() -> None:
    assert [beat_of(Meter(36, beat)) for beat in (12, 6, 3)] == [6, 6, 3]
    with pytest.raises(InputError, match="9 sixteenths"):
        NoteRNN(SMALL, (3,), Meter(27, 9), inputs=INPUTS)
    network = NoteRNN(SMALL, (3,), inputs=("event", "clock"))
    with pytest.raises(InputError, match="clock"):
        network.meter = Meter(22, 11)
    NoteRNN(
        SMALL, (3,), Meter(22, 11), inputs=("event", "phrase", "to_go", "lookback")
    )  # which need no beats


@pytest.mark.parametrize("names", [("clock",), ("event", "event"), ("event", "tempo"), ()])
def test_inputs_are_known_ones_each_once_and_the_event_among_them(names: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="there are event, clock"):
        Inputs(SMALL, names)


@pytest.mark.parametrize("kind", ["psi", "q", "g"])
@pytest.mark.parametrize("width", [0, 1, 6, 5])
def test_log_prob_of_what_is_composed_is_that_with_which_each_event_was_drawn(kind: str, width: int) -> None:
    """Without a primer, after a random note, after a whole bar, and after 5 events."""
    policy = policy_of(kind)
    context = torch.randint(5, (7, width), generator=torch.Generator().manual_seed(3))
    drawn: list[torch.Tensor] = []

    class Watched(Policy):
        def step(self, events, state=None):  # type: ignore[no-untyped-def]
            log_policy, state = super().step(events, state)
            drawn.append(log_policy)
            return log_policy, state

    policy.__class__ = Watched
    melodies = policy.compose(7, 55, primer=context, seed=4)
    steps = torch.stack(drawn[max(width, 1) - 1 :], dim=1)
    of_events = steps.gather(2, melodies.events[..., None])[..., 0]
    torch.testing.assert_close(policy.log_prob(melodies), of_events, atol=1e-5, rtol=0)
    other = Melodies(melodies.events, [40] * 7, melodies.context, SMALL, WALTZ)  # the end comes sooner
    assert not torch.allclose(policy.log_prob(other)[:, :40], of_events[:, :40], atol=1e-2)


def test_a_network_repeats_what_was_played_where_its_outputs_of_a_distance_say_so() -> None:
    """With an output of 50 for one bar ago, and else none, every bar is the first one again."""
    network = NoteRNN(SMALL, (6,), WALTZ, inputs=("event", "lookback"))
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.zero_()
        network.output.bias[SMALL.size] = 50.0
    melodies = Policy("note_rnn", network).compose(9, 60, primer="none", seed=1).events.view(9, 10, 6)
    assert torch.equal(melodies, melodies[:, :1].expand(-1, 10, -1))
    assert len(melodies[:, 0].unique(dim=0)) == 9
    with torch.no_grad():
        network.output.bias[SMALL.size :] = torch.tensor([0.0, 0.0, 50.0, 0.0])
    melodies = Policy("note_rnn", network).compose(9, 60, primer="none", seed=1).events.view(9, 10, 6)
    assert torch.equal(melodies[:, 4:], melodies[:, :6])


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_counts_and_none_knows_what_is_to_come(name: str) -> None:
    inputs = ("event",) if name == "event" else ("event", name)
    policy = policy_of("psi", inputs)
    events = torch.randint(5, (1, 60), generator=torch.Generator().manual_seed(5))
    before = policy(inputs_of(Melodies(events, None, None, SMALL, WALTZ)))
    for t in (0, 7, 30, 59):
        changed = events.clone()
        changed[:, t] = (changed[:, t] + 1) % 5
        after = policy(inputs_of(Melodies(changed, None, None, SMALL, WALTZ)))
        assert torch.equal(after[:, : t + 1], before[:, : t + 1])
    if name == "event":
        return
    with torch.no_grad():
        policy.network.layers[0].get_parameter("weight_ih_l0")[:, SMALL.size :] = 0.0
    assert not torch.allclose(
        policy(inputs_of(Melodies(events, None, None, SMALL, WALTZ))), before, atol=1e-2
    )


def test_a_particle_alone_weighs_what_its_melody_says() -> None:
    """p(melody) exp(sum of r / c) / q(melody), with p and q that hear the same length, bars and look-backs."""
    proposal, note_rnn = policy_of("g"), policy_of("psi").network
    contexts = torch.randint(5, (6, 3), generator=torch.Generator().manual_seed(3))
    book = load_rulebook("magenta")
    found = steer(proposal, note_rnn, book, 5.0, contexts, 55, 1, torch.Generator().manual_seed(1))
    melodies = found.melodies
    ratio = Policy("note_rnn", note_rnn).log_prob(melodies) - proposal.log_prob(melodies)
    rewards = book.score(melodies)["total"].sum(dim=1) / 5.0
    torch.testing.assert_close(found.log_z, ratio.sum(dim=1) + rewards, atol=1e-3, rtol=1e-4)


def test_what_a_network_remembers_goes_with_the_melodies_that_are_chosen() -> None:
    policy, chosen = policy_of("psi"), torch.tensor([9, 2, 2])
    events = torch.randint(5, (64, 20), generator=torch.Generator().manual_seed(3))
    state = policy.begin(64, 1, torch.arange(64) + 20)
    of_some = policy.begin(64, 1, torch.arange(64) + 20).chosen(chosen)
    for t in range(20):
        all_of_them, state = policy.step(events[:, t], state)
        some, of_some = policy.step(events[chosen, t], of_some)
        torch.testing.assert_close(some, all_of_them[chosen])
        of_some = state.chosen(chosen)


def test_a_checkpoint_of_inputs_that_are_not_known_says_so(tmp_path) -> None:  # type: ignore[no-untyped-def]
    NoteRNN(SMALL, (3,), inputs=("event", "clock")).save(tmp_path / "mine")
    assert NoteRNN.load(tmp_path / "mine").inputs.names == ("event", "clock")
    config = tmp_path / "mine" / "config.json"
    config.write_text(config.read_text().replace('"clock"', '"weather"'))
    with pytest.raises(InputError, match="unknown input 'weather'"):
        NoteRNN.load(tmp_path / "mine")


def test_hostile_names_of_inputs_are_one_short_line() -> None:
    for names in (["event", "\n\x1b[31mfoo" * 99], ["event"] * 100_000):
        with pytest.raises(InputError) as error:
            Inputs(SMALL, names)
        assert len(str(error.value)) < 400
        assert str(error.value).isprintable()


def test_a_policys_prior_hears_the_metre_that_the_policy_composes_in() -> None:
    policy = policy_of("g")
    policy.network.meter = Meter(4, 2)  # and not the prior's
    melodies = policy.compose(5, 30, primer="none", seed=2)
    assert melodies.meter == Meter(4, 2)
    drawn, state = [], policy.begin(5, 0, 30)
    heard = torch.full((5,), -1)
    for t in range(30):
        log_policy, state = policy.step(heard, state)
        drawn.append(log_policy.gather(1, melodies.events[:, t : t + 1])[:, 0])
        heard = melodies.events[:, t]
    torch.testing.assert_close(policy.log_prob(melodies), torch.stack(drawn, dim=1), atol=1e-5, rtol=0)


def test_a_checkpoint_whose_metre_its_clock_cannot_hold_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    NoteRNN(SMALL, (3,), inputs=("event", "clock")).save(tmp_path / "mine")
    config = tmp_path / "mine" / "config.json"
    config.write_text(config.read_text().replace("16,", "27,").replace("4\n  ]", "9\n  ]"))
    with pytest.raises(InputError, match=r"mine: config.json does not describe a Note RNN .*9 sixteenths"):
        NoteRNN.load(tmp_path / "mine")
