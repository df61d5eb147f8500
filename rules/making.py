"""Rules by name: those that are registered and those of installed plugins, made with their parameters."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_type_hints

from rltuner.errors import InputError, suggest
from rltuner.rules.contract import Rule, RuleError, where_defined
from rltuner.rules.plugins import load_installed
from rltuner.rules.rule import REGISTER, Entry, prove


def find(name: str) -> Entry | None:
    """The rule of that name, None where there is none. Installed plugins are loaded when they are first needed."""
    if name not in REGISTER:
        load_installed()
    return REGISTER.get(name)


def rule_names() -> list[str]:
    """Names of all registered rules, those of installed plugins included, sorted."""
    load_installed()
    return sorted(REGISTER)


def make_rule(name: str, parameters: Mapping[str, Any] | None = None) -> Rule:
    """The rule `name` with its parameters set; those that are not given have their defaults.

    Raises InputError for an unknown rule or parameter (with the nearest known name), for a value of another
    type than the parameter's, and for a value that the rule refuses.
    """
    entry = find(name)
    if entry is None:
        raise InputError(
            f"unknown rule {name!r}; {suggest(name, rule_names())} (a rule is known once its file, module or package has "
            f"been read: name the .py file, import it, or install it){_broken_plugins()}"
        )
    prove(entry)
    definition = entry.definition
    types = parameter_types(definition)
    values: dict[str, Any] = {}
    for parameter, value in (parameters or {}).items():
        if parameter not in types:
            known = [*types, "weight"]
            raise InputError(f"rule {name!r}: unknown parameter {parameter!r}; {suggest(parameter, known)}")
        values[parameter] = _converted(name, parameter, value, types[parameter])
    try:
        made: Rule = definition(**values) if isinstance(definition, type) else definition
    except InputError as error:
        raise InputError(f"rule {name!r}: {error}") from None
    except Exception as error:
        raise RuleError(f"{where_defined(definition)}: rule {name!r} refuses {values}: {error}") from error
    return made


def _broken_plugins() -> str:
    broken = load_installed()
    return "".join(f"; the plugin {name} is broken ({reason})" for name, reason in broken.items())


def parameter_types(definition: Callable[..., Any]) -> dict[str, Any]:
    """The type of each parameter of a rule, by name; {} for a function."""
    if not isinstance(definition, type):
        return {}
    hints = get_type_hints(definition)
    return {field.name: hints[field.name] for field in dataclasses.fields(definition)}


def _converted(name: str, parameter: str, value: Any, kind: Any) -> Any:
    """The value in the parameter's type: a whole number may stand for a float, a list for a tuple."""
    if get_args(kind):
        if not isinstance(value, list | tuple):
            raise InputError(f"rule {name!r}: {parameter} = {value!r} is not a list")
        return tuple(_converted(name, parameter, one, get_args(kind)[0]) for one in value)
    if kind is float and type(value) is int and abs(value) < 1e300:
        value = float(value)
    if type(value) is not kind:
        raise InputError(f"rule {name!r}: {parameter} = {value!r} is not of type {kind.__name__}")
    if kind is float and not math.isfinite(value):
        raise InputError(f"rule {name!r}: {parameter} = {value!r} is not a finite number")
    return value


def parameters_of(rule: Rule) -> dict[str, Any]:
    """Every parameter of a made rule with its value, defaults included, as TOML and JSON hold it; {} for a function."""
    made: Any = rule  # to the type checker no Rule is a dataclass
    if not dataclasses.is_dataclass(made) or isinstance(made, type):
        return {}
    values = {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
