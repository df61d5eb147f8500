"""Checks of whether a rule keeps its contract, on melodies of many kinds. They are tests: passing all is no proof.

Each check is a statement about rewards that holds for every correct rule:

* *results*: a finite float32 [B, T] for every batch, empty ones included, in several metres and vocabularies;
* *causality*: changing an event changes no earlier reward;
* *batch*: a melody earns the same alone as among others;
* *padding*: what lies past a melody's length earns 0 and changes nothing;
* *primer*: the context that the network heard is not judged;
* *determinism*: the same melodies earn the same again, and are not altered.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import NO_EVENT, Melodies, Meter, Vocabulary
from rltuner.rules.book import RuleBook
from rltuner.rules.contract import Rule, RuleError, rewards_of, where_defined
from rltuner.rules.making import find

LENGTH, COUNT = 40, 96
LONG, LONG_COUNT = 160, 12  # some melodies are longer, for rules that look far
GRIDS = (
    (Vocabulary(), Meter()),
    (Vocabulary(), Meter(12, 4)),
    (Vocabulary(), Meter(12, 6)),
    (Vocabulary(40, 90), Meter(8, 4)),
)
VIEWS = ("events", "lengths", "valid", "is_onset", "pitch", "previous_onset", "previous_pitch", "interval")
TIMED = 512  # melodies of 32 events


@dataclass(frozen=True)
class Findings:
    """What the checks of one rule gave."""

    failures: dict[str, str]
    """Check -> what went wrong, with an example; {} for a rule that passes."""
    microseconds: float
    """Cost an event, in a batch of 512 melodies of 32; the median of five."""


def refuse_broken_rules(book: RuleBook, vocabulary: Vocabulary, meter: Meter, length: int) -> None:
    """RuleError where a rule cannot score melodies of `length` events on this grid, or breaks its contract.

    Rules that rltuner ships are only tried for whether their rewards are finite with the book's parameters.
    """
    for name, rule in book.rules.items():
        rewards_of(name, rule, Melodies.from_lists(examples(vocabulary, length), vocabulary, meter))
        entry = find(name)
        if entry is not None and not entry.is_shipped:
            for run in CHECKS.values():
                try:
                    run(name, rule, vocabulary, meter, max(length, LONG))
                except RuleError as error:
                    where = "" if str(error).startswith(where_defined(rule)) else f"{where_defined(rule)}: "
                    raise RuleError(f"{where}{error}; all that is wrong: rltuner rules check") from None


def examine(name: str, rule: Rule) -> Findings:
    """Runs every check on a rule; the cost is NaN where it does not run at all."""
    failures = {}
    for check, run in CHECKS.items():
        try:
            for vocabulary, meter in GRIDS:
                run(name, rule, vocabulary, meter, LONG)
        except RuleError as error:
            failures[check] = str(error)
    return Findings(failures, float("nan") if "results" in failures else cost(name, rule))


def cost(name: str, rule: Rule) -> float:
    """Microseconds that a rule takes an event: the median of five runs on 512 melodies of 32, after one to warm up."""
    events = torch.randint(38, (TIMED, 32), generator=torch.Generator().manual_seed(0))
    seconds = []
    for _ in range(6):
        melodies = Melodies(events)
        started = time.perf_counter()
        rewards_of(name, rule, melodies)
        seconds.append(time.perf_counter() - started)
    return 1e6 * sorted(seconds[1:])[2] / events.numel()


def examples(vocabulary: Vocabulary, longest: int = LONG) -> list[list[int]]:
    """Lists of 1 to 40 events: by chance over all classes, long runs, mostly silence, walks by step, motifs that return,
    and every pair of a few classes; a dozen have `longest` events."""
    generator = torch.Generator().manual_seed(0)

    def draw(low: int, high: int, count: int) -> list[int]:
        return torch.randint(low, high, (count,), generator=generator).tolist()

    size = vocabulary.size
    found = [[a, b, NO_EVENT] for a, b in itertools.product((0, 1, 2, size // 2, size - 1), repeat=2)]
    for index in range(COUNT):
        kind, length = index % 5, draw(1, LENGTH + 1, 1)[0] if index >= LONG_COUNT else longest
        if kind == 0:
            events = draw(0, size, length)
        elif kind == 1:
            events = [e for e in draw(0, size, length) for _ in range(draw(1, 9, 1)[0])]
        elif kind == 2:
            events = [
                e if e > 1 and keep else e % 2
                for e, keep in zip(draw(0, size, length), draw(0, 2, length), strict=True)
            ]
        elif kind == 3:
            note, events = size // 2, []
            for step, held in zip(draw(-2, 3, length), draw(0, 3, length), strict=True):
                note = min(max(note + step, 2), size - 1)
                events.append(NO_EVENT if held == 0 else note)
        else:
            events = draw(2, size, 8) * -(-length // 8)
        found.append(events[:length])
    return found


def _scored(name: str, rule: Rule, lists: list[list[int]], vocabulary: Vocabulary, meter: Meter) -> Tensor:
    return rewards_of(name, rule, Melodies.from_lists(lists, vocabulary, meter))


def _same(one: Tensor, other: Tensor) -> Tensor:
    """Equal but for rounding."""
    return (one - other).abs() <= 1e-5 + 1e-5 * other.abs()


def _results(name: str, rule: Rule, vocabulary: Vocabulary, meter: Meter, longest: int) -> None:
    _scored(name, rule, examples(vocabulary, longest), vocabulary, meter)
    for batch, length in ((0, 0), (0, 8), (1, 0), (1, 1), (2, 200)):
        rewards_of(name, rule, Melodies(torch.full((batch, length), 2), None, None, vocabulary, meter))


def _causality(name: str, rule: Rule, vocabulary: Vocabulary, meter: Meter, longest: int) -> None:
    lists = [events for events in examples(vocabulary, longest) if len(events) > 1]
    before = _scored(name, rule, lists, vocabulary, meter)
    generator = torch.Generator().manual_seed(1)
    for whole in (False, True):  # one event, or all the rest of the melody
        changed, places = [], []
        for events in lists:
            place = int(torch.randint(len(events), (1,), generator=generator))
            rest = torch.randint(vocabulary.size, (len(events) - place,), generator=generator).tolist()
            rest[0] = (events[place] + 1 + rest[0] % (vocabulary.size - 1)) % vocabulary.size
            changed.append(events[:place] + (rest if whole else [rest[0], *events[place + 1 :]]))
            places.append(place)
        after = _scored(name, rule, changed, vocabulary, meter)
        earlier = torch.arange(before.shape[1]) < torch.tensor(places)[:, None]
        wrong = (~_same(after, before) & earlier).nonzero()
        if len(wrong):
            row, t = wrong[0].tolist()
            raise RuleError(
                f"rule {name!r} reads the future: a change of event {places[row]} changed the reward of event {t} "
                f"from {float(before[row, t]):g} to {float(after[row, t]):g} in {lists[row][: places[row] + 1]}"
            )


def _batch(name: str, rule: Rule, vocabulary: Vocabulary, meter: Meter, longest: int) -> None:
    lists = examples(vocabulary, longest)
    together = _scored(name, rule, lists, vocabulary, meter)
    for row in range(0, len(lists), 3):
        alone = _scored(name, rule, [lists[row]], vocabulary, meter)[0]
        wrong = (~_same(together[row, : len(alone)], alone)).nonzero()
        if len(wrong):
            t = int(wrong[0])
            raise RuleError(
                f"rule {name!r} depends on the batch: event {t} of {lists[row][: t + 1]} earned {float(alone[t]):g} "
                f"alone and {float(together[row, t]):g} among others"
            )


def _padding(name: str, rule: Rule, vocabulary: Vocabulary, meter: Meter, longest: int) -> None:
    lists = examples(vocabulary, longest)
    lengths = torch.tensor([len(events) for events in lists])
    rewards = _scored(name, rule, lists, vocabulary, meter)
    past = torch.arange(rewards.shape[1]) >= lengths[:, None]
    wrong = (past & (rewards != 0)).nonzero()
    if len(wrong):
        row, t = wrong[0].tolist()
        raise RuleError(
            f"rule {name!r} rewards padding: step {t} of a melody of {int(lengths[row])} events earned "
            f"{float(rewards[row, t]):g}; multiply by melodies.valid, or by melodies.is_onset where it is about notes"
        )
    batch = Melodies.from_lists(lists, vocabulary, meter)
    longer = torch.nn.functional.pad(batch.events, (0, 7), value=vocabulary.size - 1)
    again = rewards_of(name, rule, Melodies(longer, lengths, None, vocabulary, meter))[:, : rewards.shape[1]]
    wrong = (~_same(again, rewards)).nonzero()
    if len(wrong):
        row, t = wrong[0].tolist()
        raise RuleError(
            f"rule {name!r} depends on what lies past the end: event {t} of {lists[row][: t + 1]} earned "
            f"{float(rewards[row, t]):g}, with more padding {float(again[row, t]):g}"
        )


def _primer(name: str, rule: Rule, vocabulary: Vocabulary, meter: Meter, longest: int) -> None:
    batch = Melodies.from_lists(examples(vocabulary, longest), vocabulary, meter)
    plain = rewards_of(name, rule, batch)
    primed = Melodies(batch.events, batch.lengths, torch.full((len(batch), 4), 5), vocabulary, meter)
    if not bool(_same(rewards_of(name, rule, primed), plain).all()):
        raise RuleError(
            f"rule {name!r} judges the primer (melodies.context), which is not part of the melody"
        )


def _determinism(name: str, rule: Rule, vocabulary: Vocabulary, meter: Meter, longest: int) -> None:
    batch = Melodies.from_lists(examples(vocabulary, longest), vocabulary, meter)
    first = rewards_of(name, rule, batch).clone()
    untouched = Melodies.from_lists(examples(vocabulary, longest), vocabulary, meter)
    for view in VIEWS:
        if not torch.equal(getattr(batch, view), getattr(untouched, view)):
            raise RuleError(
                f"rule {name!r} alters melodies.{view}, which other rules see too; work on a clone"
            )
    if not torch.equal(rewards_of(name, rule, batch), first):
        raise RuleError(f"rule {name!r} gave the same melodies two different rewards")


CHECKS: dict[str, Callable[[str, Rule, Vocabulary, Meter, int], None]] = {
    "results": _results,
    "causality": _causality,
    "batch": _batch,
    "padding": _padding,
    "primer": _primer,
    "determinism": _determinism,
}
