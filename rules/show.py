"""What `rltuner rules list`, `show` and `check` print."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from rltuner.console import output_console, say
from rltuner.errors import InputError, suggest
from rltuner.rules.book import RuleBook, book_names, load_rulebook
from rltuner.rules.check import CHECKS, examine
from rltuner.rules.held_out import HELD_OUT
from rltuner.rules.making import find, make_rule, parameter_types, parameters_of, rule_names
from rltuner.rules.plugins import load_file, load_installed
from rltuner.rules.rule import Entry


def list_rules() -> None:
    """Prints every rule with where it comes from, the shipped books, and the plugins that could not be loaded."""
    books = {name: load_rulebook(name) for name in book_names()}
    table = _table("rule", "from", "in book", "definition")
    for name in rule_names():
        entry = _known(name)
        held = ["held out"] if name in HELD_OUT else []
        used = [title for title, book in books.items() if name in book.rules]
        table.add_row(name, escape(entry.source), ", ".join(used + held) or "–", escape(_sentence(entry)))
    output_console.print(table)
    for book in books.values():
        output_console.print(f"book {book.name}: {book.description}", markup=False)
    for package, reason in load_installed().items():
        say(f"plugin {package} cannot be loaded: {reason}")


def show(name_or_path: str) -> None:
    """Prints a rule, or a book with its rules. Raises InputError where there is neither."""
    is_file = name_or_path.endswith((".toml", ".py"))
    entry = None if is_file or name_or_path in book_names() else find(name_or_path)
    if entry is not None:
        show_rule(entry)
    elif is_file or name_or_path in book_names():
        show_book(load_rulebook(name_or_path))
    else:
        raise _unknown(name_or_path)


def show_rule(entry: Entry) -> None:
    """A rule's definition, parameters with units and defaults, reference and package."""
    output_console.print(f"{entry.name}   from {entry.source}\n", markup=False)
    output_console.print(_quoted(inspect.getdoc(entry.definition) or "(no docstring)"), markup=False)
    defaults = parameters_of(make_rule(entry.name))
    if not defaults:
        output_console.print("\nno parameters", markup=False)
        return
    meanings, types = field_docs(entry.definition), parameter_types(entry.definition)
    table = _table("parameter", "default", "type", "meaning")
    for name, value in defaults.items():
        kind = types[name]
        table.add_row(
            name,
            escape(str(value)),
            str(kind) if get_args(kind) else kind.__name__,
            escape(meanings.get(name, "")),
        )
    output_console.print()
    output_console.print(table)


def show_book(book: RuleBook) -> None:
    """A book's rules with their weights, parameters and first sentence of definition."""
    meter = f", {book.meter}" if book.meter is not None else ""
    table = _table("rule", "weight", "parameters", "definition")
    title = ": ".join(filter(None, (book.name, book.description)))
    table.title = escape(f"{title} (key {book.key}{meter}; SHA-256 {book.digest[:16]})")
    table.title_justify = "left"
    for name in book.rules:
        entry = book.table["rules"][name]
        parameters = ", ".join(f"{key} = {value}" for key, value in entry.items() if key != "weight")
        table.add_row(name, f"{book.weights[name]:g}", escape(parameters), escape(_sentence(_known(name))))
    output_console.print(table)


def check(name_or_path: str) -> None:
    """Runs every check on the rules of a file, a book, or on one rule; prints the outcome.

    Raises InputError where a rule fails.
    """
    rules = _rules_of(name_or_path)
    typical = _built_in_cost()
    table = _table("rule", *CHECKS, "µs an event", "beside the built-ins")
    failures: dict[str, str] = {}
    for name, rule in rules.items():
        findings = examine(name, rule)
        failures |= {f"{name}: {check}": reason for check, reason in findings.failures.items()}
        marks = ["no" if check in findings.failures else "yes" for check in CHECKS]
        if marks[0] == "no":
            marks[1:] = "–" * (len(CHECKS) - 1)  # nothing else can be asked of results that are unfit
        table.add_row(
            name, *marks, f"{findings.microseconds:.2f}", f"{findings.microseconds / typical:.1f} x"
        )
    output_console.print(table)
    for reason in dict.fromkeys(failures.values()):
        say(reason)
    if failures:
        broken = {failure.partition(":")[0] for failure in failures}
        raise InputError(
            f"{name_or_path}: {len(broken)} of {len(rules)} rules break the contract: {', '.join(sorted(broken))}"
        )
    output_console.print(
        f"{name_or_path}: {len(rules)} rule{'s keep' if len(rules) > 1 else ' keeps'} the contract; the built-in rules "
        f"take {typical:.2f} µs an event each (median)",
        markup=False,
    )


def _rules_of(name_or_path: str) -> dict[str, Any]:
    """One rule, the rules of a book, or all of a Python file: also those that its BOOK leaves out."""
    is_file = name_or_path.endswith((".toml", ".py"))
    if not is_file and name_or_path not in book_names():
        if find(name_or_path) is None:
            raise _unknown(name_or_path)
        return {name_or_path: make_rule(name_or_path)}
    rules = dict(load_rulebook(name_or_path).rules)
    if name_or_path.endswith(".py"):
        rules |= {name: make_rule(name) for name in load_file(Path(name_or_path)).unused}
    return rules


def _unknown(name: str) -> InputError:
    hint = suggest(name, [*book_names(), *rule_names()])
    return InputError(
        f"no rule or book is called {name!r}; {hint}. For a rule of your own name its file, FILE.py"
    )


def _built_in_cost() -> float:
    from rltuner.rules.check import cost

    costs = sorted(cost(name, rule) for name, rule in load_rulebook("magenta").rules.items())
    return costs[len(costs) // 2]


def field_docs(definition: Any) -> dict[str, str]:
    """The string under each field of a dataclass, its meaning and unit, by name; {} where there is no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(definition)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
    found = {}
    for field, text in pairwise(body):
        is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            found[field.target.id] = " ".join(str(text.value.value).split())  # type: ignore[attr-defined]
    return found


def _known(name: str) -> Entry:
    entry = find(name)
    assert entry is not None
    return entry


def _sentence(entry: Entry) -> str:
    """The first paragraph of the definition, on one line."""
    return " ".join(_quoted(inspect.getdoc(entry.definition) or "").split("\n\n")[0].split())


def _quoted(docstring: str) -> str:
    """With the quotes of a terminal instead of the docstring's."""
    return re.sub("`+", "'", docstring)


def _table(*columns: str) -> Table:
    table = Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.columns[0].no_wrap = True
    return table
