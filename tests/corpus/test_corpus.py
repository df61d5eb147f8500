"""Corpora: folders of tunes, the cache, processes, and broken files."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pretty_midi
import pytest
from generators import onsets

from rltuner.corpus import corpora as corpus_module
from rltuner.corpus.corpora import TERMS, load_corpus
from rltuner.corpus.files import NAMED
from rltuner.corpus.parse_worker import parse_task
from rltuner.corpus.workers import Failed
from rltuner.errors import InputError
from rltuner.melody import NO_EVENT, NOTE_OFF, Meter, Vocabulary
from rltuner.melody.tunes import save_tunes
from rltuner.reading import parse as parse_module
from rltuner.reading.songs import read_song
from rltuner.reading.time_limit import OutOfTimeError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "corpus"


def load(folder, cache, **options):
    return load_corpus(folder, cache_dir=cache, progress=False, **options)


def test_a_broken_tune_is_counted_and_named_and_its_neighbours_live(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "tunes"
    shutil.copytree(FIXTURES, folder)
    (folder / "noise.mid").write_bytes(b"MThd this is no MIDI file")
    (folder / "letter.abc").write_text("Dear reader,\n")
    (folder / "half.musicxml").write_text("<score-partwise><part>")
    (folder / "readme.txt").write_text("not a tune")
    corpus = load(folder, tmp_path / "cache")
    assert [tune.title for tune in corpus.tunes] == ["The Countable Reel", "A Waltz to Count"]
    assert corpus.counts == {
        "found": 7,
        "kept": 2,
        "broken": 4,
        "dropped: bars do not add up": 1,
        "repeats expanded": 2,
    }
    assert sorted(line.split(":")[0] for line in corpus.broken) == [
        "half.musicxml",
        "letter.abc",
        "noise.mid",
        "three.abc #2",
    ]
    assert all("\n" not in line and str(tmp_path) not in line for line in corpus.broken)
    printed = capsys.readouterr().err
    assert "noise.mid" in printed
    assert "broken 4" in printed.replace("\n", " ")


def test_a_whole_abc_tune_note_by_note(tmp_path: Path) -> None:
    reel = load(FIXTURES, tmp_path, quiet=True).tunes[0]
    # D major to C: down two semitones. F A d A is E G c G; two bars, first ending; two bars, second ending.
    first, second = [64, 67, 72, 67, 64, 67, 72, 67], [69, 65, 72, 65, 69, 65, 72, 65]
    one, two = [64, 67, 72, 67, 64, 65, 67, 65], [64, 67, 72, 67, 72]
    assert onsets(reel.events) == first + second + one + first + second + two
    assert reel.credit == "Transcribed by nobody in particular; checked by hand"
    assert (reel.source, reel.key, reel.meter) == ("three.abc #1", "D major", Meter(16, 4))


def test_musicxml(tmp_path: Path) -> None:
    waltz = load(FIXTURES, tmp_path, quiet=True).tunes[1]
    # G major to C: a fourth up would take high G out of range, so a fifth down. The pickup and the grace note
    # go, of the chord B stays, the tie holds, two bars are repeated.
    part = (71 - 7 - 46, 1, 1, 1, 69 - 7 - 46, 1, 1, 1, NOTE_OFF, 1, 67 - 7 - 46, 1, *[NO_EVENT] * 12)
    assert waltz.events == (*part, *part, 79 - 7 - 46, *[NO_EVENT] * 11)
    assert (waltz.meter, waltz.key, waltz.source) == (Meter(12, 4), "G major", "waltz.musicxml")


def midi_file(path, tracks, key=None, signature=(4, 4)):
    """Notes are (pitch, start, end) in sixteenths, at 120 quarters a minute: an eighth of a second each."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    midi.time_signature_changes.append(pretty_midi.TimeSignature(*signature, 0))
    if key is not None:
        midi.key_signature_changes.append(pretty_midi.KeySignature(key, 0))
    for name, notes in tracks.items():
        instrument = pretty_midi.Instrument(0, name=name)
        instrument.notes = [pretty_midi.Note(90, pitch, start / 8, end / 8) for pitch, start, end in notes]
        midi.instruments.append(instrument)
    midi.write(str(path))


