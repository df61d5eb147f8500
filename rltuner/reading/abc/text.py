"""ABC files as text: decoded, divided into tunes, and a tune's text into fields and signs."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from rltuner.errors import InputError

MAX_TUNES = 20_000  # a file; the largest collections in one file have some thousand
HEADER = "BCDFGHILMmNOrRSUVZ"  # fields that hold for all tunes where they stand before the first X:

_FIELD = re.compile(r"([A-Za-z]):(?![|:])\s*(.*)")
_TEXT = re.compile(
    r'"[^"]*("|$)|\{[^}]*(\}|$)|!([^!|]*)!|\+([^+|]*)\+'
)  # annotations, grace notes, decorations
_SIGNS = re.compile(
    r"@(?P<field>\d+)"
    r"|\[(?P<inline>[A-Za-z]):(?P<value>[^\]\[]*)\]"  # no [ inside: else a text of [ alone takes quadratic time
    r"|(?P<line>(?:\[\||\|\]|[|:])(?:\s*(?:\[\||\|\]|[|:]))*)\s*(?:\[?\s*(?P<after>\d[\d,.-]*))?"
    r"|\[(?P<alone>\d[\d,.-]*)"
    r"|(?P<tuplet>\(\d(?::\d?){0,2})"
    r"|(?P<chord>\[[^\]|\[]*\]\d*/*\d*)"
    r"|(?P<note>[_^=]*[A-Ga-gz][,']*\d*/*\d*)"
    r"|(?P<rests>[ZX])(?P<bars>\d*)"
    r"|(?P<tie>-)|(?P<broken>[<>]+)|(?P<overlay>&)"
)
_JUMPS = {
    "d.c.": "D.C.", "dacapo": "D.C.", "d.c.alfine": "D.C.", "d.c.alcoda": "D.C.", "d.s.": "D.S.", "dalsegno": "D.S.",
    "d.s.alfine": "D.S.", "d.s.alcoda": "D.S.", "segno": "segno", "coda": "coda", "tocoda": "to coda", "fine": "fine",
}  # fmt: skip


@dataclass(frozen=True)
class AbcTune:
    """The text of one tune, with what stands before the first X: of its file."""

    text: str
    line: int = 1
    """Line of the file that `text` would begin in, so that its notes have the lines that they have there."""
    number: str = ""
    """What X: says."""


@dataclass(frozen=True)
class Sign:
    """A sign of a tune's music: its kind, its text, and the line that it stands in."""

    kind: str
    """field, line, tuplet, chord, note, rests, tie, broken, overlay or jump."""
    text: str
    line: int
    value: str = ""
    """Of a field what it says; of a bar line the numbers of the ending that begins with it."""


@dataclass
class AbcText:
    """A tune taken apart."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    """All fields by letter, those of the header and those between the lines of music."""
    header: list[tuple[str, str]] = field(default_factory=list)
    """(letter, value) of the fields up to the first K:, in their order; with a value only."""
    signs: list[Sign] = field(default_factory=list)


def decoded(data: bytes) -> str:
    """The text of an ABC file, its lines ended by line feeds: UTF-8, with or without a byte order mark, UTF-16 with one,
    or Latin-1, which old files are in."""
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # never fails
    return text.replace("\r\n", "\n").replace("\r", "\n")


def abc_tunes(text: str) -> list[AbcTune]:
    """The tunes of an ABC file, each from its `X:` on; the whole text where there is no `X:` but a key.

    Raises InputError where there is no tune, or there are more than 20,000.
    """
    if text.count("\nX:") >= MAX_TUNES:
        raise InputError(f"it has more than {MAX_TUNES:,} tunes; split it into several files")
    starts = [match.start() for match in re.finditer(r"(?m)^X:", text)]
    if not starts:
        if not re.search(r"(?m)^K:", text):
            raise InputError("no ABC tune in it (no X: and no K: field)")
        return [AbcTune(text)]
    before = [line for line in text[: starts[0]].split("\n") if _is_header(line)]
    tunes, line = [], text.count("\n", 0, starts[0]) + 1
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        first, _, rest = text[start:end].partition("\n")
        whole = "\n".join([first, *before, rest]) if before else text[start:end]
        tunes.append(AbcTune(whole, line - len(before), first.removeprefix("X:").strip()))
        line += text.count("\n", start, end)
    return tunes


def _is_header(line: str) -> bool:
    match = _FIELD.match(line)
    return match is not None and match[1] in HEADER


def taken_apart(tune: AbcTune) -> AbcText:
    """The fields of a tune and the signs of its music.

    Left out are grace notes, decorations, slurs, annotations, and lines without a bar line after an empty line
    (remarks). A comment ends its line.
    """
    result = AbcText()
    body: list[str] = []
    lines: list[int] = []  # of the file, of each text in body
    kept: list[tuple[str, str]] = []
    in_body = ended = False
    for number, raw in enumerate(tune.text.splitlines(), tune.line):
        line = re.sub(r"(?<!\\)%.*", "", raw).strip()
        if match := _FIELD.match(line):
            name, value = match[1], match[2].strip().strip('"').strip()
            result.fields.setdefault(name, []).append(value)
            if not in_body and (value or name == "K"):
                result.header.append((name, value))
            elif in_body and name in "MLKV" and value:
                kept.append((name, value))
                body.append(f" @{len(kept) - 1} ")
                lines.append(number)
            in_body |= name == "K"
        elif in_body and not (ended and "|" not in line):
            ended = not line
            body.append(_TEXT.sub(lambda m: _decoration(m, kept), line).replace("x", "z"))
            lines.append(number)
    music = "\n".join(body)
    result.signs += _signs(music, kept, lines)
    return result


def _decoration(match: re.Match[str], kept: list[tuple[str, str]]) -> str:
    """What is left of an annotation, grace notes or a decoration: nothing, but for D.C. and its like."""
    name = re.sub(r"\s", "", match[3] or match[4] or "").lower()
    if name not in _JUMPS:
        return " "
    kept.append(("jump", _JUMPS[name]))
    return f" @{len(kept) - 1} "


def _signs(music: str, kept: list[tuple[str, str]], lines: list[int]) -> Iterator[Sign]:
    # In one piece, since a bar line and the ending that it starts can stand on two lines.
    starts = [0]
    starts += (match.end() for match in re.finditer("\n", music))
    for match in _SIGNS.finditer(music):
        line = lines[bisect_right(starts, match.start()) - 1]
        kind = match.lastgroup or ""
        if match["field"] is not None:
            name, value = kept[int(match["field"])] if int(match["field"]) < len(kept) else ("", "")
            yield Sign("jump", value, line) if name == "jump" else Sign("field", name, line, value)
        elif match["inline"] is not None:
            yield Sign("field", match["inline"], line, match["value"].strip())
        elif match["line"] is not None or match["alone"] is not None:
            ending = (match["after"] or match["alone"] or "").rstrip(".,-")
            yield Sign("line", match["line"] or "", line, ending)
        elif match["rests"] is not None:
            yield Sign("rests", match["rests"], line, match["bars"])
        else:
            yield Sign(kind, match[kind], line)
