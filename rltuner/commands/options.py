"""How `tyro` reads and shows options: a value that may be left out is shown as what it is, not as "{None}|PATH"."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

Command = Callable[[], object]
"""What the words of a command line ask for, ready to run."""
SETTINGS = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName)
REGISTRY = ConstructorRegistry()


@REGISTRY.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """X | None as X. The word None still stands for None."""
    kinds = [kind for kind in get_args(info.type) if kind is not NoneType]
    if info.type_origin not in (Union, UnionType) or len(kinds) != 1:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kinds[0], info.markers))
    if not isinstance(spec, PrimitiveConstructorSpec) or spec.nargs != 1:
        return None
    return dataclasses.replace(
        spec,
        instance_from_str=lambda words: None if words == ["None"] else spec.instance_from_str(words),
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["None"] if value is None else spec.str_from_instance(value),
    )


def given(words: Sequence[str], *flags: str) -> dict[str, str]:
    """The value of each of `flags` that is given on a command line, read before the line is parsed; by flag."""
    found = {}
    for word, following in zip(words, [*words[1:], ""], strict=False):
        for flag in flags:
            if word == flag:
                found[flag] = following
            elif word.startswith(f"{flag}="):
                found[flag] = word.partition("=")[2]
    return found
