"""MusicXML scores to drafts: the first voice of every part.

`file_checks` has looked at the file before, and finds the score in a packed one; `musicxml_measures` reads its measures.
What becomes of the bars is in `layout`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

from rltuner.errors import InputError
from rltuner.melody.file_checks import check_musicxml
from rltuner.reading.bars import REST, Bar, Draft, size_of
from rltuner.reading.layout import counted, place
from rltuner.reading.lines import in_turn
from rltuner.reading.midi_tracks import key_name
from rltuner.reading.musicxml_measures import Element, Measure, Note, State, read_part, tag_of

NEARLY = Fraction(1, 4)  # steps by which rounded durations may miss a bar
_MODES = {
    "dorian": -2,
    "phrygian": -4,
    "lydian": 1,
    "mixolydian": -1,
    "aeolian": -3,
    "ionian": 0,
    "locrian": -5,
}


def read_musicxml(path: str, source: str) -> list[Draft]:
    """Every part with notes, a melody each: its first voice, of chords the highest note.

    Without a key signature the key is Krumhansl's estimate. Pitches are read as they are written, for transposing
    instruments too.

    Raises InputError, naming the file, where it is missing, no MusicXML, or beyond the limits of `file_checks`.
    """
    try:
        root = ElementTree.fromstring(check_musicxml(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if tag_of(root) not in ("score-partwise", "score-timewise"):
        raise InputError(f"{path}: no MusicXML score in it, but <{tag_of(root)[:40]}>")
    names = {
        one.get("id", ""): " ".join((one.findtext("{*}part-name") or "").split())
        for one in root.iterfind("{*}part-list/{*}score-part")
    }
    title = root.findtext("{*}work/{*}work-title") or root.findtext("{*}movement-title") or ""
    title = " ".join(title.split()) or Path(source).stem
    found: list[tuple[str, list[Measure], State]] = []
    for part, measures in _parts(root):
        try:
            read, state = read_part(measures)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
        if any(note.pitch != REST for measure in read for note in measure.notes):
            found.append((part, read, state))
    drafts = []
    for number, (part, read, state) in enumerate(found, 1):
        label = f"part {number}" if len(found) > 1 else ""
        draft = Draft(f"{source} ({label})" if label else source, f"{title} ({label})" if label else title)
        draft.name = names.get(part, "")
        _fill(draft, read)
        _set_key(draft, read, state)
        drafts.append(draft)
    return drafts


def _parts(root: Element) -> Iterator[tuple[str, list[Element]]]:
    """(id, measures) of each part, of scores by part or by measure."""
    if tag_of(root) == "score-partwise":
        for part in root.iterfind("{*}part"):
            yield part.get("id", ""), part.findall("{*}measure")
        return
    parts: dict[str, list[Element]] = {}
    for measure in root.iterfind("{*}measure"):
        for part in measure.iterfind("{*}part"):
            part.attrib = {**measure.attrib, **part.attrib}
            parts.setdefault(part.get("id", ""), []).append(part)
    yield from parts.items()


def _fill(draft: Draft, measures: Sequence[Measure]) -> None:
    """The bars of a part's first voice; a measure in which that voice has nothing takes the next one that has notes."""
    sounding = Counter(note.voice for measure in measures for note in measure.notes if note.pitch != REST)
    order = sorted(sounding, key=lambda voice: (voice[0], len(voice[1]), voice[1]))
    main = order[0]
    chords: list[Bar] = []
    others = 0
    for measure in measures:
        voices = {note.voice for note in measure.notes if note.pitch != REST}
        same_staff = [voice for voice in order if voice in voices and voice[0] == main[0]]
        taken = main if main in voices or not same_staff else same_staff[0]
        others += sum(note.pitch != REST and note.voice != taken for note in measure.notes)
        starts: dict[Fraction, Note] = {}
        for note in measure.notes:
            if note.voice != taken or note.pitch == REST:
                continue
            held = starts.get(note.start)
            if held is not None and held.pitch != note.pitch:
                chords.append(measure.bar)
            if held is None or note.pitch > held.pitch:
                starts[note.start] = note
        size = size_of(measure.bar.signature)
        total = size if abs(measure.total - size) <= NEARLY and size else measure.total
        total = total or size or Fraction(16)
        notes = [(n.start, n.length, n.pitch, n.is_tied) for _, n in sorted(starts.items())]
        measure.bar.sounds = in_turn(notes, max(total, notes[-1][0] if notes else total))
    draft.bars = [measure.bar for measure in measures]
    counted(draft.bars)
    if others:
        draft.remarks.append(f"{others} notes of other voices are left out")
    if chords:
        many = "1 note" if len(chords) == 1 else f"{len(chords)} notes"
        bars = ", ".join(dict.fromkeys(place(bar) for bar in chords[:3]))
        draft.remarks.append(f"chords, at {bars}: the highest notes are taken, {many} left out")


def _set_key(draft: Draft, measures: Sequence[Measure], first: State) -> None:
    if first.transposes:
        draft.remarks.append("it is for a transposing instrument: read at the pitch it is written in")
    if first.fifths is None:
        lengths = draft.lengths
        for measure in measures:
            for note in measure.notes:
                if note.pitch != REST:
                    lengths[note.pitch] = lengths.get(note.pitch, 0.0) + float(note.length)
        draft.is_key_written = False
        return
    draft.sharps = first.fifths
    if first.mode in ("major", "minor"):
        draft.key = key_name(first.fifths, first.mode == "minor")
    elif first.mode in _MODES:
        draft.key = f"{key_name(first.fifths - _MODES[first.mode], False).split()[0]} {first.mode}"
    changes = []
    before = first.fifths
    for measure in measures:
        if measure.fifths not in (None, before):
            before = measure.fifths or 0
            changes.append(f"{place(measure.bar)} to {key_name(before, False)}")
    if changes:
        draft.unusable = "key changes"
        more = f", and {len(changes) - 4} times more" if len(changes) > 4 else ""
        draft.remarks.append(
            f"the key signature changes, at {', '.join(changes[:4])}{more}; notes are kept as written"
        )
