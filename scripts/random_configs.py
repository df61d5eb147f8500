"""Configurations of finetune drawn from all that its fields allow: do they tune with finite numbers?"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rltuner.errors import InputError
from rltuner.networks.note_rnn import NoteRNN
from rltuner.rules.book import book_from_table
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.learner import Learner
from rltuner.tuning.replay import Replay
from rltuner.tuning.round import tune_round

UPDATES = 50
BOOK = {"rules": {"tonic": {}, "penalize_repeating": {}, "high_low_unique": {}}}  # few: it is not about rules


def within(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers of every size in a range, its ends among them, and some beyond it, which must be refused by name."""
    return st.one_of(
        st.floats(low, high),
        st.floats(-12, 12).map(lambda power: min(max(10.0**power, low), high)),
        st.sampled_from([low, high]),
    )


def anything(low: float) -> st.SearchStrategy[float]:
    return st.one_of(within(low, 1e12), st.sampled_from([-1.0, 1e30, 1e300, math.inf, math.nan]))


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "algo": st.sampled_from(["q", "psi", "g"]),
    "length": st.integers(1, 16),
    "c": anything(1e-6),
    "gamma": within(0, 1),
    "as_earned": st.booleans(),
    "trace": within(0, 1),
    "batch_size": st.integers(1, 4),
    "replay": st.integers(0, 16),
    "replayed": within(0, 2),
    "smc": st.integers(0, 3),
    "smc_systems": st.integers(1, 3),
    "smc_every": st.integers(5, 60),
    "smc_c": anything(1e-6),
    "smc_replay": st.integers(1, 8),
    "smc_replayed": within(0, 2),
    "repeated": within(0, 2),
    "likeliest": st.just(1.0) | within(1e-30, 1),
    "likeliest_cost": within(0, 100),
    "passes": st.integers(1, 3),
    "minibatch_size": st.integers(8, 64),
    "learning_rate": within(0, 1),
    "value_units": st.integers(0, 40),
    "value_learning_rate": within(0, 1),
    "target_rate": within(0, 1),
    "huber": anything(0),
    "clip": anything(0),
    "greedy": st.booleans(),
    "epsilon": within(0, 1),
    "epsilon_end": within(0, 1),
    "temperature": anything(1e-6),
    "seed": st.integers(0, 2**31),
}


def judged(fields: dict[str, Any]) -> str:
    """ "tuned" with finite losses, "refused" by an error that names a field, or what went wrong."""
    try:
        config = FinetuneConfig(**fields, events=UPDATES * fields["batch_size"] * fields["length"], threads=1)
    except InputError as error:
        return "refused" if any(f" {name} = " in str(error) for name in fields) else f"unnamed: {error}"
    learner = Learner(NoteRNN(hidden_sizes=(8,), seed=1), config)
    replay = Replay(config.replay, config.smc_replay if config.smc else 0)
    generator, book = torch.Generator().manual_seed(config.seed), book_from_table("three", BOOK)
    try:
        for update in range(UPDATES):
            record = tune_round(learner, replay, book, generator, update, measured=update % 10 == 9)
            if not all(math.isfinite(value) for value in record.values()):
                return f"not finite: {record}"
    except InputError as error:
        return "refused" if "--learning-rate" in str(error) else f"unnamed: {error}"
    weights = learner.tensors().values()
    finite = all(bool(torch.isfinite(t).all()) for t in weights if t.is_floating_point())
    return "tuned" if finite else "not finite: weights"


def numbers(count: int, tally: Counter[str], advance: Callable[[int], None] | None = None) -> None:
    """`count` configurations; those that broke are counted and named."""
    usual = dataclasses.asdict(FinetuneConfig())

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.fixed_dictionaries(FIELDS))
    def tried(fields: dict[str, Any]) -> None:
        outcome = judged(fields)
        known = outcome if outcome in ("tuned", "refused") else "that broke"
        tally[f"configurations {known}"] += 1
        if known == "that broke":
            odd = {name: value for name, value in fields.items() if value != usual[name]}
            tally[f"  {outcome[:200]}: {odd}"] += 1
        if advance:
            advance(1)

    tried()
