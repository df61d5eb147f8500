"""Rules from elsewhere: Python rule files, and installed packages with an entry point in the group `rltuner.rules`.

A rule file is code, and reading it runs it. Only a path that the user gives is read: nothing that a book, a
configuration or a run folder names.

An entry point names a module (or something in one) whose import registers rules::

    [project.entry-points."rltuner.rules"]
    blues = "rltuner_blues"
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from rltuner.errors import InputError
from rltuner.rules.contract import where_raised
from rltuner.rules.rule import REGISTER, Entry, registering

GROUP = "rltuner.rules"


@dataclass(frozen=True)
class RuleFile:
    """A Python rule file that was read."""

    path: Path
    sha256: str
    """Of its bytes."""
    rules: tuple[str, ...]
    """Names of the rules it registered, in its order."""
    book: dict[str, Any] | None
    """Its variable BOOK, a rule book as TOML would give it; None where it has none."""

    @property
    def table(self) -> dict[str, Any]:
        """The book that the file is: BOOK, or its rules, each with weight 1."""
        return self.book if self.book is not None else {"rules": {name: {} for name in self.rules}}

    @property
    def unused(self) -> list[str]:
        """Rules that BOOK does not name."""
        named = self.table.get("rules", {})
        return [name for name in self.rules if not (isinstance(named, dict) and name in named)]


# Rule files that were read, by their resolved path, each with the rules it registered.
_FILES: dict[Path, tuple[RuleFile, dict[str, Entry]]] = {}


def load_file(path: Path) -> RuleFile:
    """Runs a rule file and registers its rules. A file that was read before, and has not changed, is not run again.

    Raises InputError, naming the file and line, where it cannot be read, raises, or registers no rule.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    digest, resolved = hashlib.sha256(content).hexdigest(), path.resolve()
    known = _FILES.get(resolved)
    if known is not None and known[0].sha256 == digest:
        return known[0]
    if known is not None:  # it was changed: its old rules go
        for name, entry in known[1].items():
            if REGISTER.get(name) is entry:
                del REGISTER[name]
    load_installed()  # so that the rules of a package which the file imports stay the package's
    module = ModuleType(f"rltuner_rule_file_{digest[:12]}")
    module.__file__ = str(resolved)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    sys.path.insert(0, str(resolved.parent))  # it may import its neighbours
    try:
        with registering(str(path)) as added:
            exec(compile(content, str(resolved), "exec"), module.__dict__)
    except InputError as error:
        if path.name in str(error):
            raise
        raise InputError(f"{path}: {error}") from None
    except SyntaxError as error:
        raise InputError(f"{path}, line {error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise InputError(f"{where_raised(error)}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(resolved.parent))
    if not added:
        raise InputError(f"{path}: registers no rule; put @rule above a function of Melodies")
    book = getattr(module, "BOOK", None)
    if book is not None and not isinstance(book, dict):
        raise InputError(
            f"{path}: BOOK is a {type(book).__name__}; expected a dict such as a .toml book holds"
        )
    read = RuleFile(path, digest, tuple(added), book)
    _FILES[resolved] = (read, dict(added))
    return read


def digest_of(path: Path) -> str:
    """SHA-256 of a rule file, without running it; InputError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


@cache
def load_installed() -> dict[str, str]:
    """Imports every installed plugin, once. Returns why each broken one could not be loaded, by its package.

    A broken plugin registers nothing and hides no other.
    """
    broken = {}
    points = importlib.metadata.entry_points(group=GROUP)
    for point in sorted(points, key=lambda one: (one.dist.name if one.dist else "", one.name)):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        try:
            with registering(package, packaged=True):
                point.load()
        except (Exception, SystemExit) as error:
            broken[package] = " ".join(str(error).split()) or type(error).__name__
    return broken
