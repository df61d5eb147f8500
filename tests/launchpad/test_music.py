"""Bars of real music: where they begin, what sounds in them, what is left out and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Board
from rltuner.launchpad.choices import BarOptions
from rltuner.launchpad.music.bars import bars_of
from rltuner.launchpad.music.corpus import load_bars
from rltuner.launchpad.music.pieces import Piece, read_piece

SOUNDING = BarOptions(cells="sounding", transpose=False)


def midi(
    file: Path, notes: list[tuple[float, float, int]], qpm: float = 90.0, signature: tuple[int, int] = (4, 4)
) -> None:
    """Notes as (start, end, pitch) in quarters."""
    made = pretty_midi.PrettyMIDI(initial_tempo=qpm)
    made.time_signature_changes.append(pretty_midi.TimeSignature(*signature, 0))
    track = pretty_midi.Instrument(0)
    for start, end, pitch in notes:
        track.notes.append(pretty_midi.Note(80, pitch, start * 60 / qpm, end * 60 / qpm))
    made.instruments.append(track)
    made.write(str(file))


CHORD = [(0.0, 2.0, 60), (0.0, 1.0, 64), (1.0, 4.0, 67), (4.0, 8.0, 48), (4.0, 6.0, 55)]


def test_a_polyphonic_file_is_cut_into_bars_of_64_steps(tmp_path: Path) -> None:
    midi(tmp_path / "two.mid", CHORD)
    words, left_out = bars_of(read_piece(tmp_path / "two.mid"), Board(), SOUNDING)
    cells = Board().roll(words)
    assert cells.shape == (2, 24, 64)
    assert not left_out
    assert np.flatnonzero(cells[0, 60 - 47]).tolist() == list(range(32))
    assert np.flatnonzero(cells[0, 67 - 47]).tolist() == list(range(16, 64))
    assert cells[1].sum() == 64 + 32
    onsets, _ = bars_of(read_piece(tmp_path / "two.mid"), Board(), BarOptions(transpose=False))
    assert [(int(note) + 47, int(step)) for note, step in np.argwhere(Board().roll(onsets)[0])] == [
        (60, 0), (64, 0), (67, 16),
    ]  # fmt: skip


def test_too_few_cells_too_few_keys_and_other_metres_are_left_out_and_counted(tmp_path: Path) -> None:
    piece = Piece(
        [(0, 8, 60), (0, 8, 64), (64, 128, 60), (128, 150, 60), (128, 150, 62)], [0.0, 64.0, 128.0], 3, 0
    )
    words, left_out = bars_of(piece, Board(), SOUNDING)
    assert len(words) == 1
    assert left_out == {"fewer than 20 cells": 1, "fewer than 2 keys": 1, "not 4/4": 3}
    midi(tmp_path / "waltz.mid", [(0, 3, 60), (0, 3, 64)], signature=(3, 4))
    with pytest.raises(InputError, match=r"no usable bar.*not 4/4 1"):
        load_bars(str(tmp_path), cache_dir=tmp_path / "cache", quiet=True)


def test_notes_are_moved_to_one_key_and_folded_into_the_board() -> None:
    piece = Piece([(0, 32, 62), (0, 32, 62 + 36), (0, 32, 26)], [0.0], 0, 2)  # D major
    rows = np.flatnonzero(bars_of(piece, Board(), BarOptions("sounding"))[0][0])
    assert {int(row + 47) % 12 for row in rows} == {0}  # D became C
    assert all(0 <= row < 24 for row in rows)
    plain = bars_of(piece, Board(), BarOptions("sounding", transpose=False, fold=False, least_keys=1))[0]
    assert np.flatnonzero(plain[0]).tolist() == [62 - 47]


def test_a_tempo_is_estimated_where_the_file_gives_none(tmp_path: Path) -> None:
    import mido

    midi(tmp_path / "with.mid", [(i / 2, i / 2 + 0.4, 60 + i % 3) for i in range(64)], qpm=100)
    assert read_piece(tmp_path / "with.mid").qpm == 0
    file = mido.MidiFile(tmp_path / "with.mid")
    for track in file.tracks:
        track[:] = [message for message in track if message.type != "set_tempo"]
    file.save(tmp_path / "without.mid")
    piece = read_piece(tmp_path / "without.mid")
    assert piece.qpm > 0
    assert piece.bars


def test_broken_files_are_named_and_the_rest_is_read_and_cached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    midi(folder / "good.mid", CHORD)
    (folder / "bad.mid").write_bytes(b"MThd")
    (folder / "bad.musicxml").write_text("<score")
    first = load_bars(str(folder), cache_dir=tmp_path / "cache")
    said = capsys.readouterr().err
    assert "left out: bad.mid: " in said
    assert "left out: bad.musicxml: " in said
    assert first.counts["broken"] == 2
    again = load_bars(str(folder), cache_dir=tmp_path / "cache", quiet=True)
    assert (again.words == first.words).all()
    assert again.counts == first.counts
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_what_is_no_corpus_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="use chorales, tunebooks, or give a folder"):
        load_bars(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"no file in it ends in \.mid"):
        load_bars(str(tmp_path))
