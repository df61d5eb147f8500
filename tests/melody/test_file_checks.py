"""Files from strangers: what would take memory or time without end is refused before a parser sees it."""

import sys
import zipfile
from pathlib import Path

import pytest

from rltuner.errors import InputError
from rltuner.melody import midi as midi_module
from rltuner.melody.file_checks import check_midi, check_musicxml
from rltuner.reading.midi_tracks import read_midi_tracks
from rltuner.reading.musicxml import read_musicxml
from rltuner.reading.songs import read_song

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from make_hostile import END, MIDI, XML, midi, notes, packed, tempo, varint, xml_with

MIDI_BOMBS = {
    "largest tick": midi(notes(60) + varint(2**28 - 1) + b"\x80\x3c\x00" + END),
    "100,000 sixteenths": midi(notes(60, wait=10**6) + END, division=1),
    "more than 4 bytes": midi(b"\xff" * 9 + b"\x7f\x90\x3c\x40" + END),
    "a tempo of 0": midi(tempo(b"\0\0\0") + notes(60) + END),
    "more than 100,000 events": midi(b"\x00\x90\x3c\x40" + b"\x00\x3c\x00" * 100_000 + END),
    "parts of a quarter": midi(notes(60) + END, division=0),
    "parts of a quarter note": midi(notes(60) + END, division=0xE728),
    "bytes, more than": MIDI + b"\0" * 1_000_000,
    "does not begin with": b"RIFF" + MIDI,
}
XML_BOMBS = {
    "entities of its own": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><score-partwise>&b;</score-partwise>',
    "levels": ("<part>" * 100 + "</part>" * 100).encode(),
    "notes": ("<x>" + "<note/>" * 10_001 + "</x>").encode(),
    "elements": ("<x>" + "<a/>" * 300_001 + "</x>").encode(),
    "beats has more than 3 digits": xml_with("<beats>4", "<beats>1000000000"),
    "divisions has more than": xml_with("<divisions>2", "<divisions>99999999"),
    "duration has more than": xml_with("<duration>2", "<duration>99999999999"),
    "not well-formed": b"<a><b></a>",
}


@pytest.mark.parametrize("says", MIDI_BOMBS)
def test_a_midi_bomb_never_reaches_the_parser(
    says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pretty_midi

    monkeypatch.setattr(pretty_midi, "PrettyMIDI", None)
    (tmp_path / "bomb.mid").write_bytes(MIDI_BOMBS[says])
    with pytest.raises(InputError, match=r"bomb\.mid: not a readable MIDI file") as caught:
        midi_module.parse_midi(tmp_path / "bomb.mid")
    assert says in str(caught.value)
    with pytest.raises(InputError, match=r"bomb\.mid: not a readable MIDI file") as caught:
        read_midi_tracks(str(tmp_path / "bomb.mid"), "bomb")
    assert says in str(caught.value)


@pytest.mark.parametrize("says", XML_BOMBS)
@pytest.mark.parametrize("ending", [".xml", ".mxl"])
def test_an_xml_bomb_never_reaches_the_parser(
    says: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xml.etree import ElementTree

    monkeypatch.setattr(ElementTree, "fromstring", None)
    content = XML_BOMBS[says]
    (tmp_path / f"bomb{ending}").write_bytes(packed(("score.xml", content)) if ending == ".mxl" else content)
    with pytest.raises(InputError, match="bomb") as caught:
        read_musicxml(str(tmp_path / f"bomb{ending}"), "bomb")
    assert says in str(caught.value)


def test_a_file_that_unpacks_to_much_is_refused_unread(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.mxl", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("score.xml", b" " * 20_000_000)
    assert (tmp_path / "bomb.mxl").stat().st_size < 50_000
    with pytest.raises(InputError, match="unpacked"):
        check_musicxml(tmp_path / "bomb.mxl")


def test_valid_files_pass_and_sound(tmp_path: Path) -> None:
    files = {"a.mid": MIDI, "b.xml": XML.encode(), "c.mxl": packed(("score.xml", XML.encode()))}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    check_midi(tmp_path / "a.mid")
    check_musicxml(tmp_path / "b.xml")
    check_musicxml(tmp_path / "c.mxl")
    for name in files:
        assert len(read_song(tmp_path / name).melody.notes(0)) >= 6


@pytest.mark.parametrize("music", ["[" * 9_000, "[C" * 4_000, "M:1000000000/1\nC8|", "C8|[M:99999/1]C8|"])
def test_an_abc_bomb_takes_no_time_and_no_memory(music: str, tmp_path: Path) -> None:
    """Each took minutes, or gigabytes, before it was limited."""
    from rltuner.melody import Vocabulary
    from rltuner.reading.parse import Item, parse_item

    (result,) = parse_item(Item("abc", "bomb", f"X:1\nM:4/4\nL:1/8\nK:C\n{music}\n"), Vocabulary())
    assert "longer than" not in result.detail
