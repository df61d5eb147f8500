"""Files as people have them: the right value of each fixture in tests/fixtures/files, and of others of its kind.

A fixture is the smallest file that shows a fault found in real files.
"""

import io
import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import mido
import pytest

from rltuner.commands.main import main
from rltuner.corpus.corpora import load_corpus
from rltuner.errors import InputError
from rltuner.eval.sources import read_source
from rltuner.melody import NUM_SPECIAL_EVENTS, Meter, Vocabulary
from rltuner.reading.parse import Item, parse_item
from rltuner.reading.songs import Song, read_as_written, read_song, read_songs

FILES = Path(__file__).parents[1] / "fixtures" / "files"
NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def tones(text: str) -> list[int]:
    """ "C4 F#4" as MIDI pitches."""
    found = []
    for name in text.split():
        alteration = name.count("#") - name.count("b")
        found.append(12 * (int(name[-1]) + 1) + NATURALS[name[0]] + alteration)
    return found


def pitches(song: Song) -> list[int]:
    return [pitch for pitch, _, _ in song.melody.notes(0)]


def onsets(song: Song) -> list[int]:
    return [start for _, start, _ in song.melody.notes(0)]


def pickup(song: Song) -> list[int]:
    return [
        e - NUM_SPECIAL_EVENTS + song.melody.vocabulary.min_pitch
        for e in song.pickup
        if e >= NUM_SPECIAL_EVENTS
    ]


