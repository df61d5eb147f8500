"""study.toml: a plan as TOML, field by field."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from rltuner.errors import InputError
from rltuner.study.plan import Plan

FORMAT = 1
COMMENTS = {
    "exclusions": "Which listeners do not count. Every report states it first, in words.",
    "allowed_misses": "A listener who misses more catch trials than this, of both kinds together, is excluded. A pair "
    "with\nrandom notes is missed by not preferring the human tune.",
    "identical_tolerance": "An identical pair is missed by an answer further than this from the middle: 0 lets only the "
    'third\nanswer pass ("No difference"), 1 the ones beside it too, 2 every one.',
    "least_share": "Share of the trials, catch trials included, that a listener must have answered: 1.0 all, 0.0 none.",
    "one_per_id": "Of several complete sessions with one recruiting id (?id=...) only the first counts.",
    "catch_question": "Id of the question whose answer decides whether a catch trial is missed; empty: the first.",
}


def read_plan(file: Path) -> Plan:
    """The plan in a TOML file; what is missing has its default.

    Raises InputError, naming the file and the field, for broken TOML, an unknown field, a wrong type or a value out of
    range.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not a TOML file ({error})") from None
    if table.pop("format", FORMAT) != FORMAT:
        raise InputError(f"{file}: of another format than {FORMAT}; make the study with this version")
    try:
        plan = _from_table(Plan, table, "")
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    assert isinstance(plan, Plan)
    return plan


def _from_table(kind: type, table: Any, where: str) -> Any:
    """A dataclass from a TOML table, field by field."""
    if not isinstance(table, dict):
        raise InputError(f"{where or 'it'} must be a table")
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in table.items():
        here = f"{where}.{name}" if where else name
        if name not in hints:
            near = difflib.get_close_matches(name, list(hints), n=1)
            raise InputError(
                f"unknown field {here!r}; " + (f"did you mean {near[0]!r}?" if near else "remove it")
            )
        values[name] = _value(hints[name], value, here)
    for part in dataclasses.fields(kind):
        required = part.default is dataclasses.MISSING and part.default_factory is dataclasses.MISSING
        if required and part.name not in values:
            raise InputError(f"{where}: {part.name} is missing")
    return kind(**values)


def _value(hint: Any, value: Any, here: str) -> Any:
    """A TOML value as a field of type `hint` holds it; InputError, naming the field `here`, where it does not fit."""
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise InputError(f"{here} must be a list")
        return tuple(_value(get_args(hint)[0], entry, f"{here}[{i}]") for i, entry in enumerate(value))
    if get_origin(hint) in (Union, types.UnionType):
        raise AssertionError(here)  # no field is a union
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return _from_table(hint, value, here)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise InputError(f"{here} = {value!r} must be of type {hint.__name__}")
    return value


def plan_toml(plan: Plan) -> str:
    """The plan as TOML; `read_plan` gives it back."""
    lines = [
        "# A listening study of rltuner. Texts, questions and exclusions can be changed until the study starts.",
        "# From its first start with `rltuner study serve` on, a change of this file stops the study until",
        "# it is put back.",
        "# What [design] says of sources, items, catch, seconds and qpm is what the clips were made for.",
        f"format = {FORMAT}",
    ]
    if not plan.listener_questions:
        lines.append("listener_questions = []")
    for name in ("design", "exclusions", "texts"):
        lines += ["", *_comment(name), f"[{name}]", *_fields(getattr(plan, name))]
    for name in ("questions", "listener_questions"):
        for entry in getattr(plan, name):
            lines += ["", f"[[{name}]]", *_fields(entry)]
    return "\n".join(lines) + "\n"


def _fields(part: Any) -> list[str]:
    lines = []
    for entry in dataclasses.fields(part):
        lines += [*_comment(entry.name), f"{entry.name} = {_toml(getattr(part, entry.name))}"]
    return lines


def _comment(name: str) -> list[str]:
    return [f"# {line}" for line in COMMENTS.get(name, "").splitlines()]


def _toml(value: Any) -> str:
    """A TOML value. JSON's strings, numbers, booleans and lists are TOML's; long texts get lines of their own."""
    if isinstance(value, str) and "\n" in value:
        body = json.dumps(value, ensure_ascii=False)[1:-1].replace("\\n", "\n")
        return f'"""\n{body}"""'
    return json.dumps(value, ensure_ascii=False)
