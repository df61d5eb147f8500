"""Pretraining: windows of tunes, the figure of merit, and that a network learns what there is to learn."""

import math

import pytest
import torch

from rltuner.melody import Meter
from rltuner.melody.tunes import Tune
from rltuner.networks.inputs.names import INPUTS
from rltuner.networks.note_rnn import NoteRNN
from rltuner.pretraining.config import PretrainConfig
from rltuner.pretraining.training import Training, fit_of, learning_rate_at


def tune_of(events: list[int]) -> Tune:
    return Tune("t", "s", "", Meter(), tuple(events))


TUNES = [tune_of([2, 3, 4, 5]), tune_of(list(range(10, 38)))]


@pytest.mark.parametrize("bars", [None, 1])
def test_the_figure_of_merit_counts_every_event_from_the_zero_input(bars: int | None) -> None:
    """As many bars of each tune as are asked for, told as a whole tune; shorter ones are left out."""
    model = NoteRNN(hidden_sizes=(5,), seed=2, inputs=INPUTS)
    torch.nn.init.normal_(model.layers[0].get_parameter("weight_ih_l0"))
    fit = fit_of(model, TUNES, bars, batch_size=2)
    total, count = 0.0, 0
    for tune in TUNES[1 if bars else 0 :]:
        events = tune.events[: 16 * bars] if bars else tune.events
        state, heard = model.begin(1, 0, len(events)), torch.tensor([-1])
        for event in events:
            logits, state = model.step(heard, state)
            total -= float(logits.detach().log_softmax(-1)[0, event])
            heard = torch.tensor([event])
        count += len(events)
    assert (fit.events, fit.tunes) == ((16, 1) if bars else (32, 2))
    assert fit.nll == pytest.approx(total / count, rel=1e-4)


def test_a_network_without_knowledge_loses_the_logarithm_of_the_classes() -> None:
    model = NoteRNN(hidden_sizes=(5,))
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.zero_()
    assert fit_of(model, TUNES).nll == pytest.approx(math.log(38), rel=1e-5)
    assert math.isnan(fit_of(model, []).nll)


def test_the_learning_rate_rises_and_ends_near_zero() -> None:
    config = PretrainConfig(updates=1_000, learning_rate=0.01)
    rates = [learning_rate_at(update, config) for update in range(1_000)]
    assert rates.index(max(rates)) in (19, 20)
    assert max(rates) == pytest.approx(0.01)
    assert rates[-1] < 1e-6
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_what_repeats_a_bar_is_learned_with_the_lookback_and_not_without() -> None:
    """Bars of random notes, each played twice. What the second one will be is known to who looks a bar back."""
    generator, tunes = torch.Generator().manual_seed(1), []
    for _ in range(40):
        bars = torch.randint(2, 38, (8, 1, 8), generator=generator).expand(8, 2, 8)
        tunes.append(Tune("t", "s", "", Meter(8, 4), tuple(bars.flatten().tolist())))
    found = {}
    for inputs in (("event",), INPUTS):
        config = PretrainConfig(
            updates=150,
            batch_events=1_000,
            inputs=inputs,
            hidden_sizes=(40,),
            dropout=0.0,
            learning_rate=0.02,
            threads=1,
        )
        training = Training(config, tunes, torch.device("cpu"))
        while training.updates < config.updates:
            training.update()
        found[inputs] = training.validate(tunes).nll
    assert found[INPUTS] < 2.4  # half of log 36, 3.58, and some
    assert found[("event",)] > 3.0


def test_the_average_of_the_weights_is_kept_and_follows_them() -> None:
    config = PretrainConfig(updates=3, batch_events=100, hidden_sizes=(4,), averaging=0.5, threads=1)
    training = Training(config, TUNES, torch.device("cpu"))
    mean = training.averaged.output.weight.clone()
    for update in range(3):
        training.update()
        kept = min(0.5, (update + 1) / (update + 10))
        mean = kept * mean + (1 - kept) * training.model.output.weight.detach()
        torch.testing.assert_close(training.averaged.output.weight, mean)
