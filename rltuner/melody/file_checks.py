"""Limits on MIDI and MusicXML files, checked before a parser takes time and memory for what they claim to hold.

The parsers are not ours. Some take memory for every tick of a file, every beat of a bar or every copy of an entity; what
they would choke on is refused here, by a look at the file's own structure that takes no more memory than the file.
What is merely broken is left to them, since they know best what they can read.
"""

from __future__ import annotations

import html
import os
import re
import zipfile
from typing import Any
from xml.parsers import expat

from rltuner.errors import InputError
from rltuner.melody.grid import MAX_TICK, STEPS_PER_QUARTER
from rltuner.melody.midi_events import EndlessNumberError, chunks, track_events, unwrapped

MAX_MIDI_BYTES = 1_000_000
MAX_MIDI_EVENTS = 100_000
MAX_STEPS = 100_000  # sixteenths, 6250 bars: no melody is that long
MAX_XML_BYTES = 10_000_000  # unpacked
MAX_XML_DEPTH = 64
MAX_XML_ELEMENTS = 300_000
MAX_XML_NOTES = 10_000
MAX_MEMBERS = 100  # of a packed file
CONTAINER = "META-INF/container.xml"
MAX_TERMS = 16  # of a sum of beats
# Most digits of the numbers that music21 counts to.
MAX_DIGITS = {"beats": 3, "beat-type": 3, "divisions": 6, "duration": 7, "actual-notes": 3, "normal-notes": 3}


def check_midi(path: str | os.PathLike[str]) -> bytes:
    """Raises InputError, naming the file, where a MIDI file exceeds what any melody needs; else returns its bytes.

    What a file is wrapped in (RIFF) is taken off. Refused are: no MIDI header; more than 1 MB, 100,000 events, 1e7 ticks
    or 100,000 sixteenths; no ticks a quarter, or ticks that are parts of a second (SMPTE); a tempo of 0 microseconds a
    quarter; a number of more than 4 bytes.
    """
    size = os.path.getsize(path)
    if size > MAX_MIDI_BYTES:
        raise _not_midi(path, f"it has {size:,} bytes, more than {MAX_MIDI_BYTES:,}")
    with open(path, "rb") as file:
        data = unwrapped(file.read(MAX_MIDI_BYTES + 1))
    if data[:4] != b"MThd" or len(data) < 14:
        raise _not_midi(path, "it does not begin with a MIDI header")
    division = int.from_bytes(data[12:14], "big")
    if not 0 < division < 0x8000:
        raise _not_midi(path, "its ticks are not parts of a quarter note")
    events = 0
    try:
        for kind, content, _ in chunks(data):
            tick = 0
            for event in track_events(content) if kind == b"MTrk" else ():
                tick, events = tick + event.wait, events + 1
                if events > MAX_MIDI_EVENTS:
                    raise _not_midi(path, f"it has more than {MAX_MIDI_EVENTS:,} events")
                if event.status == 0xFF and event.kind == 0x51 and event.data and not any(event.data):
                    raise _not_midi(path, "a tempo of 0 microseconds a quarter note")
            if tick > MAX_TICK:
                raise _not_midi(path, f"its largest tick, {tick:,}, is over {MAX_TICK:,.0f}")
            if tick * STEPS_PER_QUARTER / division > MAX_STEPS:
                raise _not_midi(path, f"it lasts longer than {MAX_STEPS:,} sixteenths")
    except EndlessNumberError:
        raise _not_midi(path, "a number of more than 4 bytes") from None
    return data


def _not_midi(path: object, reason: str) -> InputError:
    return InputError(f"{path}: not a readable MIDI file ({reason})")


