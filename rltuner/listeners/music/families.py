"""Families of tunes, which stand for genres: jig, reel, hornpipe, ...

A tune's family is what its `R:` field says, else a word of its title, else "untyped" with its metre.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rltuner.errors import InputError, suggest
from rltuner.melody.tunes import Tune

# In this order: a slip jig is not a jig, and a reel may be called a strathspey too.
WORDS: dict[str, str] = {
    "slip jig": r"slip ?jigs?|hop ?jigs?",
    "hornpipe": r"hornpipes?",
    "strathspey": r"strathspeys?",
    "reel": r"reels?",
    "jig": r"jigs?",
    "waltz": r"waltz(?:es)?|valse",
    "march": r"march(?:es)?|quick ?step",
    "polka": r"polkas?",
    "fling": r"flings?",
    "clog": r"clogs?",
    "schottische": r"schottis(?:ch|che|h)",
    "air": r"airs?",
    "lament": r"laments?|lamentation",
    "planxty": r"planxt(?:y|ies)",
}
_PATTERNS = {family: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for family, words in WORDS.items()}
LONGEST = 40  # characters of a family that only its `R:` names


def family(tune: Tune) -> str:
    """The family of a tune; see above. An `R:` that is none of the known kinds is its own family, in lower case."""
    if tune.rhythm.strip():
        return _found(tune.rhythm) or " ".join(tune.rhythm.lower().split())[:LONGEST]
    return _found(tune.title) or f"untyped {tune.meter}"


def _found(text: str) -> str | None:
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(text)), None)


def transcriber(tune: Tune) -> str:
    """Who transcribed it, as its `Z:` names them, without address, year and program; "unnamed" where nobody is."""
    text = re.sub(
        r"(?i)^(?:transcribed|contributed|converted)\s*(?:to abc)?\s*by\s+|^\d{4}\s+by\s+",
        "",
        tune.credit.strip(),
    )
    name = re.split(r"[,;<(\n]|\s+\S*@\S*|\s{2,}", text)[0].strip(" .:-")
    if "@" in name:
        name = name.split("@")[0].strip(" .:-")
    return " ".join(name.split())[:LONGEST] or "unnamed"


def known_family(name: str, families: Sequence[str]) -> str:
    """The family as the catalogue spells it. InputError, with the nearest name, where it has none of that name."""
    wanted = " ".join(name.lower().split())
    found = {one.lower(): one for one in families}
    if wanted not in found:
        raise InputError(f"unknown family {name[:LONGEST]!r}; {suggest(wanted, sorted(set(found)))}")
    return found[wanted]
