"""What stands in a MIDI file, by ticks: tracks with their notes, time signatures and key signatures.

Files of other people's programs are read as the standard says, and a little beyond: chunks that are no tracks are
skipped, a track that is cut short counts up to there, a data byte above 127 counts as 127, a signature that means
nothing is passed over. What was mended is said. Limits are those of `file_checks`: a file is walked in one pass, and
takes memory for its notes alone. Source: the MIDI Association's "Standard MIDI Files 1.0" (RP-001) and, for RIFF files
of MIDI (.rmi), RP-029.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

END_OF_TRACK = 0x2F
DRUMS = 9  # channel 10, as people count
MAX_SHARPS = 7
MAC_BINARY = 128  # bytes
LONGEST_NUMBER = 4  # bytes of a variable-length quantity
# Data bytes of a message, by the high half of its status; two for all others.
DATA_BYTES = {0xC: 1, 0xD: 1}
SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
CUT = "a track is cut short: it counts up to there"
MAX_NAME = 80  # characters of a track's name that are kept

MidiNote = tuple[int, int, int, int]
"""(first tick, tick of its end, MIDI pitch, channel from 0)"""


class EndlessNumberError(Exception):
    """A variable-length quantity of more than 4 bytes."""


@dataclass(frozen=True)
class Event:
    """One event of a track, as it stands there."""

    wait: int
    """Ticks since the event before."""
    status: int
    """0x80 to 0xEF for messages of channels, 0xF0 and 0xF7 for system exclusive ones, 0xFF for meta events."""
    kind: int
    """Of a meta event; 0 for others."""
    data: bytes


@dataclass
class Track:
    """A track of a MIDI file."""

    name: str = ""
    notes: list[MidiNote] = field(default_factory=list)
    """By first tick, then as they stand in the file."""
    last_tick: int = 0


@dataclass
class MidiFile:
    """A MIDI file, by ticks."""

    ticks_per_quarter: int
    tracks: list[Track] = field(default_factory=list)
    meters: list[tuple[int, int, int]] = field(default_factory=list)
    """(tick, numerator, denominator) of the time signatures of all tracks; of several at one tick the last."""
    keys: list[tuple[int, int, bool]] = field(default_factory=list)
    """(tick, sharps or negative flats, whether minor) of the key signatures of all tracks, in the same way."""
    remarks: list[str] = field(default_factory=list)
    """What was mended or passed over, a line each."""


def unwrapped(data: bytes) -> bytes:
    """A standard MIDI file out of what it may be wrapped in: a RIFF file (.rmi), or MacBinary."""
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        place = 12
        while place + 8 <= len(data):
            size = int.from_bytes(data[place + 4 : place + 8], "little")
            if data[place : place + 4] == b"data":
                return data[place + 8 : place + 8 + size]
            place += 8 + size + size % 2
    # MacBinary puts 128 bytes before a file, the first of them 0.
    return data[MAC_BINARY:] if data[:1] == b"\0" and data[MAC_BINARY:][:4] == b"MThd" else data


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """(kind, content, whether it is cut short) of each chunk after the header.

    Where no chunk begins at the place that the one before it names, the next track is looked for.
    """
    place = 8 + int.from_bytes(data[4:8], "big")
    while place + 8 <= len(data):
        if not data[place : place + 4].isalnum():
            place = data.find(b"MTrk", place)
            if place < 0:
                return
        kind, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "big")
        content = data[place + 8 : place + 8 + length]
        yield kind, content, len(content) < length
        place += 8 + length


def track_events(data: bytes, remarks: set[str] | None = None) -> Iterator[Event]:
    """The events of a track, those after its end included, or up to where nothing more can be made of it.

    Raises EndlessNumberError for a number of more than 4 bytes.
    """
    place, status, said = 0, 0, remarks if remarks is not None else set()

    def number() -> int:
        """A variable-length quantity: 7 bits a byte, with the high bit set in all bytes but the last."""
        nonlocal place
        value = 0
        for _ in range(LONGEST_NUMBER):
            byte = data[place]
            place += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise EndlessNumberError

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
                content = data[place : place + length]
                place += length
                yield Event(wait, status, kind, content)
                if len(content) < length:
                    raise IndexError
            elif status in (0xF0, 0xF7):
                length = number()
                place += length
                yield Event(wait, status, 0, b"")
                if place > len(data):
                    raise IndexError
            elif status < 0x80:
                said.add("a track begins with data that belong to no message, and was left out from there on")
                return
            else:
                count = SYSTEM_BYTES.get(status, 0) if status >= 0xF0 else DATA_BYTES.get(status >> 4, 2)
                content = data[place : place + count]
                if len(content) < count:
                    raise IndexError
                if any(byte > 0x7F for byte in content):
                    said.add("damaged: bytes above 127 count as 127")
                    content = bytes(min(byte, 0x7F) for byte in content)
                place += count
                yield Event(wait, status, 0, content)
    except IndexError:
        said.add(CUT)


def read_events(data: bytes) -> MidiFile:
    """The file in those bytes, which `file_checks.check_midi` has let pass.

    A note ends at its note-off, or where the same pitch begins anew on the same channel; one that nothing ends lasts to
    the next note of its channel, or to the end of the track. Notes without length are kept. Raises nothing of its own.
    """
    file = MidiFile(int.from_bytes(data[12:14], "big"))
    said: set[str] = set()
    meters: dict[int, tuple[int, int, int]] = {}
    keys: dict[int, tuple[int, int, bool]] = {}
    aliens = 0
    for kind, content, is_cut in chunks(data):
        if kind != b"MTrk":
            aliens += 1
            continue
        if is_cut:
            said.add(CUT)
        file.tracks.append(_track(content, said, meters, keys))
    if aliens:
        said.add(
            f"{aliens} chunk{'s' if aliens > 1 else ''} that {'are' if aliens > 1 else 'is'} no track: skipped"
        )
    file.meters = [meters[tick] for tick in sorted(meters)]
    file.keys = [keys[tick] for tick in sorted(keys)]
    file.remarks = sorted(said)
    return file


def _track(
    data: bytes,
    said: set[str],
    meters: dict[int, tuple[int, int, int]],
    keys: dict[int, tuple[int, int, bool]],
) -> Track:
    track, tick = Track(), 0
    sounding: dict[tuple[int, int], list[int]] = defaultdict(list)  # (channel, pitch) -> first ticks
    for event in track_events(data, said):
        tick += event.wait
        high, channel = event.status >> 4, event.status & 0x0F
        if event.status == 0xFF and event.kind == END_OF_TRACK:
            break
        if event.status == 0xFF:
            _meta(event, tick, track, said, meters, keys)
        elif high == 0x9 and event.data[1]:
            pitch = event.data[0]
            # A pitch that begins again before it ended ends there.
            track.notes += [(start, tick, pitch, channel) for start in sounding.pop((channel, pitch), ())]
            sounding[channel, pitch].append(tick)
        elif high in (0x8, 0x9):
            pitch = event.data[0]
            track.notes += [(start, tick, pitch, channel) for start in sounding.pop((channel, pitch), ())]
    track.last_tick = tick
    hanging = [(start, channel, pitch) for (channel, pitch), starts in sounding.items() for start in starts]
    if hanging:
        said.add(f"{len(hanging)} note{'s have' if len(hanging) > 1 else ' has'} no end: cut at the next")
    onsets: dict[int, list[int]] = defaultdict(list)
    for start, channel, _ in hanging:
        onsets[channel].append(start)
    for start, _, _, channel in track.notes:
        if channel in onsets:
            onsets[channel].append(start)
    for start, channel, pitch in hanging:
        following = min((other for other in onsets[channel] if other > start), default=tick)
        track.notes.append((start, max(following, start), pitch, channel))
    track.notes.sort(key=lambda note: note[0])
    return track


def _meta(
    event: Event,
    tick: int,
    track: Track,
    said: set[str],
    meters: dict[int, tuple[int, int, int]],
    keys: dict[int, tuple[int, int, bool]],
) -> None:
    """Takes what a meta event says: a name, a time signature, a key signature."""
    data = event.data
    if event.kind == 0x03 and not track.name:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        track.name = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_NAME]
    elif event.kind == 0x58:
        if len(data) >= 2 and data[0] and data[1] < 8:
            meters[tick] = (tick, data[0], 1 << data[1])
        else:
            said.add("a time signature that means nothing is passed over")
    elif event.kind == 0x59:
        sharps = int.from_bytes(data[:1], "big", signed=True)
        if len(data) >= 2 and abs(sharps) <= MAX_SHARPS and data[1] in (0, 1):
            keys[tick] = (tick, sharps, data[1] == 1)
        else:
            said.add("a key signature that means nothing is passed over")
