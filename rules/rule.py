"""What a rule is, and the register of all rules by name.

A *rule* maps `Melodies` to one reward per event: float32 [B, T]. It is pure (no state, no randomness) and causal:
the reward at t depends on the events at and before t, on the melody's length and on nothing else, so that
a melody can be scored after it is composed with the same result as event by event.

A rule is a function of `Melodies`, or a frozen dataclass with `__call__(melodies)` whose fields, all with
defaults, are its parameters.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, get_type_hints, runtime_checkable

from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody import Melodies


@runtime_checkable
class Rule(Protocol):
    """Melodies -> reward of each event, float32 [B, T]."""

    def __call__(self, melodies: Melodies, /) -> Tensor: ...


TOTAL = "total"  # what a book calls the sum of its rules
_REGISTER: dict[str, Any] = {}  # name -> rule function, or dataclass whose instances are rules
R = TypeVar("R")


def rule(name: str) -> Callable[[R], R]:
    """Decorator that registers a function or a frozen dataclass as the rule `name`.

    Raises InputError where another rule has the name, or it is "total".
    """
    if name == TOTAL:
        raise InputError(f"rule {name!r}: the name stands for the sum of all rules; choose another")

    def register(definition: R) -> R:
        known = _REGISTER.get(name)
        if known is not None and _origin(known) != _origin(definition):
            raise InputError(f"rule {name!r}: the name is taken by {known.__module__}.{known.__qualname__}")
        _REGISTER[name] = definition
        return definition

    return register


def _origin(definition: Any) -> tuple[str, str]:
    return definition.__module__, definition.__qualname__


def rule_names() -> list[str]:
    """Names of all registered rules, sorted."""
    return sorted(_REGISTER)


def make_rule(name: str, parameters: Mapping[str, Any]) -> Rule:
    """The rule `name` with its parameters set.

    Raises InputError for an unknown rule or parameter (with the nearest known name), for a value of another
    type than the parameter's, and for a value that the rule refuses.
    """
    if name not in _REGISTER:
        raise InputError(f"unknown rule {name!r}; {suggest(name, _REGISTER)}")
    definition = _REGISTER[name]
    fields = {f.name: f for f in dataclasses.fields(definition)} if isinstance(definition, type) else {}
    types = get_type_hints(definition) if fields else {}
    values: dict[str, Any] = {}
    for parameter, value in parameters.items():
        if parameter not in fields:
            raise InputError(f"rule {name!r}: unknown parameter {parameter!r}; {suggest(parameter, fields)}")
        kind = types[parameter]
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise InputError(f"rule {name!r}: {parameter} = {value!r} is not of type {kind.__name__}")
        if kind is float and not math.isfinite(value):
            raise InputError(f"rule {name!r}: {parameter} = {value!r} is not a finite number")
        values[parameter] = value
    try:
        made: Rule = definition(**values) if isinstance(definition, type) else definition
    except InputError as error:
        raise InputError(f"rule {name!r}: {error}") from None
    return made


def parameters_of(rule: Rule) -> dict[str, Any]:
    """Every parameter of a made rule with its value, defaults included; {} for a function."""
    made: Any = rule  # to the type checker no Rule is a dataclass
    if not dataclasses.is_dataclass(made) or isinstance(made, type):
        return {}
    return {f.name: getattr(made, f.name) for f in dataclasses.fields(made)}


def takes(name: str, parameter: str) -> bool:
    """Whether the rule `name` has the parameter; False for an unknown rule."""
    definition = _REGISTER.get(name)
    return isinstance(definition, type) and parameter in {f.name for f in dataclasses.fields(definition)}


def suggest(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """A remedy for an unknown name: the nearest known one, or all of them."""
    near = difflib.get_close_matches(name, list(known), n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(sorted(known))}" if known else "there are none to choose from"
