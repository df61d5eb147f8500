"""What every rule promises, whatever it rewards: causal, pure, blind to padding and to the batch."""

import random
from dataclasses import dataclass

import pytest
import torch
from generators import HIGHEST_CLASS, random_tunes, tunes
from hypothesis import given

from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.rules import load_rulebook, rule
from rltuner.rules.contract import Rule
from rltuner.rules.making import find, make_rule, rule_names

SHIPPED = [name for name in rule_names() if find(name).is_shipped]  # type: ignore[union-attr]
every_rule = pytest.mark.parametrize("name", SHIPPED)


@pytest.fixture(scope="module")
def tune_list() -> list[list[int]]:
    tunes = random_tunes(270, seed=2)
    eight_bars = [
        (tune[:16] * 8)[:112] + [1] * 16 for tune in tunes[:30] if len(tune) >= 16
    ]  # form is heard in these
    return tunes + eight_bars


def with_other_future(tune: list[int], change: int, rng: random.Random) -> list[int]:
    """The tune with its event at `change` replaced by another class, and everything after it by chance."""
    other = rng.choice([c for c in range(HIGHEST_CLASS + 1) if c != tune[change]])
    return [*tune[:change], other, *(rng.randint(0, HIGHEST_CLASS) for _ in tune[change + 1 :])]


@every_rule
def test_an_event_never_changes_an_earlier_reward(name: str, tune_list: list[list[int]]) -> None:
    rng = random.Random(3)
    changes = [rng.randrange(len(tune)) for tune in tune_list]
    once_changed = [
        [*tune[:t], (tune[t] + 1) % (HIGHEST_CLASS + 1), *tune[t + 1 :]]
        for tune, t in zip(tune_list, changes, strict=True)
    ]
    other_futures = [with_other_future(tune, t, rng) for tune, t in zip(tune_list, changes, strict=True)]
    judge = make_rule(name, {})
    reward = judge(Melodies.from_lists(tune_list))
    before = torch.arange(reward.shape[1]) < torch.tensor(changes)[:, None]
    for changed in (once_changed, other_futures):
        changed_reward = judge(Melodies.from_lists(changed))
        assert torch.equal(changed_reward[before], reward[before])
    assert not torch.equal(changed_reward, reward)


@every_rule
def test_a_melody_scores_alone_as_in_a_batch(name: str, tune_list: list[list[int]]) -> None:
    judge = make_rule(name, {})
    together = judge(Melodies.from_lists(tune_list))
    for row, tune in zip(together, tune_list, strict=True):
        assert torch.equal(judge(Melodies(tune))[0], row[: len(tune)])


@every_rule
def test_what_is_past_the_end_changes_nothing_and_earns_nothing(
    name: str, tune_list: list[list[int]]
) -> None:
    rng = random.Random(4)
    lengths = [len(tune) for tune in tune_list]
    garbage = [tune + [rng.randint(0, HIGHEST_CLASS) for _ in range(130 - len(tune))] for tune in tune_list]
    judge = make_rule(name, {})
    with_garbage = judge(Melodies(garbage, lengths))
    padded = judge(Melodies.from_lists(tune_list))
    past_the_end = torch.arange(130) >= torch.tensor(lengths)[:, None]
    assert torch.equal(with_garbage[:, : padded.shape[1]], padded)
    assert not with_garbage[past_the_end].any()


@every_rule
def test_the_primer_is_not_judged(name: str) -> None:
    batch = Melodies.from_lists(random_tunes(90, seed=5))
    primed = Melodies(batch.events, batch.lengths, torch.full((90, 4), 14))
    judge = make_rule(name, {})
    assert torch.equal(judge(primed), judge(batch))


@every_rule
@given(tune=tunes())
def test_every_tune_earns_a_finite_float32_for_every_event(name: str, tune: list[int]) -> None:
    reward = make_rule(name, {})(Melodies(torch.tensor(tune, dtype=torch.int64)))
    assert reward.shape == (1, len(tune))
    assert reward.dtype == torch.float32
    assert torch.isfinite(reward).all()


@every_rule
@pytest.mark.parametrize(("batch", "time"), [(0, 0), (0, 1), (0, 32), (2, 0), (2, 1)])
def test_no_melodies_and_no_events_are_scored_too(name: str, batch: int, time: int) -> None:
    reward = make_rule(name, {})(Melodies(torch.full((batch, time), 14)))
    assert reward.shape == (batch, time)
    assert reward.dtype == torch.float32


@every_rule
def test_a_rule_has_no_memory(name: str) -> None:
    batch = Melodies.from_lists(random_tunes(45, seed=6))
    judge = make_rule(name, {})
    events = batch.events.clone()
    assert torch.equal(judge(batch), judge(batch))
    assert torch.equal(batch.events, events)


@pytest.mark.parametrize("time", [0, 1, 32])
def test_a_book_scores_no_melodies(time: int) -> None:
    scores = load_rulebook("magenta").score(Melodies(torch.empty((0, time), dtype=torch.int64)))
    assert all(reward.shape == (0, time) for reward in scores.values())
    assert scores["total"].dtype == torch.float32


def test_every_registered_rule_satisfies_the_protocol() -> None:
    assert all(isinstance(make_rule(name, {}), Rule) for name in SHIPPED)


@every_rule
@given(tune=tunes())
def test_what_is_paid_as_it_is_earned_is_the_same_in_all(name: str, tune: list[int]) -> None:
    """And causal: what a prefix has earned is what it would get if it ended there."""
    judge = make_rule(name)
    if not hasattr(judge, "as_earned"):
        return
    earned = judge.as_earned(Melodies.from_lists([tune, [*tune, 1, 1]]))
    for length in range(len(tune) + 1):
        prefix = judge(Melodies([tune[:length]])) if length else torch.zeros(1)
        assert float(earned[0, :length].sum()) == float(prefix.sum())
    assert torch.equal(earned[0, : len(tune)], earned[1, : len(tune)])
    assert not earned[0, len(tune) :].any()


def test_a_book_pays_the_same_as_it_is_earned() -> None:
    batch = Melodies.from_lists(random_tunes(90, seed=13))
    book = load_rulebook("magenta")
    scores = book.score(batch)
    earned = book.earned(batch, scores)
    torch.testing.assert_close(earned.sum(dim=1), scores["total"].sum(dim=1))
    assert not torch.equal(earned, scores["total"])


def test_a_name_is_taken_once() -> None:
    def impostor(melodies: Melodies) -> torch.Tensor:
        return melodies.events.float()

    with pytest.raises(InputError, match=r"rule 'key': the name is taken by a rule of rltuner"):
        rule("key")(impostor)


def test_a_namesake_from_another_module_does_not_replace_a_rule() -> None:
    @dataclass(frozen=True)
    class InKey:
        def __call__(self, melodies: Melodies) -> torch.Tensor:
            return melodies.events.float()

    InKey.__qualname__ = "InKey"
    with pytest.raises(InputError, match="the name is taken"):
        rule("key")(InKey)


def test_no_rule_is_called_like_the_sum_of_all_rules() -> None:
    with pytest.raises(InputError, match=r"rule 'total': .*sum of all rules"):
        rule("total")(lambda melodies: melodies.events.float())
    assert "total" not in rule_names()