SCALE = "C4 D4 E4 F4 G4 A4 B4 C5"
UP_DOWN = f"{SCALE} C5 B4 A4 G4 F4 E4 D4 C4"
EIGHTHS = list(range(0, 32, 2))
QUARTERS = list(range(0, 64, 4))
# (file, metre, pickup, pitches, onsets or None, what is said)
RIGHT = [
    ("xml_apostrophe.mxl", "4/4", "", "C4 D4 E4 F4", [0, 20, 24, 28], ""),
    ("xml_plain_named.mxl", "4/4", "", "C4 D4 E4 F4", [0, 20, 24, 28], ""),
    (
        "mid_pickup_musescore.mid", "4/4", "G4", "B4 B4 C5 D5 D5 C5 B4 A4 G4 G4 A4 B4 B4 A4 A4 G4",
        QUARTERS, "",
    ),
    ("mid_two_ts_tick0.mid", "3/4", "", "C4 D4 E4 F4 G4 A4 B4 C5 D5 C5 B4 A4", QUARTERS[:12], ""),
    ("mid_ts_in_track2.mid", "3/4", "", "G4 A4 B4 C5 D5 C5 B4 A4 G4", QUARTERS[:9], ""),
    (
        "mid_metre_change.mid", "4/4", "", f"{SCALE} C5 B4 A4 G4 F4 E4",
        QUARTERS[:14], "the metre changes, at bar 3 to 3/4",
    ),
    (
        "abc_pickup3.abc", "4/4", "D4 E4 F#4",
        "G4 G4 B4 A4 G4 A4 A4 C5 B4 A4 G4 G4 G4 B4 D5 G5 D4 E4 F#4",
        [0, 4, 8, 12, 14, 16, 20, 24, 28, 30, 32, 36, 38, 40, 44, 48, 58, 60, 62], "",
    ),
    (
        "abc_triplets.abc", "4/4", "",
        "A4 B4 C#5 D5 E5 F#5 G5 F#5 G5 F#5 E5 D5 C#5 B4 A4 G4 F#4 G4 A4 D5 F#5 E5 D5 A4 D5 D5",
        None, "of its 26 notes lie beside the grid",
    ),
    ("mid_triplets.mid", "4/4", "", f"{SCALE} D5 E5 F5 G5", None, "8 of its 12 notes lie beside the grid"),
    (
        "abc_K_clef8.abc", "4/4", "", "G3 A3 B3 C4 D4 E4 F#4 G4 G4 F#4 E4 D4 C4 B3 A3 G3", EIGHTHS, "",
    ),
    ("abc_K_none.abc", "4/4", "", UP_DOWN, EIGHTHS, ""),
    ("abc_K_extra.abc", "4/4", "", "A4 B4 C5 D5 E5 F5 G#5 A5 A5 G#5 F5 E5 D5 C5 B4 A4", EIGHTHS, ""),
    ("abc_K_HP.abc", "4/4", "", "A4 B4 C#5 D5 E5 F#5 G5 A5 A5 G5 F#5 E5 D5 C#5 B4 A4", EIGHTHS, ""),
    ("abc_tie_acc.abc", "4/4", "", "C4 F#4 G4 C4", [0, 12, 24, 32], ""),
    ("abc_M_sum.abc", "5/8", "", f"{SCALE} D5 E5", EIGHTHS[:10], ""),
    ("abc_Z_rest1.abc", "4/4", "", f"{UP_DOWN} C4", [*EIGHTHS[:8], *range(32, 48, 2), 48], ""),
    (
        "abc_overlay.abc", "4/4", "", f"C5 D5 E5 C5 G4 {SCALE}",
        [0, 2, 4, 6, 8, *range(16, 32, 2)], "the second voice of a bar, after &, is left out",
    ),
    (
        "abc_inline_voices.abc", "4/4", "", "C5 D5 E5 C5 G4 C5 D5 E5 C5 G4",
        [0, 2, 4, 6, 8, 16, 18, 20, 22, 24], "the first of 2 voices",
    ),
    ("abc_fileheader.abc", "4/4", "", "D4 E4 F#4 G4 A4 B4 C#5 D5 D5 C#5 B4 A4 G4 F#4 E4 D4", EIGHTHS, ""),
    ("abc_finalshort.abc", "4/4", "", f"{UP_DOWN} {UP_DOWN} C4", [*range(0, 64, 2), 64], ""),
    (
        "abc_keychange.abc", "4/4", "", "G4 A4 B4 C5 D5 G4 D4 E4 F#4 G4 A4 D4",
        [0, 2, 4, 6, 8, 16, 32, 34, 36, 38, 40, 48], "the key changes, at bar 3 (line 8) to D major",
    ),
    ("abc_cr_two.abc", "4/4", "", UP_DOWN, EIGHTHS, "the first of 2 tunes"),
    ("abc_chord.abc", "4/4", "", "A4 G4 G4", [0, 8, 16], "1 chord, at bar 2 (line 6): the highest note"),
    ("abc_short_motif.abc", "4/4", "", "C4 D4 E4 F4 G4", EIGHTHS[:5], ""),
    ("xml_forward_end.musicxml", "4/4", "", "C4 D4 E4 F4 G4 A4 B4", [0, 4, 8, 16, 20, 24, 28], ""),
    ("xml_pickup_split.musicxml", "4/4", "G4", "C5 D5 E5 F5 G5 F5 E5", QUARTERS[:7], ""),
    ("xml_pickup_metre.musicxml", "4/4", "G4", "C5 D5 E5 F5 G5 F5 E5 D5", QUARTERS[:8], ""),
    ("xml_metre_223.musicxml", "7/8", "", f"{SCALE} B4 A4 G4 F4 E4 D4", EIGHTHS[:14], ""),
    ("xml_repeat_times3.musicxml", "4/4", "", "C4 D4 E4 F4 " * 3 + "G4 A4 B4 C5", QUARTERS, ""),
    ("mid_bad_keysig.mid", "4/4", "", SCALE, EIGHTHS[:8], "a key signature that means nothing"),
    ("mid_bad_byte.mid", "4/4", "", SCALE, EIGHTHS[:8], "bytes above 127 count as 127"),
    ("mid_alien_chunk.mid", "4/4", "", SCALE, EIGHTHS[:8], "1 chunk that is no track: skipped"),
    ("mid_program_change.mid", "4/4", "", f"{SCALE} {SCALE}", EIGHTHS, ""),
    ("mid_legato.mid", "4/4", "", SCALE, QUARTERS[:8], "7 notes cut where the next begins"),
    ("mid_zero_length.mid", "4/4", "", "C4 D4 E4 F4 G4", QUARTERS[:5], "1 note without length: kept"),
    ("mid_melody_bass.mid", "4/4", "", SCALE, EIGHTHS[:8], "the one named 'MELODY'"),
    ("mid_with_drums.mid", "4/4", "", SCALE, EIGHTHS[:8], "drums are left out"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "meter", "before", "notes", "starts", "says"), RIGHT)
