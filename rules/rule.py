"""What a rule is, and the register of all rules by name.

A *rule* maps `Melodies` to one reward per event: float32 [B, T]. It is pure (no state, no randomness) and causal:
the reward at t depends on the events at and before t, on the melody's length and on nothing else, so that
a melody can be scored after it is composed with the same result as event by event. Padding earns 0.

A rule is a function of `Melodies`, or a frozen dataclass with `__call__(melodies)` whose fields, all with
defaults, are its parameters. `rule` registers one, `melody_rule` registers one that is written for a single melody as a
list; `rules.contract` says what is checked when it registers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from rltuner.errors import InputError
from rltuner.rules.contract import Rule, RuleError, lifted, refuse_results, refuse_unfit, where_defined
from rltuner.version import __version__

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

REGISTER: dict[str, Entry] = {}
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
    known = REGISTER.get(name)
    taken = known is not None and _origin(known.definition) != _origin(definition)
    # A rule in a file or a notebook may be written anew; one that a package brings may not be taken from it.
    if taken and known is not None and (packaged or known.is_packaged or known.source == source):
        raise InputError(
            f"{where_defined(definition)}: rule {name!r}: the name is taken by a rule of {known.source}; "
            "choose another"
        )
    REGISTER[name] = Entry(name, definition, source, packaged)
    _PROVEN.discard(name)
    return definition


def _origin(definition: Any) -> tuple[str, str]:
    """(file, qualified name) of a definition; equal where the same file defines it again."""
    return where_defined(definition), definition.__qualname__


@contextmanager
def registering(source: str, packaged: bool = False) -> Iterator[dict[str, Entry]]:
    """Rules that register inside come from `source`; all of them are forgotten where it ends with an error.

    Yields a dict that holds them, by name, once the block has ended.
    """
    before, added = dict(REGISTER), dict[str, Entry]()
    tokens = _SOURCE.set(source), _PACKAGED.set(packaged)
    try:
        yield added
        added.update((name, entry) for name, entry in REGISTER.items() if before.get(name) is not entry)
        for entry in added.values():
            prove(entry)
    except BaseException:
        REGISTER.clear()
        REGISTER.update(before)
        raise
    finally:
        _SOURCE.reset(tokens[0])
        _PACKAGED.reset(tokens[1])


def prove(entry: Entry) -> None:
    """Tries a registered rule on a few melodies, once; InputError where its results break the contract."""
    if entry.name not in _PROVEN:
        refuse_results(entry.name, entry.definition)
        _PROVEN.add(entry.name)
