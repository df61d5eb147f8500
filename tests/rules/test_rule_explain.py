"""`rltuner rules explain`: a melody of any format, event by event."""

import json
from pathlib import Path

import pytest

from rltuner.commands.main import main
from rltuner.errors import InputError
from rltuner.melody import Melodies, Meter, Vocabulary
from rltuner.reading.songs import krumhansl_key, read_song
from rltuner.rules import load_rulebook
from rltuner.rules.explain import event_name, explain

ABC = "X:1\nT:A little waltz\nM:3/4\nL:1/4\nK:G\nG A B | c2 d | B2 A | G3 |]\n"
G4, A4, B4 = 67, 69, 71

MUSICXML = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.1"><part-list><score-part id="P1"><part-name>x</part-name></score-part></part-list>
<part id="P1"><measure number="1"><attributes><divisions>1</divisions><key><fifths>1</fifths></key>
<time><beats>3</beats><beat-type>4</beat-type></time></attributes>{notes}</measure></part></score-partwise>"""
NOTE = (
    "<note><pitch><step>{}</step><octave>4</octave></pitch><duration>1</duration><type>quarter</type></note>"
)


@pytest.fixture
def waltz(tmp_path: Path) -> Path:
    (tmp_path / "waltz.abc").write_text(ABC)
    return tmp_path / "waltz.abc"


def test_a_song_stays_in_its_key_and_metre(waltz: Path) -> None:
    song = read_song(waltz)
    assert (song.title, song.melody.meter) == ("A little waltz", Meter(12, 4))
    assert song.melody.notes(0)[:3] == [(G4, 0, 4), (A4, 4, 8), (B4, 8, 12)]
    assert krumhansl_key(song.melody) == "G major"


def test_the_same_melody_is_read_from_every_format(waltz: Path, tmp_path: Path) -> None:
    first_bar = read_song(waltz).melody.notes(0)[:3]
    xml = tmp_path / "waltz.musicxml"
    xml.write_text(MUSICXML.format(notes="".join(NOTE.format(step) for step in "GAB")))
    assert read_song(xml).melody.notes(0) == first_bar
    read_song(waltz).melody.to_midi(tmp_path / "waltz.mid")
    from_midi = read_song(tmp_path / "waltz.mid").melody
    assert from_midi.notes(0)[:3] == first_bar
    assert from_midi.meter == Meter(12, 4)


def test_a_melody_out_of_range_is_moved_by_octaves(tmp_path: Path) -> None:
    Melodies([40 + 2, 41 + 2], vocabulary=Vocabulary(0, 128)).to_midi(tmp_path / "low.mid")
    song = read_song(tmp_path / "low.mid")
    assert [pitch for pitch, _, _ in song.melody.notes(0)] == [52, 53]
    assert song.remarks == ("moved by +1 octave to fit the vocabulary",)
    Melodies([30 + 2, 90 + 2], vocabulary=Vocabulary(0, 128)).to_midi(tmp_path / "wide.mid")
    with pytest.raises(InputError, match=r"wide.mid: MIDI pitches 30 to 90 are wider than the vocabulary"):
        read_song(tmp_path / "wide.mid")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.txt", "", "not one of .mid"),
        ("none.mid", None, "no such file"),
        ("x.abc", "hello", "no ABC tune in it"),
        ("x.abc", "X:1\nM:3/4\nK:C\nz3|", "no notes"),
        ("x.abc", "X:1\nM:3/4\nL:1/4\nK:C\nC/0 D E|", "line 5: 'C/0' has no length"),
        ("x.pdf", "%PDF-1.4", "recordings, pictures and PDFs hold no notes"),
        ("x.xml", "<a>", "cannot be read|no notes"),
        ("x.mid", "MThd", "x.mid"),
    ],
)
def test_what_is_no_melody_is_named(name: str, content: str | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=says) as raised:
        read_song(tmp_path / name)
    assert name in str(raised.value)


def test_rewards_are_the_books_event_by_event(waltz: Path) -> None:
    melody = read_song(waltz).melody
    book = load_rulebook("gauldin", key="G major")
    explained = explain(melody, book)
    scores = book.score(melody)
    assert [entry["reward"] for entry in explained["events"]] == pytest.approx(
        scores["total"][0].tolist(), abs=1e-6
    )
    assert explained["total"] == pytest.approx(float(scores["total"].sum()))
    assert explained["rules"]["cadence"] == pytest.approx(0.3)  # A down to G, on a beat
    places = [(entry["bar"], entry["beat"], entry["step"]) for entry in explained["events"]]
    assert places[:5] == [(1, 1, 1), (1, 1, 2), (1, 1, 3), (1, 1, 4), (1, 2, 1)]
    assert places[12] == (2, 1, 1)
    assert sum(sum(entry["rules"].values()) for entry in explained["events"]) == pytest.approx(
        explained["total"]
    )


def test_middle_c_is_c4() -> None:
    melody = Melodies([14, 0, 1, 15])
    assert [event_name(event, melody) for event in melody.events[0].tolist()] == ["C4", "rest", "hold", "C#4"]


def test_the_command_prints_draws_and_writes(
    waltz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(
        ["rules", "explain", str(waltz), "--json", str(tmp_path / "e.json"), "--png", str(tmp_path / "e.png")]
    )
    printed = capsys.readouterr()
    assert "A little waltz, judged by the gauldin book in C major, 3/4" in printed.out
    assert "G4" in printed.out
    assert (
        'is in G major (its file says) and is judged in C major; in its own key: --key "G major"'
        in printed.err
    )
    assert json.loads((tmp_path / "e.json").read_text())["meter"] == "3/4"
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")
    main(["rules", "explain", str(waltz), "--key", "G major"])
    printed = capsys.readouterr()
    assert "is judged in" not in printed.err
    assert "tonic_frame +0.5" in printed.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--rules", "nope"], "unknown rule book 'nope'"),
        (["--key", "H major"], "'H major'"),
        (["--png", "no/such/folder/x.png"], "no/such/folder/x.png: not a file name in a folder that exists"),
        (["--png", "x.txt"], "x.txt: --png writes"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], says: str, waltz: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["rules", "explain", str(waltz), *words])
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
