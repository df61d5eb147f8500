"""The one exception that means "the user can mend this", and the remedy for a name that is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any


class InputError(ValueError):
    """What was supplied (a file, a name, an option) cannot be used.

    The message is one line: it names the thing, the offending value and the remedy. The command line prints
    it without a traceback and exits with code 2; everything else that is raised is a defect of ours.
    """


def suggest(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """A remedy for an unknown name: the nearest known one, or all of them."""
    near = difflib.get_close_matches(name, list(known), n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(sorted(known))}" if known else "there are none to choose from"
