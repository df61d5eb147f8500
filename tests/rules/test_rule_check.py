"""`check_rule` finds every way to break the contract, and passes every rule that keeps it."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rltuner.melody import Melodies, Meter, Vocabulary
from rltuner.rules.book import RuleBook, book_from_table
from rltuner.rules.check import CHECKS, examine, refuse_broken_rules
from rltuner.rules.contract import RuleError
from rltuner.testing import check_rule

state = {"calls": 0}


def reads_the_next_event(m: Melodies) -> Tensor:
    following = torch.nn.functional.pad(m.events[:, 1:], (0, 1))
    return ((following == 0) & m.valid).float()


def reads_the_end(m: Melodies) -> Tensor:
    """Only by the last event, and only in long melodies."""
    if m.events.shape[1] < 30:
        return torch.zeros(m.events.shape)
    return ((m.events[:, -1:] > 5) & m.valid).float()


def subtracts_the_mean_of_the_batch(m: Melodies) -> Tensor:
    onset = m.is_onset.float()
    return (onset - onset[:, :1].mean()) * m.valid if len(m) else onset


def rewards_padding(m: Melodies) -> Tensor:
    return (m.events == 1).float()


def counts_padded_steps(m: Melodies) -> Tensor:
    return m.valid.float() * m.events.shape[1]


def judges_the_primer(m: Melodies) -> Tensor:
    return m.is_onset.float() * (1 + m.context.shape[1])


def has_a_memory(m: Melodies) -> Tensor:
    state["calls"] += 1
    return m.is_onset.float() * state["calls"]


def is_random(m: Melodies) -> Tensor:
    return torch.rand(m.events.shape) * m.valid


def alters_a_view(m: Melodies) -> Tensor:
    return (m.pitch.clamp_(min=60) > 60).float() * m.valid


def looks_far_ahead(m: Melodies) -> Tensor:
    later = torch.nn.functional.pad(m.pitch[:, 40:], (0, min(40, m.pitch.shape[1])))
    return (later == 60).float() * m.valid


def ends_the_program(m: Melodies) -> Tensor:
    raise SystemExit(0)


def alters_the_melodies(m: Melodies) -> Tensor:
    rewards = m.is_onset.float()
    m.events.clamp_(max=30)
    return rewards


def is_sometimes_infinite(m: Melodies) -> Tensor:
    return torch.where(m.pitch == 83, float("inf"), 0.0)


def fails_on_no_events(m: Melodies) -> Tensor:
    return m.is_onset.float() * (m.events.amax(dim=1) > 3)[:, None]


def fails_off_four_four(m: Melodies) -> Tensor:
    return m.is_onset.float() / (1.0 if m.meter.steps_per_bar == 16 else 0.0)


def is_float64(m: Melodies) -> Tensor:
    return m.is_onset.double()


@pytest.mark.parametrize(
    ("broken", "check", "says"),
    [
        (reads_the_next_event, "causality", "reads the future: a change of event"),
        (reads_the_end, "causality", "reads the future"),
        (subtracts_the_mean_of_the_batch, "batch", "depends on the batch"),
        (rewards_padding, "padding", "rewards padding"),
        (counts_padded_steps, "padding", "depends on"),
        (judges_the_primer, "primer", "judges the primer"),
        (has_a_memory, "determinism", "two different rewards"),
        (is_random, "determinism", "two different rewards"),
        (alters_the_melodies, "determinism", "alters melodies.events"),
        (alters_a_view, "determinism", "alters melodies.pitch"),
        (looks_far_ahead, "causality", "reads the future"),
        (ends_the_program, "results", "raised SystemExit"),
        (is_sometimes_infinite, "results", "gave inf for event"),
        (fails_on_no_events, "results", "raised IndexError"),
        (fails_off_four_four, "results", "gave (nan|inf)"),
        (is_float64, "results", "expected torch.float32"),
    ],
)
def test_each_way_to_break_the_contract_is_found(
    broken: Callable[[Melodies], Tensor], check: str, says: str
) -> None:
    findings = examine(broken.__name__, broken)
    assert check in findings.failures
    assert re.search(says, findings.failures[check])
    assert f"'{broken.__name__}'" in findings.failures[check]
    with pytest.raises(AssertionError, match=says):
        check_rule(broken)


def test_a_rule_that_fails_at_the_length_to_be_composed_is_refused() -> None:
    def short_only(m: Melodies) -> Tensor:
        if m.events.shape[1] > 200:
            raise ValueError("too long for me")
        return m.is_onset.float()

    book = RuleBook("b", "", "C major", None, {"short_only": short_only}, {"short_only": 1.0}, {})
    refuse_broken_rules(book, Vocabulary(), Meter(), 64)
    with pytest.raises(RuleError, match="'short_only' raised ValueError: too long for me"):
        refuse_broken_rules(book, Vocabulary(), Meter(), 256)


def test_a_shipped_rule_whose_reward_is_not_finite_is_refused() -> None:
    book = book_from_table("b", {"rules": {"key": {"penalty": -1e39}}})
    with pytest.raises(RuleError, match=r"'key' gave nan for event"):
        refuse_broken_rules(book, Vocabulary(), Meter(), 32)


def test_a_correct_rule_passes_every_check_at_a_cost() -> None:
    findings = check_rule("motif", steps=4)
    assert findings.failures == {}
    assert 0 < findings.microseconds < 1000
    assert set(CHECKS) == {"results", "causality", "batch", "padding", "primer", "determinism"}
