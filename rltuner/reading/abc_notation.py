"""ABC tunes to drafts: music21 reads notes, lengths, keys and tuplets, after some cleaning.

The texts are cleaned since music21 loses broken rhythms next to slurs and decorations, and bar lines and endings are
written in more ways than it knows. What becomes of the bars is in `bars`. music21 is imported when it is
first needed.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from rltuner.errors import InputError
from rltuner.melody import STEPS_PER_QUARTER
from rltuner.reading.bars import REST, Bar, Draft, Sound, UnusableError

MAX_CHARACTERS = 10_000  # the longest of 12,762 tunes has 2,439
MAX_TUNES = 20_000  # a file; the largest collections in one file have some thousand

_FIELD = re.compile(r"([A-Za-z]):(?![|:])\s*(.*)")
_INLINE = re.compile(r"\[([A-Za-z]):([^\]\[]*)\]")  # no [ inside: else a text of [ alone takes quadratic time
_TEXT = re.compile(r'"[^"]*("|$)|\{[^}]*(\}|$)|![^!|]*!|\+[^+|]*\+')  # annotations, grace notes, decorations
_BAR_LINE = re.compile(
    r"(?P<line>(?:\[\||\|\]|[|:])(?:\s*(?:\[\||\|\]|[|:]))*)\s*(?:\[?\s*(?P<after>\d[\d,.-]*))?|\[(?P<alone>\d[\d,.-]*)"
)
_METERS = re.compile(r"(?m)^\s*M:(.*)$")
_TUPLET = re.compile(r"\(\d(?::\d?){0,2}")
_TOKEN = re.compile(r"@\d+|\[[^\]|\[]*\]\d*/*\d*|[_^=]*[A-Ga-gz][,']*\d*/*\d*|-|[<>]+")
_PITCH = re.compile(r"([A-G])([#n-]*)(\d)")
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def decoded(data: bytes) -> str:
    """The text of an ABC file: UTF-8, with or without a byte order mark, or Latin-1, which old files are in."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # never fails


def split_abc(text: str) -> list[str]:
    """The tunes of an ABC file, each from its `X:` on; the whole text where there is no `X:` but a key.

    Raises InputError where there is no tune, or there are more than 20,000.
    """
    if text.count("\nX:") >= MAX_TUNES:
        raise InputError(f"it has more than {MAX_TUNES:,} tunes; split it into several files")
    tunes = [part for part in re.split(r"(?m)^(?=X:)", text) if part.startswith("X:")]
    if not tunes and not re.search(r"(?m)^K:", text):
        raise InputError("no ABC tune in it (no X: and no K: field)")
    return tunes or [text]


def read_abc(text: str, source: str) -> list[Draft]:
    """The tune of an ABC text that holds one, as a list of one draft.

    Args:
      text: as `split_abc` gives it.
      source: where it was found; goes into the draft.

    Raises UnusableError: too long, metre off the grid, several voices, metre changes, key changes, no key signature.
    Whatever music21 raises for broken text passes through.
    """
    if len(text) > MAX_CHARACTERS:
        raise UnusableError("too long")
    fields, cleaned, odd_ending = _clean_abc(text)
    if any(len(number) > 3 for line in _METERS.findall(cleaned) for number in re.findall(r"\d+", line)):
        raise UnusableError("metre off the grid")  # music21 would count every beat of 1000000000/1
    if "V" in fields and len({voice.split()[0] for voice in fields["V"] if voice}) > 1:
        raise UnusableError("several voices")
    from music21 import abcFormat

    handler = abcFormat.ABCHandler(abcVersion=(2, 1, 0))
    handler.abcDirectives["propagate-accidentals"] = "octave"  # as on the printed page: until the bar line
    handler.process(cleaned)
    bars: list[Bar] = []
    bar = Bar()
    signature: tuple[int, int] | None = None
    key: tuple[int, str] | None = None
    started = polyphonic = False
    for token in handler.tokens:
        if isinstance(token, abcFormat.ABCMetadata):
            if token.isMeter():
                new = token.getTimeSignatureParameters()
                new = new[:2] if new and not token.data.startswith("FREI") else None
                if started and new != signature:
                    raise UnusableError("metre changes")
                signature = new
            elif token.isKey():
                named = _abc_key(token)
                if started and key and named and named[0] != key[0]:
                    raise UnusableError("key changes")
                key = key if started else named
        elif isinstance(token, abcFormat.ABCNote):
            sound = _abc_sound(token, abcFormat)
            polyphonic |= isinstance(token, abcFormat.ABCChord) and len(token.subTokens) > 1
            if sound[0]:
                bar.sounds.append(sound)
                started = True
        elif isinstance(token, abcFormat.ABCBar):
            bar = _abc_bar_line(token.src.strip(), bars, bar)
    if bar.sounds:
        bars.append(bar)
    if key is None:
        raise UnusableError("no key signature")
    if odd_ending:
        for one in bars:
            one.ending = 3
    title = next((t for t in fields.get("T", ()) if t), source)
    credit = "; ".join(c for c in fields.get("Z", ()) if c)
    rhythm = next((r for r in fields.get("R", ()) if r), "")
    return [Draft(source, title, bars, signature, key[0], key[1], credit, polyphonic, rhythm=rhythm)]