def test_a_file_is_read_as_it_was_written(
    name: str, meter: str, before: str, notes: str, starts: list[int] | None, says: str
) -> None:
    song = read_song(FILES / name, Vocabulary(0, 128))
    assert str(song.melody.meter) == meter
    assert (pickup(song), pitches(song)) == (tones(before), tones(notes))
    assert starts is None or onsets(song) == starts
    remarks = [remark for remark in song.remarks if remark != "repeats expanded"]
    assert any(says in remark for remark in remarks) if says else not remarks


def test_every_fixture_has_its_right_value() -> None:
    tested = {row[0] for row in RIGHT} | {"abc_pickup_eachpart.abc"}
    assert {file.name for file in FILES.iterdir()} == tested


def test_pickups_of_later_parts_keep_their_notes_and_the_bar_lines() -> None:
    song = read_song(FILES / "abc_pickup_eachpart.abc")
    assert pickup(song) == tones("G4")
    bars: list[list[int]] = [[] for _ in range(11)]
    for pitch, start, _ in song.melody.notes(0):
        bars[start // 16].append(pitch)
    up, down = tones(SCALE), tones(SCALE)[::-1]
    assert bars == [
        up, down, tones("G4"), up, down, tones("A4 B4"), down, tones("C4 D4 E4 F4 G4"),
        tones("A4 B4"), down, tones("C4 D4 E4 F4 G4"),
    ]  # fmt: skip
    assert any("silence fills it before its notes" in remark for remark in song.remarks)


def test_keys_are_those_of_the_files() -> None:
    keys = {"abc_K_clef8.abc": "G major", "abc_K_none.abc": "", "mid_ts_in_track2.mid": "G major"}
    keys |= {"abc_K_extra.abc": "A minor", "abc_keychange.abc": "G major"}
    assert {name: read_song(FILES / name).key for name in keys} == keys


# Independent truths.


def mido_notes(path: Path) -> tuple[int, list[tuple[int, int]]]:
    """(ticks a quarter, (tick, pitch) of every note-on outside channel 10), by mido."""
    file = mido.MidiFile(path, clip=True)
    found = []
    for track in file.tracks[:1] if "bass" in path.name else file.tracks:
        now = 0
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity and message.channel != 9:
                found.append((now, message.note))
    return file.ticks_per_beat, sorted(found)


@pytest.mark.parametrize("path", sorted(FILES.glob("*.mid")), ids=lambda path: path.name)
def test_mido_agrees_on_pitches_and_onsets(path: Path) -> None:
    try:
        ticks, found = mido_notes(path)
    except Exception:
        assert path.name in ("mid_alien_chunk.mid", "mid_bad_keysig.mid")  # which mido refuses
        return
    song = read_as_written(path)
    before = len(song.pickup)
    heard = [*([(0, 67)] if before else []), *((start + before, p) for p, start, _ in song.melody.notes(0))]
    assert heard == [(int(4 * tick / ticks + 0.5), pitch) for tick, pitch in found]


def xml_bars(path: Path) -> list[list[tuple[float, int]]]:
    """(onset in quarters, pitch) in each written measure of a score of one voice without chords, ties left out."""
    root = ElementTree.parse(path).getroot()
    bars, divisions = [], 1
    for measure in root.iter("measure"):
        now, bar = 0, []
        for element in measure:
            divisions = int(element.findtext("divisions", str(divisions)))
            if element.tag == "note" and element.find("pitch") is not None:
                step, octave = element.findtext("pitch/step", ""), element.findtext("pitch/octave", "")
                bar.append((now / divisions, tones(f"{step}{octave}")[0]))
            now += int(element.findtext("duration", "0"))
        bars.append(bar)
    return bars


@pytest.mark.parametrize("name", ["xml_forward_end", "xml_metre_223", "xml_pickup_metre"])
def test_a_reader_bar_by_bar_agrees_on_scores(name: str) -> None:
    song = read_as_written(FILES / f"{name}.musicxml")
    size = song.melody.meter.steps_per_bar
    bars = xml_bars(FILES / f"{name}.musicxml")
    if song.pickup:
        assert [pitch for _, pitch in bars.pop(0)] == pickup(song)
    assert [(start, pitch) for pitch, start, _ in song.melody.notes(0)] == [
        (number * size + round(4 * onset), pitch) for number, bar in enumerate(bars) for onset, pitch in bar
    ]


# Others of the same kinds.


def abc(
    tmp_path: Path, music: str, key: str = "C", meter: str = "4/4", unit: str = "L:1/8\n", head: str = ""
) -> Song:
    file = tmp_path / "tune.abc"
    file.write_text(f"{head}X:1\nT:t\nM:{meter}\n{unit}K:{key}\n{music}\n", newline="")
    return read_song(file, Vocabulary(0, 128))


@pytest.mark.parametrize(
    ("key", "notes"),
    [
        ("Amix", "A4 B4 C#5 D5 E5 F#5 G5 A5"),
        ("A Mixolydian", "A4 B4 C#5 D5 E5 F#5 G5 A5"),
        ("Ador clef=treble", "A4 B4 C5 D5 E5 F#5 G5 A5"),
        ("A octave=-1", "A3 B3 C#4 D4 E4 F#4 G#4 A4"),
        ("A transpose=2", "B4 C#5 D#5 E5 F#5 G#5 A#5 B5"),
        ("A exp _b", "A4 Bb4 C5 D5 E5 F5 G5 A5"),
        ("clef=bass", "A4 B4 C5 D5 E5 F5 G5 A5"),
        ("Hp", "A4 B4 C#5 D5 E5 F#5 G5 A5"),
        ("A treble+8", "A5 B5 C#6 D6 E6 F#6 G#6 A6"),
        ("Dphr ^f", "A4 Bb4 C5 D5 Eb5 F#5 G5 A5"),
    ],
)
def test_the_whole_key_field_counts(key: str, notes: str, tmp_path: Path) -> None:
    assert pitches(abc(tmp_path, "ABcd efga|", key)) == tones(notes)


@pytest.mark.parametrize(
    ("meter", "music", "says"),
    [
        ("C", "C8|D8|", "4/4"), ("C|", "C8|D8|", "2/2"), ("2+2+3/8", "C7|D7|", "7/8"), ("(3+2)/8", "C5|D5|", "5/8"),
        ("none", "C6|D6|E6|", "3/4"), ("none", "C6|D2|E3|F4|", "4/4"), ("6/8", "C6|D6|", "6/8"),
    ],
)  # fmt: skip
def test_the_whole_metre_field_counts(meter: str, music: str, says: str, tmp_path: Path) -> None:
    assert str(abc(tmp_path, music, meter=meter).melody.meter) == says


def test_without_a_unit_short_metres_have_sixteenths(tmp_path: Path) -> None:
    assert onsets(abc(tmp_path, "CDEF GABc|", meter="2/4", unit="")) == list(range(8))
    assert onsets(abc(tmp_path, "CDEFGA|", meter="3/4", unit="")) == list(range(0, 12, 2))


def test_broken_rhythm_may_stand_in_spaces(tmp_path: Path) -> None:
    assert onsets(abc(tmp_path, "C > D E<F G2 A2|")) == [0, 3, 4, 5, 8, 12]


def test_comments_empty_lines_and_carriage_returns_are_no_music(tmp_path: Path) -> None:
    assert pitches(abc(tmp_path, "CDEF % |ABcd|\r\n%%MIDI program 1\r\nGABc|\r\n")) == tones(SCALE)


def test_third_endings_and_da_capo_are_played(tmp_path: Path) -> None:
    assert pitches(abc(tmp_path, "|:C8|1 D8:|2 E8:|3 F8|]")) == tones("C4 D4 C4 E4 C4 F4")
    assert pitches(abc(tmp_path, "|:C8|1,2 D8:|3 F8|]")) == tones("C4 D4 C4 D4 C4 F4")
    assert pitches(abc(tmp_path, "C8|D8 !fine!|E8 !D.C.!|")) == tones("C4 D4 E4 C4 D4")


def test_a_tie_from_a_pickup_is_one_note_in_the_song_and_the_primer(tmp_path: Path) -> None:
    song = abc(tmp_path, "E2-|E4 F4|G8|")
    assert (pickup(song), pitches(song)) == (tones("E4"), tones("F4 G4"))
    assert song.melody.events[0].tolist()[:8] == [1] * 8  # held


def score(measures: str, attributes: str = "") -> str:
    attributes = (
        attributes or "<key><fifths>0</fifths></key><time><beats>4</beats><beat-type>4</beat-type></time>"
    )
    first = f"<attributes><divisions>1</divisions>{attributes}</attributes>"
    body = measures.replace("<measure>", f"<measure>{first}", 1)
    parts = '<part-list><score-part id="P1"><part-name>p</part-name></score-part></part-list>'
    return f'<score-partwise>{parts}<part id="P1">{body}</part></score-partwise>'


def xml_notes(names: str, duration: int = 1) -> str:
    return "".join(
        f"<note><pitch><step>{name[0]}</step><octave>{name[1]}</octave></pitch><duration>{duration}</duration></note>"
        for name in names.split()
    )


def xml(tmp_path: Path, measures: str, attributes: str = "") -> Song:
    file = tmp_path / "score.musicxml"
    file.write_text(score(measures, attributes))
    return read_as_written(file)


def test_a_forward_of_two_bars_is_two_bars_of_silence(tmp_path: Path) -> None:
    silence = "<measure><forward><duration>8</duration></forward></measure>"
    song = xml(
        tmp_path, f"<measure>{xml_notes('C4', 4)}</measure>{silence}<measure>{xml_notes('D4', 4)}</measure>"
    )
    assert onsets(song) == [0, 48]


def test_dal_segno_goes_to_the_segno_and_ends_at_fine(tmp_path: Path) -> None:
    def direction(sound: str) -> str:
        return f"<direction><sound {sound}/></direction>"

    bars = [
        xml_notes("C4", 4), direction('segno="s"') + xml_notes("D4", 4), xml_notes("E4", 4) + direction('fine="yes"'),
        xml_notes("F4", 4) + direction('dalsegno="s"'),
    ]  # fmt: skip
    song = xml(tmp_path, "".join(f"<measure>{bar}</measure>" for bar in bars))
    assert pitches(song) == tones("C4 D4 E4 F4 D4 E4")


def test_of_two_voices_the_first_is_the_melody(tmp_path: Path) -> None:
    low = xml_notes("C3", 4).replace("</duration>", "</duration><voice>2</voice>")
    back = "<backup><duration>4</duration></backup>"
    song = xml(tmp_path, f"<measure>{xml_notes('C4 D4 E4 F4')}{back}{low}</measure>")
    assert pitches(song) == tones("C4 D4 E4 F4")
    assert song.remarks == ("1 notes of other voices are left out",)


def test_a_bar_that_is_not_filled_is_filled_and_said(tmp_path: Path) -> None:
    song = xml(
        tmp_path,
        "".join(f"<measure>{xml_notes(n)}</measure>" for n in ("C4 D4 E4 F4", "G4 A4", "B4 C5 D5 E5")),
    )
    assert onsets(song) == [0, 4, 8, 12, 16, 20, 32, 36, 40, 44]
    assert song.remarks == ("bar 2 is shorter than 4/4: filled with silence",)


def test_a_packed_score_is_found_whatever_its_container_says(tmp_path: Path) -> None:
    content = score(f"<measure>{xml_notes('C4 D4 E4 F4')}</measure>").encode()
    for name, container in (("a.xml", b""), ("b.mxl", b"<container"), ("c.mxl", b'full-path="no.xml"')):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as file:
            file.writestr("META-INF/container.xml", container)
            file.writestr("other.txt", "no score")
            file.writestr("score.xml", content)
        (tmp_path / name).write_bytes(packed.getvalue())
        assert pitches(read_as_written(tmp_path / name)) == tones("C4 D4 E4 F4")
    (tmp_path / "d.musicxml").write_bytes(
        b" \n" + content.replace(b"<part-name>p", b"<part-name>Q & A") + b"\0\0"
    )
    assert pitches(read_as_written(tmp_path / "d.musicxml")) == tones("C4 D4 E4 F4")


def midi(tmp_path: Path, *tracks: list[mido.Message | mido.MetaMessage], kind: int = 1) -> Path:
    file = mido.MidiFile(type=kind, ticks_per_beat=480)
    file.tracks += [mido.MidiTrack(track) for track in tracks]
    file.save(tmp_path / "song.mid")
    return tmp_path / "song.mid"


def played(names: str, ticks: int = 480, channel: int = 0) -> list[mido.Message]:
    return [
        mido.Message(kind, note=pitch, channel=channel, velocity=90, time=wait)
        for pitch in tones(names)
        for kind, wait in (("note_on", 0), ("note_off", ticks))
    ]


def test_tracks_are_listed_chosen_by_name_or_number_and_never_drums(tmp_path: Path) -> None:
    def named(name: str, notes: list[mido.Message]) -> list[mido.Message]:
        return [mido.MetaMessage("track_name", name=name), *notes]

    file = midi(
        tmp_path, [mido.MetaMessage("set_tempo", tempo=500_000)], named("Piano", played("C4 D4")),
        named("Strings", played("C3 G3 C3")), named("Kit", played("C2", channel=9)),
    )  # fmt: skip
    with pytest.raises(InputError) as refused:
        read_song(file)
    assert "1 'Piano' (2 notes, C4 to D4), 2 'Strings' (3 notes, C3 to G3)" in str(refused.value)
    assert "Kit" not in str(refused.value)
    for track in ("2", "strings", "Str"):
        assert pitches(read_song(file, track=track)) == tones("C3 G3 C3")
    with pytest.raises(InputError, match="no track 'Flute'"):
        read_song(file, track="Flute")


def test_a_c_major_signature_is_distrusted_where_the_notes_contradict_it(tmp_path: Path) -> None:
    default = [mido.MetaMessage("key_signature", key="C")]
    assert read_song(midi(tmp_path, default + played("C4 D4 E4 F4 G4 A4 B4 C5"))).key == "C major"
    song = read_song(midi(tmp_path, default + played("D4 E4 F#4 G4 A4 B4 C#5 D5")))
    assert song.key == ""
    assert any("2 of its 8 notes are not of that scale" in remark for remark in song.remarks)


def test_bound_notes_downwards_are_cut_and_notes_under_others_left_out(tmp_path: Path) -> None:
    def on(name: str, time: int) -> mido.Message:
        return mido.Message("note_on", note=tones(name)[0], velocity=90, time=time)

    def off(name: str, time: int) -> mido.Message:
        return mido.Message("note_off", note=tones(name)[0], time=time)

    bound = [on("E4", 0), on("D4", 480), off("E4", 130), on("C4", 350), off("D4", 130), off("C4", 350)]
    song = read_song(midi(tmp_path, bound))
    assert song.melody.notes(0) == [(64, 0, 4), (62, 4, 8), (60, 8, 12)]
    under = [on("C5", 0), on("C4", 240), off("C4", 240), off("C5", 480), *played("D5")]
    assert pitches(read_song(midi(tmp_path, under))) == tones("C5 D5")


def test_wrapped_cut_and_hanging_midi_is_read(tmp_path: Path) -> None:
    whole = midi(tmp_path, played("C4 D4 E4 F4")).read_bytes()
    chunk = b"data" + len(whole).to_bytes(4, "little") + whole
    (tmp_path / "a.rmi").write_bytes(b"RIFF" + (len(chunk) + 4).to_bytes(4, "little") + b"RMID" + chunk)
    assert pitches(read_song(tmp_path / "a.rmi")) == tones("C4 D4 E4 F4")
    (tmp_path / "cut.mid").write_bytes(whole[:-9])
    song = read_song(tmp_path / "cut.mid")
    assert pitches(song) == tones("C4 D4 E4 F4")
    assert any("cut short" in remark for remark in song.remarks)


# A corpus, and commands.


def corpus_of(name: str) -> str:
    kind = "midi" if name.endswith("mid") else "musicxml"
    return parse_item(Item(kind, name, str(FILES / name)), Vocabulary())[0].outcome


def test_a_corpus_leaves_out_what_would_teach_wrong_things_and_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "tunes"
    folder.mkdir()
    for kind in (
        "abc_keychange.abc",
        "abc_triplets.abc",
        "abc_cr_two.abc",
        "mid_metre*.mid",
        "mid_melody*.mid",
    ):
        (name,) = (file.name for file in FILES.glob(kind))
        (folder / name).write_bytes((FILES / name).read_bytes())
    corpus = load_corpus(folder, cache_dir=tmp_path / "cache", progress=False, quiet=True)
    assert len(corpus.tunes) == 3
    assert corpus.left_out == [
        "abc_keychange.abc: key changes", "abc_triplets.abc: off the grid", "mid_melody_bass.mid (BASS): accompaniment",
        "mid_metre_change.mid: metre changes",
    ]  # fmt: skip
    assert load_corpus(folder, cache_dir=tmp_path / "cache", progress=False, quiet=True) == corpus
    assert corpus_of("xml_pickup_metre.musicxml") == corpus_of("mid_pickup_musescore.mid") == "kept"


def test_a_midi_corpus_keeps_its_pickup(tmp_path: Path) -> None:
    file = midi(
        tmp_path, [mido.Message("note_on", note=60, velocity=0, time=1440), *played("G4 C5 D5 E5 C5")]
    )
    (found,) = parse_item(Item("midi", "a.mid", str(file)), Vocabulary())
    assert found.tune is not None
    assert found.tune.pickup == (67 - 46, 1, 1, 1)
    assert found.tune.events[::4] == tuple(pitch - 46 for pitch in tones("C5 D5 E5 C5"))


def test_explain_writes_the_pickup_and_what_was_said(tmp_path: Path) -> None:
    main(["rules", "explain", str(FILES / "abc_pickup_eachpart.abc"), "--json", str(tmp_path / "a.json")])
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["meter"] == "4/4"
    assert [(e["bar"], e["beat"], e["step"], e["event"], e["rules"]) for e in found["pickup"]] == [
        (0, 4, 1, "G4", {}), (0, 4, 2, "hold", {}), (0, 4, 3, "hold", {}), (0, 4, 4, "hold", {}),
    ]  # fmt: skip
    assert (found["events"][0]["bar"], found["events"][0]["event"]) == (1, "C4")
    assert any("silence fills it" in line for line in found["remarks"])


@pytest.mark.parametrize("name", ["nowhere.abc", "folder", "song.mp3", "song.pdf"])
def test_what_cannot_be_read_says_what_can(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "song.mp3").write_bytes(b"ID3\0")
    (tmp_path / "song.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(SystemExit):
        main(["rules", "explain", str(tmp_path / name)])
    said = " ".join(capsys.readouterr().err.split())
    assert name in said
    assert ".mid, .midi" in said


def test_evaluate_judges_every_tune_of_a_tunebook() -> None:
    source = read_source(str(FILES / "abc_cr_two.abc"), 0, 0)
    assert len(source.melodies) == 2
    assert source.melodies.meter == Meter()
    assert len(read_songs(FILES / "abc_cr_two.abc")[0]) == 2
