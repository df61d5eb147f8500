"""Limits on MIDI and MusicXML files, checked before a parser takes time and memory for what they claim to hold.

The parsers are not ours. Some take memory for every tick of a file, every beat of a bar or every copy of an entity; what
they would choke on is refused here, by a look at the file's own structure that takes no more memory than the file.
What is merely broken is left to them, since they know best what they can read.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from rltuner.errors import InputError
from rltuner.melody.grid import MAX_TICK, STEPS_PER_QUARTER

MAX_MIDI_BYTES = 1_000_000
MAX_MIDI_EVENTS = 100_000
MAX_STEPS = 100_000  # sixteenths, 6250 bars: no melody is that long
MAX_XML_BYTES = 10_000_000  # unpacked
MAX_XML_DEPTH = 64
MAX_XML_ELEMENTS = 300_000
MAX_XML_NOTES = 10_000
MAX_MEMBERS = 100  # of a packed file
# Most digits of the numbers that music21 counts to.
MAX_DIGITS = {"beats": 3, "beat-type": 3, "divisions": 6, "duration": 7, "actual-notes": 3, "normal-notes": 3}


def check_midi(path: str | os.PathLike[str]) -> None:
    """Raises InputError, naming the file, where a MIDI file exceeds what any melody needs.

    Refused are: no MIDI header; more than 1 MB, 100,000 events, 1e7 ticks or 100,000 sixteenths; no ticks a quarter, or
    ticks that are parts of a second (SMPTE); a tempo of 0 microseconds a quarter; a number of more than 4 bytes.
    """
    size = os.path.getsize(path)
    if size > MAX_MIDI_BYTES:
        raise _not_midi(path, f"it has {size:,} bytes, more than {MAX_MIDI_BYTES:,}")
    with open(path, "rb") as file:
        data = file.read(MAX_MIDI_BYTES + 1)
    if data[:4] != b"MThd" or len(data) < 14:
        raise _not_midi(path, "it does not begin with a MIDI header")
    division = int.from_bytes(data[12:14], "big")
    if not 0 < division < 0x8000:
        raise _not_midi(path, "its ticks are not parts of a quarter note")
    place, events = 8 + int.from_bytes(data[4:8], "big"), 0
    while place + 8 <= len(data):
        kind, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "big")
        place += 8
        if kind == b"MTrk":
            tick = 0
            for wait, is_tempo, value in _track_events(data[place : place + length], path):
                tick, events = tick + wait, events + 1
                if events > MAX_MIDI_EVENTS:
                    raise _not_midi(path, f"it has more than {MAX_MIDI_EVENTS:,} events")
                if is_tempo and value == 0:
                    raise _not_midi(path, "a tempo of 0 microseconds a quarter note")
            if tick > MAX_TICK:
                raise _not_midi(path, f"its largest tick, {tick:,}, is over {MAX_TICK:,.0f}")
            if tick * STEPS_PER_QUARTER / division > MAX_STEPS:
                raise _not_midi(path, f"it lasts longer than {MAX_STEPS:,} sixteenths")
        place += length


def _track_events(data: bytes, path: object) -> Iterator[tuple[int, bool, int]]:
    """Events of one MTrk chunk: (delta time in ticks, whether it is a tempo, microseconds a quarter or 0) of each.

    Ends where the track is broken, which its parser reports. Raises InputError for a number of more than 4 bytes.
    """
    place, status = 0, 0

    def number() -> int:
        """A variable-length quantity: 7 bits a byte, with the high bit set in all bytes but the last."""
        nonlocal place
        value = 0
        for count in range(5):
            byte = data[place]
            place += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
            if count == 3:
                break
        raise _not_midi(path, "a number of more than 4 bytes")

    try:
        while place < len(data):
            wait = number()
            if data[place] >= 0x80:
                status = data[place]
                place += 1
            if status == 0xFF:
                kind = data[place]
                place += 1
                length = number()
                is_tempo = kind == 0x51 and length > 0
                yield wait, is_tempo, int.from_bytes(data[place : place + length], "big") if is_tempo else 0
                place += length
            elif status in (0xF0, 0xF7):
                yield wait, False, 0
                place += number()
            elif status < 0x80:
                return  # data without a status: mido says so
            else:
                yield wait, False, 0
                place += {0xC: 1, 0xD: 1, 0xF: 0}.get(status >> 4, 2)
    except IndexError:
        return  # cut short: mido says so


def _not_midi(path: object, reason: str) -> InputError:
    return InputError(f"{path}: not a readable MIDI file ({reason})")


def check_musicxml(path: str | os.PathLike[str]) -> None:
    """InputError, naming the file, where it is no well-formed XML, or larger or deeper than any melody.

    Refused are: more than 10 MB (unpacked), 300,000 elements, 10,000 notes or 64 levels; entities of its own; numbers of
    beats, divisions and durations that no music has.
    """
    if os.path.getsize(path) > MAX_XML_BYTES:
        raise InputError(f"{path}: it has more than {MAX_XML_BYTES:,} bytes")
    if os.fspath(path).lower().endswith(".mxl"):
        for content in _unpacked(path):
            _check_xml(path, content)
    else:
        with open(path, "rb") as file:
            _check_xml(path, file.read(MAX_XML_BYTES + 1))


def _unpacked(path: str | os.PathLike[str]) -> list[bytes]:
    """The contents of the XML files in a packed MusicXML file (.mxl, a zip archive)."""
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
            if len(members) > MAX_MEMBERS or sum(one.file_size for one in members) > MAX_XML_BYTES:
                raise InputError(
                    f"{path}: it holds more than {MAX_MEMBERS} files, or {MAX_XML_BYTES:,} bytes unpacked"
                )
            names = [one for one in members if one.filename.lower().endswith((".xml", ".musicxml"))]
            return [packed.read(one) for one in names]  # zipfile reads no more than file_size
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and codecs raise their own kinds
        raise InputError(f"{path}: not a packed MusicXML file ({_line(error)})") from None


def _check_xml(path: object, content: bytes) -> None:
    """Parses the XML with expat, which builds no tree, up to the first limit that it exceeds: InputError."""
    depth = elements = notes = 0
    counted = ""  # the element whose number is being read
    digits = 0
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements, notes, counted, digits
        depth, elements, notes = depth + 1, elements + 1, notes + (name == "note")
        counted, digits = (name if name in MAX_DIGITS else ""), 0
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
            digits += len(part.strip())
            if digits > MAX_DIGITS[counted]:
                raise InputError(f"{path}: {counted} has more than {MAX_DIGITS[counted]} digits")

    def refuse_entities(*declaration: Any) -> None:
        raise InputError(f"{path}: it declares entities of its own, which no score needs")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = refuse_entities
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise InputError(f"{path}: not well-formed XML ({error})") from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not readable XML ({_line(error)})") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
