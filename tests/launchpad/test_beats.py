"""The beat domain: what overlaps, what is a bar, what undoes itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Board
from rltuner.launchpad.board.midi import midi_bytes, nearest_state, notes_of, read_bar

SIZES = [(1, 1), (1, 2), (3, 4), (24, 6)]


@pytest.mark.parametrize(("notes", "levels"), SIZES)
def test_beats_never_overlap_and_their_sum_is_the_whole_bar(notes: int, levels: int) -> None:
    board = Board(notes, levels, 40)
    patterns = [int(p) for p in board.patterns]
    assert len(patterns) == levels + 1
    assert sum(patterns) == 2**board.steps - 1  # a sum without carries: each step once
    assert sum(bin(p).count("1") for p in patterns) == board.steps


def test_a_beat_sounds_where_the_paper_draws_it() -> None:
    cells = Board().roll(Board().patterns)
    assert [np.flatnonzero(row)[:3].tolist() for row in cells] == [
        [1, 3, 5], [2, 6, 10], [4, 12, 20], [8, 24, 40], [16, 48], [32], [0],
    ]  # fmt: skip


def test_the_usual_board_and_the_small_one_have_the_papers_sizes() -> None:
    board = Board()
    assert (board.actions, board.steps, board.beats, board.inputs) == (313, 64, 7, 312)
    assert [board.name(note) for note in (0, 1, 13, 23)] == ["B2", "C3", "C4", "A♯4"]  # MIDI 47, 48, 60, 70
    small = Board(1, 2, 60)
    assert (small.codes, small.actions) == (32, 6)


@pytest.mark.parametrize(("notes", "levels"), SIZES)
def test_every_code_is_its_beats_shifted_by_its_offset(notes: int, levels: int) -> None:
    board = Board(notes, levels, 40)
    cells = board.roll(board.words)
    for code in range(0, board.codes, 7):
        on = [beat for beat in range(board.beats) if code >> (levels + beat) & 1]
        plain = board.roll(board.patterns[on]).any(axis=0) if on else np.zeros(board.steps, dtype=bool)
        assert (cells[code] == np.roll(plain, code & (board.steps - 1))).all()


@given(st.integers(0, 2**32), st.integers(0, 312))
def test_a_toggle_undoes_itself_and_an_offset_comes_round(seed: int, action: int) -> None:
    board = Board()
    state = board.random(np.random.default_rng(seed), 1)[0]
    press = action % board.presses
    times = (
        1 if action == board.nothing else 2 if press < board.beats else board.steps >> (press - board.beats)
    )
    after = state
    for turn in range(times):
        after = board.press(after, action)
        if action != board.nothing:
            assert (after == state).all() == (turn == times - 1)
    assert (after == state).all()
    assert (state != board.press(state, action)).sum() == (action != board.nothing)


def test_an_action_that_the_board_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="0 to 312"):
        Board().press(np.zeros(24, dtype=np.int32), 313)
    with pytest.raises(InputError, match="levels = 7"):
        Board(levels=7)


def test_bars_are_the_same_notes_in_midi_and_come_back_exactly(tmp_path: object) -> None:
    import io

    import pretty_midi

    board = Board()
    words = board.words[board.random(np.random.default_rng(3), 5)]
    midi = pretty_midi.PrettyMIDI(io.BytesIO(midi_bytes(board, words, 97.0)))
    per_step = midi.resolution * 4 / 64
    cells = np.zeros((24, 5 * 64), dtype=bool)
    for note in midi.instruments[0].notes:
        first, last = (midi.time_to_tick(time) / per_step for time in (note.start, note.end))
        assert first == round(first)
        assert last == round(last)
        cells[note.pitch - 47, round(first) : round(last)] = True
    assert (cells == board.roll(words).transpose(1, 0, 2).reshape(24, -1)).all()


def test_cells_in_a_row_are_one_note_also_over_a_bar_line() -> None:
    board = Board()
    words = np.zeros((2, 24), dtype=np.uint64)
    words[0, 5], words[1, 5] = 1 << 63, 0b111
    assert notes_of(board, words) == [(52, 63, 67)]


def test_a_bar_that_the_board_played_is_loaded_as_it_was(tmp_path) -> None:  # type: ignore[no-untyped-def]
    board = Board()
    words = board.words[board.random(np.random.default_rng(4), 1)]
    (tmp_path / "bar.mid").write_bytes(midi_bytes(board, words, 120))
    found = read_bar(board, tmp_path / "bar.mid")
    assert (found == words[0]).all()
    assert (board.words[nearest_state(board, found)] == words[0]).all()
