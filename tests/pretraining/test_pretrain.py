"""Pretraining: windows of tunes, the figure of merit, and that a network learns what there is to learn."""

import math

import pytest
import torch

from rltuner.melody import Meter
from rltuner.melody.tunes import Tune
from rltuner.networks.note_rnn import NoteRNN
from rltuner.pretraining.config import PretrainConfig
from rltuner.pretraining.training import IGNORED, Windows, fit_of, learning_rate_at


def tune_of(events: list[int]) -> Tune:
    return Tune("t", "s", "", Meter(), tuple(events))


TUNES = [tune_of([2, 3, 4, 5]), tune_of(list(range(10, 38)))]


def test_a_window_is_a_stretch_of_one_tune_and_the_events_after_it() -> None:
    inputs, targets = Windows(TUNES, 6, 0.5, 0, "cpu").draw(500)
    for heard, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
        known = [event for event in wanted if event != IGNORED]
        whole = heard[: len(known)] + known[-1:]
        assert any(str(whole)[1:-1] in str([-1, *tune.events]) for tune in TUNES)
        assert len(known) == (4 if known[0] < 10 else 6)  # the short tune ends, the long one fills the window


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1 / 23), (0.3, 0.3 + 0.7 / 23), (1.0, 1.0)])
def test_the_share_of_windows_from_the_start(share: float, expected: float) -> None:
    inputs, _ = Windows(TUNES[1:], 6, share, 0, "cpu").draw(8_000)
    assert float((inputs[:, 0] == -1).float().mean()) == pytest.approx(expected, abs=0.02)


def test_long_tunes_are_drawn_more_often() -> None:
    inputs, _ = Windows(TUNES, 4, 1.0, 0, "cpu").draw(8_000)
    assert float((inputs[:, 1] < 10).float().mean()) == pytest.approx(4 / 32, abs=0.02)


def test_the_figure_of_merit_counts_every_event_from_the_zero_input() -> None:
    model = NoteRNN(hidden_sizes=(5,), seed=2)
    fit = fit_of(model, TUNES, batch_size=2)
    total = 0.0
    for tune in TUNES:
        state, heard = None, torch.tensor([-1])
        for event in tune.events:
            logits, state = model.step(heard, state)
            total -= float(logits.detach().log_softmax(-1)[0, event])
            heard = torch.tensor([event])
    assert (fit.events, fit.tunes) == (32, 2)
    assert fit.nll == pytest.approx(total / 32, rel=1e-4)


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