def test_a_midi_folder(tmp_path: Path) -> None:
    folder = tmp_path / "midi"
    (folder / "deep").mkdir(parents=True)
    pickup = [(69, 14, 16), (74, 16, 24), (78, 28, 32)]  # A before the bar line, then D, silence, F sharp
    midi_file(folder / "deep" / "air.mid", {"": pickup}, key=2)
    corpus = load(folder, tmp_path / "cache", quiet=True)
    (air,) = corpus.tunes
    assert air.events == (72 - 46, *[1] * 7, NOTE_OFF, 1, 1, 1, 76 - 46, 1, 1, 1)  # D major to C
    assert (air.title, air.source, air.key) == ("air", "deep/air.mid", "D major")


def test_midi_without_a_key_signature_is_estimated(tmp_path: Path) -> None:
    scale = [62, 64, 66, 67, 69, 71, 73, 74, 69, 66, 62]  # D major
    midi_file(tmp_path / "scale.mid", {"": [(p, 2 * i, 2 * i + 2) for i, p in enumerate(scale)]})
    (tune,) = load(tmp_path, tmp_path / "cache", quiet=True).tunes
    assert tune.key == "D major"
    assert onsets(tune.events) == [pitch - 2 for pitch in scale]


def test_polyphonic_midi_gives_one_melody_a_track(tmp_path: Path) -> None:
    top = [(72, 0, 4), (74, 4, 8), (76, 8, 12), (77, 12, 16)]
    chords = [*top, (60, 0, 16), (64, 0, 4), (65, 4, 8)]
    bass = [(48, 0, 8), (55, 8, 16)]
    midi_file(tmp_path / "duo.mid", {"piano": chords, "bass": bass}, key=0)
    corpus = load(tmp_path, tmp_path / "cache", quiet=True)
    assert {tune.title: onsets(tune.events) for tune in corpus.tunes} == {
        "duo (piano)": [72, 74, 76, 77],
        "duo (bass)": [48, 55],
    }
    assert {tune.source for tune in corpus.tunes} == {"duo.mid (piano)", "duo.mid (bass)"}


def test_midi_off_the_grid_is_dropped(tmp_path: Path) -> None:
    swung = [(60 + i % 5, 2 * i + (0.5 if i % 2 else 0), 2 * i + 2) for i in range(16)]
    midi_file(tmp_path / "swung.mid", {"": swung}, key=0)
    midi_file(tmp_path / "straight.mid", {"": [(60, 0, 16)]}, key=0)
    assert load(tmp_path, tmp_path / "cache", quiet=True).counts["dropped: off the grid"] == 1


# The cache, processes, errors.