def _clean_abc(text: str) -> tuple[dict[str, list[str]], str, bool]:
    """(fields by letter, ABC text that music21 reads rightly, whether there is an ending beyond the second).

    Left in: M, L and K fields, notes, chords, tuplets, ties, broken rhythms and bar lines in one spelling.
    Left out: grace notes, decorations, slurs and annotations, next to which music21 loses broken rhythms, and
    lines without a bar line after an empty line (remarks).
    """
    fields: dict[str, list[str]] = {}
    header, body, kept = ["X:1"], [], []

    def keep(text: str) -> str:
        """Puts a text into `kept`, out of reach of the cleaning; the placeholder "@N" stands for entry N."""
        kept.append(text)
        return f" @{len(kept) - 1} "

    ended = False
    for raw in text.splitlines():
        line = re.sub(r"(?<!\\)%.*", "", raw).strip()
        if match := _FIELD.match(line):
            name, value = match[1], match[2].strip().strip('"').strip()
            if name in "MLK" and value and "K" not in fields:
                header.append(f"{name}:{value}")
            elif name in "MLK" and value:
                body.append(keep(f"\n{name}:{value}\n"))
            fields.setdefault(name, []).append(value)
        elif "K" in fields and not (ended and "|" not in line):
            ended = not line
            line = _TUPLET.sub(lambda m: keep(m[0]), _TEXT.sub(" ", line))
            body.append(_INLINE.sub(lambda m: keep(f"\n{m[1]}:{m[2]}\n") if m[1] in "MLK" else " ", line))
    odd_endings: list[str] = []
    # In one piece, since a bar line and the ending that it starts can stand on two lines.
    music = _BAR_LINE.sub(lambda m: _abc_signs(m, kept, odd_endings), "\n".join(body).replace("x", "z"))
    tokens = [kept[int(token[1:])] if token[0] == "@" else token for token in _TOKEN.findall(music)]
    return fields, "\n".join(header) + "\n" + " ".join(tokens) + "\n", bool(odd_endings)


def _abc_signs(match: re.Match[str], kept: list[str], odd_endings: list[str]) -> str:
    """One spelling for a bar line, however it is written, and for the ending that it starts.

    The signs go to the end of `kept`, and their placeholders are returned; an ending beyond the second goes to
    `odd_endings`.
    """
    line = match["line"] or ""
    chunks = [chunk for chunk in line.split() if chunk != ":"]
    signs = [":|"] * any(chunk.startswith(":") for chunk in chunks)
    signs += ["|:"] * any(chunk.endswith(":") for chunk in chunks)
    if chunks and not signs:
        signs = ["||" if "||" in line or "]" in line or "[" in line else "|"]
    ending = (match["after"] or match["alone"] or "").rstrip(".,-")
    if ending in ("1", "2"):
        signs.append(f"[{ending}")
    elif ending:
        odd_endings.append(ending)
    places = range(len(kept), len(kept) + len(signs))
    kept += signs
    return "".join(f" @{place} " for place in places)


def _abc_bar_line(sign: str, bars: list[Bar], bar: Bar) -> Bar:
    """Closes the bar at a bar line and gives the next; the marks of an empty bar go to its neighbours."""
    ending = {"[1": 1, "[2": 2}.get(sign, 0)
    if bar.sounds:
        bars.append(bar)
        bar = Bar()
    if sign == ":|" and bars:
        bars[-1].ends_repeat = True
    if sign in (":|", "|:", "||") and bars:
        bars[-1].ends_section = True
    bar.begins_repeat |= sign == "|:"
    bar.ending = ending or bar.ending
    return bar


def _abc_sound(token: Any, abc: Any) -> Sound:
    """An ABC note, rest or chord (its highest note) as a sound; `abc` is the module music21.abcFormat."""
    length = Fraction(token.quarterLength).limit_denominator(1024) * STEPS_PER_QUARTER
    if token.activeTuplet is not None:
        length *= Fraction(token.activeTuplet.numberNotesNormal, token.activeTuplet.numberNotesActual)
    names = [t.pitchName for t in token.subTokens] if isinstance(token, abc.ABCChord) else [token.pitchName]
    return length, max(map(_abc_pitch, names), default=REST), token.tie in ("start", "continue")


def _abc_pitch(name: str | None) -> int:
    """MIDI pitch of a name as music21 writes it: "C#5", "E-4" (flat), "Bn4" (natural); REST for none."""
    if name is None:
        return REST
    match = _PITCH.fullmatch(name)
    if match is None:
        raise ValueError(f"pitch {name}")
    step, accidentals, octave = match.groups()
    return 12 * (int(octave) + 1) + _NATURALS[step] + accidentals.count("#") - accidentals.count("-")


def _abc_key(token: Any) -> tuple[int, str] | None:
    """Sharps and name of a K: field; None where its tonic or its mode is none that ABC knows."""
    tonic = re.match(r"[A-G][b#]?|HP|Hp", token.data)
    sharps, mode = token.getKeySignatureParameters()
    if tonic is None:
        return None
    if tonic[0] in ("HP", "Hp"):
        return sharps, f"{tonic[0]} (highland pipes)"
    return None if mode is None else (sharps, f"{tonic[0]} {mode}")
