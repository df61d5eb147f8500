"""What a rule is, and the register of all rules by name.

A *rule* maps `Melodies` to one reward per event: float32 [B, T]. It is pure (no state, no randomness) and causal:
the reward at t depends on the events at and before t, on the melody's length and on nothing else, so that
a melody can be scored after it is composed with the same result as event by event. Padding earns 0.

A rule is a function of `Melodies`, or a frozen dataclass with `__call__(melodies)` whose fields, all with
defaults, are its parameters. `rule` registers one, `melody_rule` registers one that is written for a single melody as a
list; `rules.contract` says what is checked when it registers.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_type_hints, overload

from rltuner import __version__
from rltuner.errors import InputError
from rltuner.rules.contract import Rule, RuleError, lifted, refuse_results, refuse_unfit, where_defined

TOTAL = "total"  # what a book calls the sum of its rules
R = TypeVar("R", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """A registered rule."""

    name: str
    definition: Callable[..., Any]
    """The rule function, or the dataclass whose instances are rules."""
    source: str
    """Package and version, or the file, that it came from."""
    is_packaged: bool
    """Whether an installed package brings it, and not a file or a session."""

    @property
    def is_shipped(self) -> bool:
        """Whether rltuner itself brings it."""
        return self.source == OWN


OWN = f"rltuner {__version__}"

_REGISTER: dict[str, Entry] = {}
_PROVEN: set[str] = set()  # names of rules whose results were looked at
# Set while a plugin is loaded: where its rules come from, and whether that is an installed package.
_SOURCE: ContextVar[str] = ContextVar("_SOURCE", default="")
_PACKAGED: ContextVar[bool] = ContextVar("_PACKAGED", default=False)


@overload
def rule(name: str) -> Callable[[R], R]: ...
@overload
def rule(name: R) -> R: ...
def rule(name: str | R) -> Callable[[R], R] | R:
    """Registers a function or a frozen dataclass as a rule: `@rule("leap")`, or `@rule` to take its own name.

    Raises InputError, naming the file, the rule and the argument, where the definition breaks the contract (see
    `rules.contract.refuse_unfit`), where another rule has the name, or where the name is "total".
    """
    if isinstance(name, str):
        return lambda definition: _register(name, definition)
    return _register(getattr(name, "__name__", ""), name)


@overload
def melody_rule(name: str) -> Callable[[R], Rule]: ...
@overload
def melody_rule(name: R) -> Rule: ...
def melody_rule(name: str | R) -> Callable[[R], Any] | Any:
    """Registers a rule that is written for one melody: a function list[int] -> list[float] of all its events.

    The events are classes: 0 a rest, 1 a hold, c >= 2 the onset of MIDI pitch c - 2 + vocabulary.min_pitch (c + 46 in
    the default vocabulary). A frozen dataclass whose `__call__` takes such a list has parameters. It becomes a rule of
    `Melodies`, which this returns.

    Slow: Python runs for every event, 10 to 30 times slower than a rule of whole batches. Try an idea with it; where
    it stays, write it with tensors. Raises InputError as `rule` does.
    """
    if isinstance(name, str):
        return lambda definition: _register(name, lifted(name, definition))
    return _register(name.__name__, lifted(name.__name__, name))


def _register(name: str, definition: R) -> R:
    if not callable(definition):
        raise RuleError(
            f"a rule is a function or a frozen dataclass, not {definition!r}; put @rule above one"
        )
    if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii():
        raise RuleError(f"{where_defined(definition)}: rule {name!r}: letters, digits, _ and - make a name")
    if name == TOTAL:
        raise InputError(f"rule {name!r}: the name stands for the sum of all rules; choose another")
    refuse_unfit(name, definition)
    own = str(definition.__module__).partition(".")[0] == "rltuner"
    source = _SOURCE.get() or (OWN if own else where_defined(definition))
    packaged = own or _PACKAGED.get()
    known = _REGISTER.get(name)
    taken = known is not None and _origin(known.definition) != _origin(definition)
    # A rule in a file or a notebook may be written anew; one that a package brings may not be taken from it.
    if taken and known is not None and (packaged or known.is_packaged or known.source == source):
        raise InputError(
            f"{where_defined(definition)}: rule {name!r}: the name is taken by a rule of {known.source}; "
            "choose another"
        )
    _REGISTER[name] = Entry(name, definition, source, packaged)
    _PROVEN.discard(name)
    return definition


def _origin(definition: Any) -> tuple[str, str]:
    return where_defined(definition), definition.__qualname__


@contextmanager
def registering(source: str, packaged: bool = False) -> Iterator[dict[str, Entry]]:
    """Rules that register inside come from `source`; all of them are forgotten where it ends with an error.

    Yields a dict that holds them, by name, once the block has ended.
    """
    before, added = dict(_REGISTER), dict[str, Entry]()
    tokens = _SOURCE.set(source), _PACKAGED.set(packaged)
    try:
        yield added
        added.update((name, entry) for name, entry in _REGISTER.items() if before.get(name) is not entry)
        for entry in added.values():
            _prove(entry)
    except BaseException:
        _REGISTER.clear()
        _REGISTER.update(before)
        raise
    finally:
        _SOURCE.reset(tokens[0])
        _PACKAGED.reset(tokens[1])


def _prove(entry: Entry) -> None:
    if entry.name not in _PROVEN:
        refuse_results(entry.name, entry.definition)
        _PROVEN.add(entry.name)


def find(name: str) -> Entry | None:
    """The rule of that name, None where there is none. Installed plugins are loaded when they are first needed."""
    if name not in _REGISTER:
        from rltuner.rules.plugins import load_installed

        load_installed()
    return _REGISTER.get(name)


def rule_names() -> list[str]:
    """Names of all registered rules, those of installed plugins included, sorted."""
    from rltuner.rules.plugins import load_installed

    load_installed()
    return sorted(_REGISTER)


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
    _prove(entry)
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
    from rltuner.rules.plugins import load_installed

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


def suggest(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """A remedy for an unknown name: the nearest known one, or all of them."""
    near = difflib.get_close_matches(name, list(known), n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(sorted(known))}" if known else "there are none to choose from"
