"""The names of what a network can hear; `rows` says what each is."""

from __future__ import annotations

from collections.abc import Sequence

from rltuner.errors import InputError

INPUTS = ("event", "clock", "phrase", "to_go", "lookback")
"""All that `pretrain` knows, in the order of their rows."""

LOOKBACK, KEY = "magenta_lookback", "magenta_key"
"""The input vectors of Magenta's lookback_rnn and attention_rnn (`networks.melody_rnn`), which come by themselves."""


def checked_inputs(names: Sequence[str]) -> tuple[str, ...]:
    """The names in that order. InputError for a name that is none, or comes twice, or where "event" is not among them."""
    unknown = [name for name in names if name not in INPUTS]
    if unknown or len(set(names)) < len(names) or "event" not in names:
        wrong = f"unknown input {unknown[0][:40]!r}" if unknown else "each once, and event among them"
        shown = ", ".join(repr(name[:40]) for name in names[: len(INPUTS)])
        raise InputError(f"inputs = {shown}: {wrong}; there are {', '.join(INPUTS)}")
    return tuple(name for name in INPUTS if name in names)
