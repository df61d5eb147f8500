"""Files from hell: small valid MIDI, ABC and MusicXML files, mutated, with a fixed seed; and what becomes of each.

    python scripts/make_hostile.py FOLDER [COUNT]

writes COUNT (2,000) files. `try_file` reads one as a corpus and as a song; scripts/torture.py tries all of them.
"""

from __future__ import annotations

import argparse
import io
import random
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

COUNT, SEED = 2_000, 20170215

ABC = """X:1
T:The Torturer's Reel
Z:nobody
M:4/4
L:1/8
K:Ador
|:"Am"eAAB cBAG|(3efg ed c2BA|e2 A>B cB{d}A^G|1 EGDG A4:|2 EGDG A3z|]
"""
NOTE = "<note><pitch><step>{step}</step><octave>4</octave></pitch><duration>2</duration><type>quarter</type></note>"
MEASURE = (
    '<measure number="{number}">{attributes}'
    + "".join(NOTE.format(step=step) for step in "CEGA")
    + "</measure>"
)
ATTRIBUTES = (
    "<attributes><divisions>2</divisions><key><fifths>0</fifths></key>"
    "<time><beats>4</beats><beat-type>4</beat-type></time><clef><sign>G</sign><line>2</line></clef></attributes>"
)
BACK = '<barline><repeat direction="backward" times="999999999"/></barline>'
XML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<score-partwise version="3.1"><part-list><score-part id="P1">'
    '<part-name>Flute</part-name></score-part></part-list><part id="P1">'
    + MEASURE.format(number=1, attributes=ATTRIBUTES)
    + MEASURE.format(number=2, attributes="")
    + "</part></score-partwise>"
)


