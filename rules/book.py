"""Rule books: which rules count, how much, in which key and metre.

A book is a TOML file::

    description = "what it is for"
    extends = "magenta"        # start from another book: a shipped name, or a .toml file beside this one
    key = "A minor"            # given to every rule that has a `key` and does not set its own
    meter = "3/4"              # where bars and beats lie; that of the melodies where it is not given

    [rules.tonic]              # a table a rule, named as registered
    weight = 1.0               # multiplies the rule's reward; 1 where it is not given, 0 switches the rule off
    reward = 3.0               # every other entry is a parameter of the rule

What a book says replaces what the book it extends says, entry by entry. A Python rule file is a book too: of its own
rules, each with weight 1, or what its variable `BOOK` holds, a dict of the same form.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rltuner.console import say
from rltuner.errors import InputError, suggest
from rltuner.melody import Melodies, Meter
from rltuner.melody.key import Key
from rltuner.rules.contract import Rule, rewards_of
from rltuner.rules.making import find, make_rule, parameter_types, parameters_of
from rltuner.rules.plugins import load_file
from rltuner.rules.rule import TOTAL

_FIELDS = ("description", "extends", "key", "meter", "rules")
DEFAULT_KEY = "C major"
LARGEST_WEIGHT = 1e6
LARGEST_FILE = 1_000_000  # bytes

# Scoring makes and drops tensors of 100 KB to 1 MB. glibc hands such memory back to the kernel, which costs more than
# the arithmetic, until it has seen one larger block freed; this one is never touched, so it takes no memory.
torch.empty(31 << 20, dtype=torch.uint8)


@dataclass(frozen=True)
class RuleBook:
    """Weighted rules. `score` gives each rule's share of the reward; `table` is the resolved content."""

    name: str
    description: str
    key: str
    meter: Meter | None
    """Where the rules see bars and beats; None for those of the melodies."""
    rules: Mapping[str, Rule]
    weights: Mapping[str, float]
    table: Mapping[str, Any]
    """The book with its key and every default filled in, as plain values: what a run stores."""
    code: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the Python rule file that the book was read from, by its path; {} where it was none."""

    def score(self, melodies: Melodies) -> dict[str, Tensor]:
        """Each rule's weighted reward of each event, and "total", their sum: float32 [B, T].

        Padding earns 0. The reward of an event depends on the events up to it and on the melody's length only.

        Raises RuleError, naming the rule, where one raises, or returns no finite float32 [B, T].
        """
        melodies = self._in_meter(melodies)
        scores = {
            name: rewards_of(name, rule, melodies) * self.weights[name] for name, rule in self.rules.items()
        }
        total = torch.zeros(melodies.events.shape, device=melodies.events.device)
        for reward in scores.values():
            total += reward
        return {**scores, TOTAL: total}

    def earned(self, melodies: Melodies, scores: Mapping[str, Tensor]) -> Tensor:
        """The total reward redistributed over a melody's events, float32 [B, T]: the same return, less of it at the end.

        A rule that pays for a whole melody at its last event may tell what each event changed (its method `as_earned`);
        the others are taken from `scores`, what `score` gave. Source: Arjona-Medina et al., "RUDDER: Return Decomposition
        for Delayed Rewards" (2019): rewards with equal returns have equal optimal policies where gamma = 1.
        """
        melodies = self._in_meter(melodies)
        total = scores[TOTAL].clone()
        for name, rule in self.rules.items():
            as_earned = getattr(rule, "as_earned", None)
            if as_earned is not None:
                total += rewards_of(name, as_earned, melodies) * self.weights[name] - scores[name]
        return total

    def _in_meter(self, melodies: Melodies) -> Melodies:
        if self.meter is None or self.meter == melodies.meter:
            return melodies
        return Melodies(melodies.events, melodies.lengths, melodies.context, melodies.vocabulary, self.meter)

    @property
    def record(self) -> dict[str, Any]:
        """What tells this book from any other, as JSON values: a run stores it, and compares it when it is resumed.

        The resolved content, the package and version (or file) of every rule that rltuner does not ship, and the hash
        of the Python rule file.
        """
        entries = [entry for name in self.rules if (entry := find(name)) is not None]
        origins = {entry.name: entry.source for entry in entries if not (entry.is_shipped or self.code)}
        code = list(self.code.values())
        return {**self.table, **({"origins": origins} if origins else {}), **({"code": code} if code else {})}

    @property
    def digest(self) -> str:
        """SHA-256 of the record, hexadecimal, without `description` and `key`: books that score alike by construction
        share it.

        The key that a rule is judged in is among the rule's parameters, so it counts all the same.
        """
        counted = {name: value for name, value in self.record.items() if name not in ("description", "key")}
        return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def book_names() -> list[str]:
    """Names of the shipped rule books."""
    folder = resources.files("rltuner.rules") / "books"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_rulebook(name_or_path: str | os.PathLike[str], *, key: str | None = None) -> RuleBook:
    """A shipped book by name ("magenta"), a `.toml` file, or a Python rule file (whose code is run).

    Args:
      name_or_path: see above.
      key: replaces the book's key.

    Raises InputError, naming the file and the entry, for an unknown book, broken TOML or Python, a circle of books that
    extend each other, an unknown rule or parameter, or a value of the wrong type.
    """
    text = os.fspath(name_or_path)
    code: dict[str, str] = {}
    if text.endswith(".py"):
        file = load_file(Path(text))
        table = file.table
        if file.unused:
            say(f"{text}: BOOK does not name {', '.join(file.unused)}, so nothing is paid by it")
        code = {text: file.sha256}
    else:
        table = _read_table(text)
    try:
        merged = _with_parents(table, [_identity(text)], Path(text).parent)
        if key is not None:
            merged["key"] = key
        return book_from_table(Path(text).stem, merged, code)
    except InputError as error:
        message = str(error)
        raise type(error)(message if message.startswith(text) else f"rule book {text}: {message}") from None


def _identity(text: str) -> str:
    """A name that two spellings of one book share: a shipped name, else the resolved path."""
    return text if text in book_names() else str(Path(text).resolve())


def _read_table(text: str) -> dict[str, Any]:
    if text in book_names():
        content = (resources.files("rltuner.rules") / "books" / f"{text}.toml").read_bytes()
    elif text.endswith(".toml"):
        if not Path(text).is_file():
            raise InputError(f"{text}: no such rule book; shipped books: {', '.join(book_names())}")
        content = _bytes_of(Path(text))
    else:
        raise InputError(
            f"unknown rule book {text!r}; {suggest(text, book_names())} (or give a .toml file, or a .py rule file)"
        )
    try:
        if len(content) > LARGEST_FILE:
            raise UnicodeError(f"larger than {LARGEST_FILE:,} bytes")
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeError, RecursionError) as error:
        raise InputError(f"{text}: not a TOML file ({' '.join(str(error).split())[:160]})") from None


def _bytes_of(file: Path) -> bytes:
    """The content, cut one byte above the largest size of a book, so that a larger file shows."""
    try:
        with file.open("rb") as opened:
            return opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None


def _with_parents(table: Mapping[str, Any], seen: list[str], folder: Path) -> dict[str, Any]:
    """The table with everything that the book it extends says, and that it does not say itself."""
    own = {name: value for name, value in table.items() if name != "extends"}
    if "extends" not in table:
        return own
    own.setdefault("description", "")  # the parent's says what the parent is for
    parent = table["extends"]
    if not isinstance(parent, str) or parent.endswith(".py"):
        raise InputError(
            f"extends = {parent!r} must be a shipped book or a .toml file; a Python rule file joins other books by its "
            "variable BOOK"
        )
    if parent not in book_names():
        parent = str(folder / parent) if parent.endswith(".toml") else parent
    if _identity(parent) in seen:
        circle = " -> ".join(Path(one).name for one in [*seen, parent])
        raise InputError(f"extends goes in a circle: {circle}")
    inherited = _with_parents(_read_table(parent), [*seen, _identity(parent)], Path(parent).parent)
    rules, own_rules = inherited.get("rules", {}), own.get("rules", {})
    if not isinstance(rules, Mapping) or not isinstance(own_rules, Mapping):
        return {**inherited, **own}  # what is wrong is said when the book is made
    merged = dict(rules)
    for name, entry in own_rules.items():
        both = isinstance(entry, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = {**merged[name], **entry} if both else entry
    return {**inherited, **own, "rules": merged}


def entries_of(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table of rules in a book's content; {} where there is none, or something else in its place."""
    rules = table.get("rules", {})
    return rules if isinstance(rules, Mapping) else {}


