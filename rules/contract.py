"""The contract of a rule, and what is refused when a rule registers or misbehaves.

Checked when a rule registers: its signature (one argument, the melodies) and its parameters (fields of a frozen
dataclass, all with defaults, of plain types). Checked when its file or package has been read to the end, so that it may
use what is defined below it: what it returns for a few melodies, a float32 tensor [B, T]. What takes longer
(causality, padding, the batch, determinism) is `rules.check`'s.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import os
from collections.abc import Callable
from typing import Any, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody import Melodies

PLAIN_TYPES = (bool, int, float, str)


class RuleError(InputError):
    """A rule that breaks its contract; the message names the rule, and the file where it is known."""


@runtime_checkable
class Rule(Protocol):
    """Melodies -> reward of each event, float32 [B, T]."""

    def __call__(self, melodies: Melodies, /) -> Tensor: ...


def rewards_of(name: str, rule: Rule, melodies: Melodies) -> Tensor:
    """What the rule gives each event, float32 [B, T].

    Raises RuleError, naming the rule, where it raises, or returns another type, dtype or shape, or a reward that is not
    a finite number.
    """
    try:
        rewards: Any = rule(melodies)
    except RuleError:
        raise
    except (Exception, SystemExit) as error:
        raise RuleError(
            f"{where_raised(error)}: rule {name!r} raised {type(error).__name__}: {' '.join(str(error).split())} "
            f"(for {melodies!r})"
        ) from error
    expected = tuple(melodies.events.shape)
    where = f"{where_defined(rule)}: rule {name!r}"
    if not isinstance(rewards, Tensor):
        raise RuleError(
            f"{where} returned a {type(rewards).__name__}; expected a float32 tensor {list(expected)}"
        )
    if tuple(rewards.shape) != expected:
        raise RuleError(f"{where} returned shape {list(rewards.shape)}; expected [B, T] = {list(expected)}")
    if rewards.dtype != torch.float32:
        raise RuleError(f"{where} returned {rewards.dtype}; expected torch.float32 (call .float() on it)")
    if not bool(torch.isfinite(rewards).all()):
        melody, event = (~torch.isfinite(rewards)).nonzero()[0].tolist()
        raise RuleError(
            f"{where} gave {float(rewards[melody, event])} for event {event} of "
            f"{melodies.events[melody, : event + 1].tolist()}; a reward must be a finite number"
        )
    return rewards


def refuse_unfit(name: str, definition: Any) -> None:
    """RuleError, naming the file, the rule and the argument, where a definition breaks the contract (see above)."""
    where = f"{where_defined(definition)}: rule {name!r}"
    if not callable(definition):
        raise RuleError(f"{where}: a rule is a function or a frozen dataclass, not {definition!r}")
    if isinstance(definition, type):
        _refuse_fields(where, definition)
    if not getattr(definition, "_takes_lists", False):
        _refuse_signature(where, definition, Melodies, Tensor)


def refuse_results(name: str, definition: Any) -> None:
    """RuleError where the rule, with its defaults, cannot be made or does not score a few melodies as it should."""
    made = definition
    if isinstance(definition, type):
        try:
            made = definition()
        except Exception as error:
            where = f"{where_defined(definition)}: rule {name!r}"
            raise RuleError(f"{where}: cannot be made with its defaults ({error})") from error
    rewards_of(name, made, Melodies(torch.arange(24).reshape(2, 12) % 7 * 3 % 19, [12, 5]))


def _refuse_fields(where: str, definition: type) -> None:
    """RuleError unless a class is a frozen dataclass with fields of plain types, each with a default of its type."""
    parameters: Any = getattr(definition, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen or "__call__" not in dir(definition):
        raise RuleError(
            f"{where}: a class is a rule where it is a frozen dataclass with __call__(self, melodies); "
            "put @rule above @dataclass(frozen=True)"
        )
    hints = _hints(definition)
    for field in dataclasses.fields(definition):
        kind = hints.get(field.name)
        if field.name == "weight":
            raise RuleError(f"{where}: parameter 'weight': the name is the book's; choose another")
        items = get_args(kind) if get_origin(kind) is tuple else ()
        if kind not in PLAIN_TYPES and not (
            len(items) == 2 and items[0] in PLAIN_TYPES and items[1] is Ellipsis
        ):
            raise RuleError(
                f"{where}: parameter {field.name!r} is a {field.type}; use bool, int, float, str or a tuple[..., ...] "
                "of one of them"
            )
        if field.default is dataclasses.MISSING:
            raise RuleError(f"{where}: parameter {field.name!r} has no default")
        values = field.default if items and isinstance(field.default, tuple) else (field.default,)
        one = items[0] if items else kind
        is_tuple = isinstance(field.default, tuple) or not items
        if not is_tuple or any(type(v) is not one and (one, type(v)) != (float, int) for v in values):
            raise RuleError(f"{where}: parameter {field.name!r} = {field.default!r} is not a {field.type}")
        if any(isinstance(v, float) and not math.isfinite(v) for v in values):
            raise RuleError(f"{where}: parameter {field.name!r} = {field.default!r} is not a finite number")


def _refuse_signature(where: str, definition: Any, argument: Any, result: Any) -> None:
    """RuleError unless it takes exactly one argument, of the right type where it is annotated."""
    is_class = isinstance(definition, type)
    function: Any = definition.__call__ if is_class else definition
    try:
        parameters = list(inspect.signature(function, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):
        return  # compiled: what it returns is checked all the same
    if is_class:
        parameters = parameters[1:]  # self
    expected = getattr(argument, "__name__", str(argument)) if isinstance(argument, type) else str(argument)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if parameters and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
        return  # a decorator's: `refuse_results` decides
    if not parameters or parameters[0].kind not in positional:
        raise RuleError(f"{where}: takes no argument; expected one, {expected}")
    if len(parameters) > 1:
        raise RuleError(
            f"{where}: argument {parameters[1].name!r}: a rule takes one argument, {expected}; one with "
            "parameters is a frozen dataclass"
        )
    hints = _hints(function)
    given = hints.get(parameters[0].name, argument)
    if given not in (argument, Any):
        raise RuleError(f"{where}: argument {parameters[0].name!r} is a {_shown(given)}; expected {expected}")
    returned = hints.get("return", result)
    if returned not in (result, Any):
        raise RuleError(f"{where}: returns a {_shown(returned)}; expected {_shown(result)}")


def _shown(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)


def _hints(thing: Any) -> dict[str, Any]:
    try:
        return get_type_hints(thing)
    except Exception:  # an annotation that cannot be resolved says nothing: results decide
        return {}


def lifted(name: str, definition: Any) -> Any:
    """Turns a rule of one melody, list[int] -> list[float], into a rule of `Melodies`; see `rules.rule.melody_rule`.

    Raises RuleError where its signature or its fields break the contract.
    """
    where = f"{where_defined(definition)}: rule {name!r}"
    if isinstance(definition, type):
        _refuse_fields(where, definition)
        _refuse_signature(where, definition, list[int], list[float])

        class Lifted(definition):  # type: ignore[misc]
            _takes_lists = True

            def __call__(self, melodies: Melodies) -> Tensor:
                return _melody_by_melody(where, super().__call__, melodies)

        for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(Lifted, attribute, getattr(definition, attribute))
        return Lifted

    _refuse_signature(where, definition, list[int], list[float])

    @functools.wraps(definition)
    def each(melodies: Melodies) -> Tensor:
        return _melody_by_melody(where, definition, melodies)

    each._takes_lists = True  # type: ignore[attr-defined]
    return each


def _melody_by_melody(where: str, function: Callable[[list[int]], list[float]], melodies: Melodies) -> Tensor:
    """Rewards of each melody by itself, float32 [B, T]; RuleError unless each is a list of as many finite numbers."""
    rewards = torch.zeros(melodies.events.shape)
    for row, length in enumerate(melodies.lengths.tolist()):
        events = melodies.events[row, :length].tolist()
        given = function(list(events))
        if not isinstance(given, list | tuple) or len(given) != length:
            size = f"{len(given)} rewards" if isinstance(given, list | tuple) else f"a {type(given).__name__}"
            raise RuleError(f"{where} returned {size} for {length} events; expected a list of {length}")
        for event, one in enumerate(given):
            if isinstance(one, bool) or not isinstance(one, int | float) or not math.isfinite(one):
                raise RuleError(f"{where} gave {one!r} for event {event} of {events}; expected a number")
        rewards[row, :length] = torch.tensor(given, dtype=torch.float32)
    return rewards.to(melodies.events.device)


def where_defined(definition: Any) -> str:
    """The file that a rule is written in; its module where there is none."""
    thing = definition if isinstance(definition, type) or inspect.isroutine(definition) else type(definition)
    try:
        path = inspect.getfile(inspect.unwrap(thing))
    except (TypeError, OSError):
        return str(getattr(thing, "__module__", "a rule"))
    return _short(path)


def where_raised(error: BaseException) -> str:
    """File and line of the innermost frame."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{_short(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno}" if trace else "a rule"


def _short(path: str) -> str:
    """The path as a person would write it: relative to the working folder where it lies inside."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
