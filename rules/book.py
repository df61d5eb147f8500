"""Rule books: which rules count, how much, and in which key.

A book is a TOML file::

    description = "what it is for"
    key = "C major"            # given to every rule that has a `key` and does not set its own

    [rules.tonic]              # a table a rule, named as registered
    weight = 1.0               # multiplies the rule's reward; 1 where it is not given
    reward = 3.0               # every other entry is a parameter of the rule
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from torch import Tensor

from rltuner.errors import InputError
from rltuner.key import Key
from rltuner.melody import Melodies
from rltuner.rules.rule import TOTAL, Rule, make_rule, parameters_of, suggest, takes

_BOOK_FIELDS = ("description", "key", "rules")


@dataclass(frozen=True)
class RuleBook:
    """Weighted rules. `score` gives each rule's share of the reward; `table` is the resolved content."""

    name: str
    description: str
    key: str
    rules: Mapping[str, Rule]
    weights: Mapping[str, float]
    table: Mapping[str, Any]
    """The book with its key and every default filled in, as plain values: what a run stores."""

    def score(self, melodies: Melodies) -> dict[str, Tensor]:
        """Each rule's weighted reward of each event, and "total", their sum: float32 [B, T].

        Padding earns 0. The reward of an event depends on the events up to it and on the melody's length only.
        """
        scores = {name: self.weights[name] * rule(melodies) for name, rule in self.rules.items()}
        total = melodies.events.new_zeros(melodies.events.shape).float()
        for reward in scores.values():
            total = total + reward
        return {**scores, TOTAL: total}

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved rules and weights; two books that score alike by construction share it."""
        return hashlib.sha256(json.dumps(self.table["rules"], sort_keys=True).encode()).hexdigest()


def book_names() -> list[str]:
    """Names of the shipped rule books."""
    folder = resources.files("rltuner.rules") / "books"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_rulebook(name_or_path: str | os.PathLike[str]) -> RuleBook:
    """A shipped book by name ("magenta"), or a `.toml` file.

    Raises InputError, naming the file and the entry, for an unknown book, broken TOML, an unknown rule or
    parameter, or a value of the wrong type.
    """
    text = os.fspath(name_or_path)
    if text.endswith(".toml"):
        file = Path(text)
        if not file.is_file():
            raise InputError(f"{text}: no such rule book; shipped books: {', '.join(book_names())}")
        content = file.read_bytes()
        name = file.stem
    elif text in book_names():
        content = (resources.files("rltuner.rules") / "books" / f"{text}.toml").read_bytes()
        name = text
    else:
        raise InputError(f"unknown rule book {text!r}; {suggest(text, book_names())}, or give a .toml file")
    try:
        table = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{text}: not a TOML file ({error})") from None
    try:
        return book_from_table(name, table)
    except InputError as error:
        raise InputError(f"rule book {text}: {error}") from None


def book_from_table(name: str, table: Mapping[str, Any]) -> RuleBook:
    """A book from its parsed content (see the module's docstring); raises InputError as `load_rulebook` does."""
    for field in table:
        if field not in _BOOK_FIELDS:
            raise InputError(f"unknown entry {field!r}; {suggest(field, list(_BOOK_FIELDS))}")
    key = table.get("key", "C major")
    description = table.get("description", "")
    entries = table.get("rules", {})
    if not isinstance(key, str) or not isinstance(description, str):
        raise InputError("key and description must be strings")
    Key.parse(key)
    if not isinstance(entries, Mapping) or not entries:
        raise InputError("no rules in it; add a table such as [rules.tonic]")
    rules: dict[str, Rule] = {}
    weights: dict[str, float] = {}
    resolved: dict[str, dict[str, Any]] = {}
    for rule_name, entry in entries.items():
        if not isinstance(entry, Mapping):
            raise InputError(f"rules.{rule_name} must be a table, such as [rules.{rule_name}]")
        parameters = dict(entry)
        weight = parameters.pop("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise InputError(f"rules.{rule_name}.weight = {weight!r} is not a finite number")
        if takes(rule_name, "key"):
            parameters.setdefault("key", key)
        made = make_rule(rule_name, parameters)
        if "key" in parameters:
            try:
                Key.parse(parameters["key"])
            except InputError as error:
                raise InputError(f"rule {rule_name!r}: {error}") from None
        rules[rule_name] = made
        weights[rule_name] = float(weight)
        resolved[rule_name] = {"weight": float(weight), **parameters_of(made)}
    return RuleBook(
        name, description, key, rules, weights, {"description": description, "key": key, "rules": resolved}
    )