def check_musicxml(path: str | os.PathLike[str]) -> bytes:
    """The XML of a score, packed or not, whatever the file is called.

    Raises InputError, naming the file, where it is no well-formed XML, or larger or deeper than any melody. Refused are:
    more than 10 MB (unpacked), 300,000 elements, 10,000 notes or 64 levels; entities of its own; numbers of beats,
    divisions and durations that no music has. A bare & and what stands around the score are mended.
    """
    if os.path.getsize(path) > MAX_XML_BYTES:
        raise InputError(f"{path}: it has more than {MAX_XML_BYTES:,} bytes")
    with open(path, "rb") as file:
        content = file.read(MAX_XML_BYTES + 1)
    if content[:2] == b"PK":
        content = _unpacked(path)
    elif os.fspath(path).lower().endswith(".mxl") and content.lstrip(_BOM + b" \t\r\n")[:1] != b"<":
        raise InputError(f"{path}: not a packed MusicXML file, and no XML")
    try:
        _check_xml(path, content)
    except _MalformedError as error:
        content = _mended(content)
        try:
            _check_xml(path, content)
        except _MalformedError:
            raise InputError(f"{path}: cannot be read: it is not well-formed XML, at {error}") from None
    return content


class _MalformedError(Exception):
    """Not well-formed XML."""


_BOM = b"\xef\xbb\xbf"
_BARE_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")


def _mended(content: bytes) -> bytes:
    """XML without what stands before its first < and after its last >, and with every bare & written out."""
    start, end = content.find(b"<"), content.rfind(b">")
    return _BARE_AMPERSAND.sub(b"&amp;", content[max(start, 0) : end + 1])


def _unpacked(path: str | os.PathLike[str]) -> bytes:
    """The score in a packed MusicXML file (.mxl, a zip archive): what its container names, or else the best guess."""
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
            if len(members) > MAX_MEMBERS or sum(one.file_size for one in members) > MAX_XML_BYTES:
                raise InputError(
                    f"{path}: it holds more than {MAX_MEMBERS} files, or {MAX_XML_BYTES:,} bytes unpacked"
                )
            names = {one.filename: one for one in members if not one.is_dir()}
            container = packed.read(names[CONTAINER]) if CONTAINER in names else b""
            for said in re.findall(rb"""full-path\s*=\s*(?:"([^"]*)"|'([^']*)')""", container):
                name = html.unescape(max(said).decode("utf-8", "replace"))
                if name in names and not name.lower().endswith(".pdf"):
                    return packed.read(names[name])  # zipfile reads no more than file_size
            scores = [
                n for n in names if n.lower().endswith((".xml", ".musicxml")) and not n.startswith("META-INF")
            ]
            contents = [packed.read(names[name]) for name in scores]
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and codecs raise their own kinds
        raise InputError(f"{path}: not a packed MusicXML file ({_line(error)})") from None
    if not contents:
        raise InputError(f"{path}: no score in it; its files are {', '.join(list(names)[:5]) or 'none'}")
    return next((one for one in contents if b"<score-" in one), contents[0])


def _check_xml(path: object, content: bytes) -> None:
    """Parses the XML with expat, which builds no tree, up to the first limit that it exceeds: InputError."""
    depth = elements = notes = 0
    counted = ""  # the element whose number is being read
    digits = ""
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements, notes, counted, digits
        depth, elements, notes = depth + 1, elements + 1, notes + (name == "note")
        counted, digits = (name if name in MAX_DIGITS else ""), ""
        if depth > MAX_XML_DEPTH:
            raise InputError(f"{path}: elements in more than {MAX_XML_DEPTH} levels")
        if elements > MAX_XML_ELEMENTS or notes > MAX_XML_NOTES:
            raise InputError(f"{path}: more than {MAX_XML_ELEMENTS:,} elements, or {MAX_XML_NOTES:,} notes")

    def end(name: str) -> None:
        nonlocal depth, counted
        depth, counted = depth - 1, ""

    def text(part: str) -> None:
        nonlocal digits
        if counted:
            digits += part.strip()
            terms = digits.split("+") if counted == "beats" else [digits]
            if len(terms) > MAX_TERMS or any(len(term.strip()) > MAX_DIGITS[counted] for term in terms):
                raise InputError(f"{path}: {counted} has more than {MAX_DIGITS[counted]} digits")

    def refuse_entities(*declaration: Any) -> None:
        raise InputError(f"{path}: it declares entities of its own, which no score needs")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = refuse_entities
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise _MalformedError(f"line {error.lineno}") from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not readable XML ({_line(error)})") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