def test_the_cache_gives_the_same_corpus_without_parsing(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "tunes"
    shutil.copytree(FIXTURES, folder)
    first = load(folder, tmp_path / "cache", quiet=True)
    with monkeypatch.context() as patch:
        patch.setattr(corpus_module, "parse_item", None)  # calling it is a TypeError
        again = load(folder, tmp_path / "cache", quiet=True)
        assert again == first
        assert list(again.counts) == list(first.counts)
        with pytest.raises(TypeError):  # another vocabulary, another corpus
            load(folder, tmp_path / "cache", quiet=True, vocabulary=Vocabulary(36, 96))
        text = (folder / "three.abc").read_text(encoding="utf-8")
        (folder / "three.abc").write_text(text.replace("d4|]", "D4|]"), encoding="utf-8")
        with pytest.raises(TypeError):  # other contents
            load(folder, tmp_path / "cache", quiet=True)
    assert load(folder, tmp_path / "cache", quiet=True).tunes[0] != first.tunes[0]


def test_a_damaged_cache_is_parsed_again(tmp_path: Path) -> None:
    first = load(FIXTURES, tmp_path, quiet=True)
    (cached,) = tmp_path.glob("*.safetensors")
    cached.write_bytes(cached.read_bytes()[:100])
    assert load(FIXTURES, tmp_path, quiet=True) == first
    foreign = [replace(first.tunes[0], events=(127,) * 16), *first.tunes[1:]]  # classes that there are not
    save_tunes(cached, foreign, {"counts": first.counts, "broken": first.broken})
    assert load(FIXTURES, tmp_path, quiet=True) == first


def test_processes_do_not_change_the_corpus(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for file in range(70):
        notes = " ".join("CDEFGABc"[(file * k) % 8] for k in range(1, 9))
        (folder / f"{file:02}.abc").write_text(f"X:1\nT:{file}\nM:4/4\nL:1/8\nK:C\n{notes}|\n")
    alone = load(folder, tmp_path / "1", jobs=1, quiet=True)
    assert load(folder, tmp_path / "2", jobs=2, quiet=True) == alone
    assert [tune.title for tune in alone.tunes] == [str(file) for file in range(70)]


def test_unknown_and_empty_corpora_are_one_line_errors(tmp_path: Path) -> None:
    for value, remedy in {
        "tunebook": "did you mean 'tunebooks'",
        str(tmp_path / "nowhere"): "give a folder",
        str(FIXTURES / "three.abc"): "a file, not a folder",
    }.items():
        with pytest.raises(InputError) as error:
            load(value, tmp_path)
        assert value in str(error.value)
        assert remedy in str(error.value)
        assert "\n" not in str(error.value)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="no file in it ends in"):
        load(empty, tmp_path)
    (empty / "letter.abc").write_text("Dear reader,\n")
    with pytest.raises(InputError, match=r"no usable tune \(found 1, kept 0, broken 1\)"):
        load(empty, tmp_path)


def test_airds_and_essen_print_their_terms(tmp_path: Path, monkeypatch, capsys) -> None:
    assert set(TERMS) == {"airds", "essen"} == set(NAMED) - {"tunebooks"}
    item = [("one.abc", FIXTURES / "three.abc")]
    monkeypatch.setattr(corpus_module, "files_of", lambda name: item)
    load("essen", tmp_path, quiet=True)
    assert "NON-COMMERCIAL" in capsys.readouterr().err
    load("essen", tmp_path, quiet=True)  # from the cache: the terms hold all the same
    assert "NON-COMMERCIAL" in capsys.readouterr().err
    load("tunebooks", tmp_path, quiet=True)
    assert capsys.readouterr().err == ""


def test_a_slice_of_the_tunebooks(tmp_path: Path, monkeypatch) -> None:
    files = corpus_module.files_of("tunebooks")
    assert len(files) == 39 + 1059
    chosen = [file for file in files if file[0] == "oneills1850/0626-0635.abc"]
    monkeypatch.setattr(corpus_module, "files_of", lambda name: chosen)
    corpus = load("tunebooks", tmp_path, quiet=True)
    assert corpus.counts["found"] == 10
    assert corpus.counts["kept"] >= 7
    tune = corpus.tunes[0]
    assert tune.source.startswith("oneills1850/0626-0635.abc #6")
    assert all(tune.credit for tune in corpus.tunes)


def test_what_ran_out_of_time_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tunes"
    shutil.copytree(FIXTURES, folder)

    def too_slow(seconds: float, _: object) -> None:
        raise OutOfTimeError

    with monkeypatch.context() as patch:
        patch.setattr(parse_module, "within", too_slow)
        with pytest.raises(InputError, match="no usable tune"):
            load(folder, tmp_path / "cache", quiet=True)
    assert not list((tmp_path / "cache").glob("*.safetensors"))
    first = load(folder, tmp_path / "cache", quiet=True)
    assert first.tunes
    assert not any("takes longer" in line for line in first.broken)
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 1


def test_a_worker_that_died_once_is_no_reason_to_call_a_tune_broken_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tunes"
    folder.mkdir()
    text = "\n".join(f"X:{i}\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\n" for i in range(70))
    (folder / "many.abc").write_text(text)

    def one_dies(function: object, tasks: list[object], *_: object) -> Iterator[object]:
        yield Failed("ended the process that read it (signal 9)")
        yield from (parse_task(task) for task in tasks[1:])

    with monkeypatch.context() as patch:
        patch.setattr(corpus_module, "map_guarded", one_dies)
        assert load(folder, tmp_path / "cache", quiet=True).counts["broken"] == 1
    assert "1 of 70 tunes ran out of time or memory" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setattr(corpus_module, "map_guarded", lambda f, tasks, *_: (f(task) for task in tasks))
    assert load(folder, tmp_path / "cache", quiet=True).counts["broken"] == 0


def test_a_file_of_countless_tunes_is_one_clear_line(tmp_path: Path) -> None:
    folder = tmp_path / "tunes"
    folder.mkdir()
    file = folder / "countless.abc"
    file.write_text("X:1\nK:C\nC\n" * 800_000)
    with pytest.raises(InputError, match=r"countless\.abc: it has more than 20,000 tunes; split it"):
        read_song(file)
    shutil.copy(FIXTURES / sorted(p.name for p in FIXTURES.glob("*.abc"))[0], folder)
    corpus = load(folder, tmp_path / "cache", quiet=True)
    assert corpus.broken[:1] == ["countless.abc: it has more than 20,000 tunes; split it into several files"]