def varint(value: int) -> bytes:
    """As MIDI writes numbers, of any length."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(value & 0x7F | 0x80)
    return bytes(reversed(parts))


def midi(
    *tracks: bytes, division: int = 480, kind: int = 0, count: int | None = None, length: int | None = None
) -> bytes:
    """A MIDI file of tracks, with a header that may lie."""
    header = b"MThd" + (6).to_bytes(4, "big") + kind.to_bytes(2, "big")
    header += (len(tracks) if count is None else count).to_bytes(2, "big") + division.to_bytes(2, "big")
    for track in tracks:
        header += b"MTrk" + (len(track) if length is None else length).to_bytes(4, "big") + track
    return header


END = b"\x00\xff\x2f\x00"


def notes(*pitches: int, wait: int = 480) -> bytes:
    return b"".join(b"\x00\x90" + bytes([p, 90]) + varint(wait) + b"\x80" + bytes([p, 0]) for p in pitches)


def meter(numerator: int, power: int) -> bytes:
    return b"\x00\xff\x58\x04" + bytes([numerator, power, 24, 8])


def tempo(value: bytes) -> bytes:
    return b"\x00\xff\x51" + bytes([len(value)]) + value


MIDI = midi(
    tempo(b"\x07\xa1\x20") + b"\x00\xff\x58\x04\x04\x02\x18\x08" + notes(60, 62, 64, 65, 67, 69) + END
)


def abc(music: str, **fields: str) -> bytes:
    """A tune of one line of music."""
    lines = {"X": "1", "T": "t", "M": "4/4", "L": "1/8", "K": "C", **fields}
    return ("\n".join(f"{name}:{value}" for name, value in lines.items()) + "\n" + music + "\n").encode()


def xml_with(old: str, new: str) -> bytes:
    assert old in XML
    return XML.replace(old, new).encode()


def packed(*members: tuple[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            info = zipfile.ZipInfo(name)  # of 1980: the same bytes on every day
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, data)
    return content.getvalue()


CONTAINER = b'<container><rootfiles><rootfile full-path="score.xml"/></rootfiles></container>'
MXL = packed(("META-INF/container.xml", CONTAINER), ("score.xml", XML.encode()))


def bombs(rng: random.Random) -> list[tuple[str, bytes]]:
    """One of each kind of attack, its size drawn: (ending of the file's name, content)."""
    n = rng.choice([3, 50, 400, 3_000, 9_000])
    big = rng.choice([2**31, 2**31 - 1, 2**28 - 1, 2**32, 10**7, 10**7 + 1])
    step = rng.choice("CDEFGAB")
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 9))
    return [
        (".mid", midi(notes(60) + varint(big) + b"\x90\x40\x50" + END)),
        (".mid", midi(notes(60, 64, wait=big) + END)),
        (".mid", midi(notes(60, 64, wait=10**6) + END, division=rng.choice([1, 2, 3]))),
        (".mid", midi(tempo(b"\x00\x00\x00") + notes(60, 62) + END)),
        (".mid", midi(tempo(b"\xff\xff\xff") + notes(60, 62) + END)),  # negative, to who reads it signed
        (".mid", midi(tempo(b"\x80\x00\x00\x00" * (n % 7)) + notes(60, 62) + END)),
        (".mid", midi(tempo(b"") + notes(60, 62) + END)),
        (".mid", midi((tempo(b"\x00\x00\x01") + notes(60, wait=1)) * n + END)),
        (".mid", midi(b"\xff" * n + b"\x7f\x90\x3c\x40" + END)),  # a number of n bytes
        (".mid", midi(b"\x00\xff\x01" + varint(big) + b"text" + END)),
        (".mid", midi(b"\x00\xf0" + varint(big) + END)),
        (".mid", midi(notes(60) + END, length=rng.choice([0, 1, 2**31, 2**32 - 1]))),
        (".mid", midi(notes(60) + END, count=65535)),
        (".mid", midi(*[notes(60 + i % 20) + END for i in range(min(n, 400))], kind=1)),
        (".mid", midi(notes(60) + END, division=rng.choice([0, 0x8000, 0xE728, 0xFFFF]))),
        (".mid", midi(meter(rng.choice([0, 255]), rng.choice([0, 40, 255])) + notes(60) + END)),
        (".mid", midi(b"\x00\xff\x59\x02" + rng.randbytes(2) + notes(60, 62) + END)),
        (".mid", midi(notes(*[rng.randrange(128) for _ in range(n)], wait=rng.choice([0, 1, 120])) + END)),
        (".mid", midi(b"\x00\x90\x3c\x40" * n + END)),
        (".mid", midi(b"".join(b"\x00\x90" + bytes([p % 128, 90]) for p in range(n)) + b"\x87\x40\x80\x3c\x00" + END)),
        (".abc", abc("|:" * n + "C8" + ":|" * n)),
        (".abc", abc("|:C8:|" * (n // 2))),
        (".abc", abc("|:CDEF GABc:|" * (n // 4))),
        (".abc", abc("|1 C8:|2 C8|" * (n // 4))),
        (".abc", abc(f"{step}{'9' * n} D8|")),
        (".abc", abc(f"{step}{'/' * n} D8|")),
        (".abc", abc(f"{step}{',' * n} D8|")),
        (".abc", abc(f"{'^' * n}{step} D8|")),
        (".abc", abc("[" * n)),
        (".abc", abc("[C" * n + "]" * (n % 5))),
        (".abc", abc("(3" * n + "C8|")),
        (".abc", abc("(9:9:9" * (n // 2) + "C8|")),
        (".abc", abc("C-" * n + "|")),
        (".abc", abc("C>>>" * (n // 2) + "|")),
        (".abc", abc("[K:D]" * (n // 2) + "C8|")),
        (".abc", abc("[M:3/4][M:4/4]" * (n // 10) + "C8|")),
        (".abc", abc('"' * n + "!" * n + "{" * n + "C8|")),
        (".abc", abc("| " + " :" * n + " C8|")),
        (".abc", abc("C8|", M=f"{10**rng.randrange(1, 12)}/{rng.choice([0, 1, 4, 10**9])}")),
        (".abc", abc("C8|", M="4/4" + "+4/4" * n)),
        (".abc", abc("C8|", L=f"{10**rng.randrange(12)}/{rng.choice([0, 1, 8, 10**9])}")),
        (".abc", abc("C8|", K="C" + "#" * n)),
        (".abc", abc("C8|", K="".join(rng.choice("ABCDEFGmb# ^_") for _ in range(30)))),
        (".abc", b"X:1\n" * n + b"K:C\nC8|\n"),
        (".abc", rng.randbytes(n)),
        (".xml", f"<!DOCTYPE x [<!ENTITY e0 '{'a' * n}'>{entities}]>\n<score-partwise>&e8;</score-partwise>".encode()),
        (".xml", f"<!DOCTYPE x [<!ENTITY a '{'a' * n}'>]>\n<x>{'&a;' * n}</x>".encode()),
        (".xml", b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>\n<score-partwise>&a;</score-partwise>'),
        (".xml", ("<score-partwise>" + "<part>" * n + "</part>" * n + "</score-partwise>").encode()),
        (".xml", ("<score-partwise>" + "<note>" * n).encode()),
        (".xml", xml_with("</measure>", NOTE.format(step=step) * n + "</measure>")),
        (".xml", xml_with("<beats>4", f"<beats>{10 ** rng.randrange(12)}")),
        (".xml", xml_with("<beats>4", f"<beats>{rng.choice(['-4', '0', '4+4+4', 'nan', '1e9', ''])}")),
        (".xml", xml_with("<beat-type>4", f"<beat-type>{rng.choice(['0', '3', '-1', '4096', '2.5'])}")),
        (".xml", xml_with("<divisions>2", f"<divisions>{rng.choice(['0', '-2', '1e300', '999999', '0.0001'])}")),
        (".xml", xml_with("<duration>2", f"<duration>{rng.choice(['0', '-2', '9999999', '1e300', 'inf', big])}")),
        (".xml", xml_with("<octave>4", f"<octave>{rng.choice(['-99', '99', '1e9', big, ''])}")),
        (".xml", xml_with("<fifths>0", f"<fifths>{rng.choice(['99', '-99', '1e9', big, ''])}")),
        (".xml", xml_with('<measure number="2">', f'<measure number="2">{BACK}')),
        (".xml", XML.encode("utf-16")),
        (".xml", XML.replace("UTF-8", rng.choice(["utf-7", "cp037", "idna", "rot13", "undefined"])).encode()),
        (".mxl", packed(("META-INF/container.xml", CONTAINER), ("score.xml", b" " * 20_000_000))),
        (".mxl", packed(*[(f"{i}.xml", XML.encode()) for i in range(min(n, 400))])),
        (".mxl", packed(("META-INF/container.xml", CONTAINER.replace(b"score.xml", b"../../etc/passwd")))),
        (".mxl", MXL[: rng.randrange(len(MXL))]),
    ]  # fmt: skip


def flipped(rng: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def repeated(rng: random.Random, content: bytes) -> bytes:
    first, last = sorted(rng.randrange(len(content)) for _ in range(2))
    return content[:last] + content[first:last] * rng.choice([1, 10, 200]) + content[last:]


def spliced(rng: random.Random, content: bytes) -> bytes:
    first, last = sorted(rng.randrange(len(content)) for _ in range(2))
    return content[:first] + content[last:]


def overwritten(rng: random.Random, content: bytes) -> bytes:
    place = rng.randrange(len(content))
    run = rng.choice([b"\xff", b"\x00", b"\x7f", b"9", b"<", b"["]) * rng.choice([1, 4, 64])
    return content[:place] + run + content[place + len(run) :]


MUTATIONS: list[Callable[[random.Random, bytes], bytes]] = [flipped, cut, repeated, spliced, overwritten]
SEEDS = [(".mid", MIDI), (".abc", ABC.encode()), (".musicxml", XML.encode()), (".mxl", MXL)]


def make(folder: Path, count: int = COUNT, seed: int = SEED) -> list[Path]:
    """Writes `count` files, the same for the same seed: a third of them bombs, the others mutations of valid files."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    armed: list[tuple[str, bytes]] = []
    for number in range(count):
        if number % 3 == 0:
            armed = armed or bombs(rng)
            ending, content = armed.pop(0)
        else:
            ending, content = SEEDS[number % len(SEEDS)]
            content = rng.choice(MUTATIONS)(rng, content)
        files.append(folder / f"{number:04}{ending}")
        files[-1].write_bytes(content)
    return files


@dataclass(frozen=True)
class Outcome:
    """What became of a file."""

    melodies: int
    errors: tuple[str, ...]
    """One line each; what makes it not clear is said after "DEFECT"."""
    seconds: float
    """Of the slower of the two readings."""
    peak_mb: int
    """The most memory that the process had taken by then."""


def try_file(path: str) -> Outcome:
    """The file as a corpus reads it, and as a person's own song."""
    import resource

    from rltuner.corpus.files import items_of
    from rltuner.errors import InputError
    from rltuner.melody import Vocabulary
    from rltuner.reading.parse import parse_item
    from rltuner.reading.songs import read_song

    melodies, errors, slowest = 0, [], 0.0
    started = time.monotonic()
    items, unreadable, _ = items_of([(Path(path).name, Path(path))])
    for result in [*unreadable, *(one for item in items for one in parse_item(item, Vocabulary()))]:
        melodies += result.tune is not None
        if result.tune is None:
            errors.append(result.detail or result.outcome)
    slowest = time.monotonic() - started
    started = time.monotonic()
    try:
        melodies += len(read_song(path).melody)
    except InputError as error:
        errors.append(str(error))
        if path not in str(error):
            errors.append(f"DEFECT: does not name the file: {error}")
    except Exception as error:
        errors.append(f"DEFECT: {type(error).__name__}: {error}")
    slowest = max(slowest, time.monotonic() - started)
    errors += [f"DEFECT: not one line: {error!r}" for error in errors if "\n" in error or not error]
    if not melodies and not errors:
        errors.append("DEFECT: neither a melody nor an error")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Outcome(melodies, tuple(errors), slowest, peak)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Writes damaged and hostile files, the same for the same count."
    )
    parser.add_argument("folder", type=Path, help="written to; it may be new")
    parser.add_argument("count", type=int, nargs="?", default=COUNT)
    given = parser.parse_args()
    print(f"{len(make(given.folder, given.count))} files in {given.folder}")