def book_from_table(name: str, table: Mapping[str, Any], code: Mapping[str, str] | None = None) -> RuleBook:
    """A book from its content (see the module's docstring), `extends` resolved; raises InputError as `load_rulebook`."""
    for entry_name in [*table, *entries_of(table)]:
        if not isinstance(entry_name, str):
            raise InputError(f"entry {entry_name!r}: names are strings")
    for entry_name in table:
        if entry_name not in _FIELDS:
            raise InputError(f"unknown entry {entry_name!r}; {suggest(entry_name, list(_FIELDS))}")
    key, description = table.get("key", DEFAULT_KEY), table.get("description", "")
    entries, meter = table.get("rules", {}), table.get("meter")
    if not isinstance(key, str) or not isinstance(description, str):
        raise InputError("key and description must be strings")
    if meter is not None and not isinstance(meter, str):
        raise InputError(f"meter = {meter!r} must be a time signature such as '3/4'")
    Key.parse(key)
    parsed_meter = Meter.parse(meter) if meter is not None else None
    if not isinstance(entries, Mapping):
        raise InputError(
            f"rules = {entries!r} must be a table with an entry for each rule, such as [rules.tonic]"
        )
    if not entries:
        raise InputError("no rules in it; add a table such as [rules.tonic]")
    rules: dict[str, Rule] = {}
    weights: dict[str, float] = {}
    resolved: dict[str, dict[str, Any]] = {}
    for rule_name, entry in entries.items():
        if not isinstance(entry, Mapping):
            raise InputError(f"rules.{rule_name} must be a table, such as [rules.{rule_name}]")
        parameters = dict(entry)
        weight = parameters.pop("weight", 1.0)
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not abs(weight) <= LARGEST_WEIGHT:
            raise InputError(
                f"rules.{rule_name}.weight = {weight!r} is not a number of at most {LARGEST_WEIGHT:g}"
            )
        if not weight:
            make_rule(rule_name, parameters)  # what is wrong is wrong in a rule that is off, too
            continue
        known = find(rule_name)
        if known is not None and "key" in parameter_types(known.definition):
            parameters.setdefault("key", key)
        made = make_rule(rule_name, parameters)
        if isinstance(parameters.get("key"), str):
            try:
                Key.parse(parameters["key"])
            except InputError as error:
                raise InputError(f"rule {rule_name!r}: {error}") from None
        rules[rule_name] = made
        weights[rule_name] = float(weight)
        resolved[rule_name] = {"weight": float(weight), **parameters_of(made)}
    if not rules:
        raise InputError("every rule in it has weight 0")
    content: dict[str, Any] = {"description": description, "key": key, "rules": resolved}
    if meter is not None:
        content["meter"] = meter
    return RuleBook(name, description, key, parsed_meter, rules, weights, content, dict(code or {}))
