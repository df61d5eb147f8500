"""Tunes: how bars become a tune, files of tunes, windows, first bars."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rltuner.errors import InputError
from rltuner.melody import NO_EVENT, NOTE_OFF, Meter, Vocabulary
from rltuner.melody.tunes import Tune, first_bars, load_tunes, save_tunes, windows
from rltuner.reading.bars import REST, Bar, UnusableError
from rltuner.reading.encoding import encode
from rltuner.reading.layout import align
from rltuner.reading.repeats import expand_repeats

C4, D4, E4 = 60, 62, 64


def tune(events, meter=None, title="a tune"):
    return Tune(title, f"folder/{title}.abc #1", "Ann O. Nymous", meter or Meter(), tuple(events), "D dorian")


def bar(*pitches, length=4, **marks):
    """A bar of notes of equal length."""
    return Bar([(Fraction(length), pitch, False) for pitch in pitches], **marks)


def names(bars):
    """A bar's first pitch stands for the bar."""
    return [one.sounds[0][1] for one in bars]


def test_a_file_of_tunes_gives_back_what_was_saved(tmp_path: Path) -> None:
    tunes = [
        tune([14, 1, 0, 1] * 4),
        tune([16] * 12, Meter(12, 6), "Ó hUiginn's “jig”"),
        tune([], title="empty"),
    ]
    save_tunes(tmp_path / "tunes.safetensors", tunes, {"corpus": "tunebooks", "counts": {"kept": 3}})
    loaded, info = load_tunes(tmp_path / "tunes.safetensors")
    assert loaded == tunes
    assert info == {"corpus": "tunebooks", "counts": {"kept": 3}}
    assert len(set(loaded) | set(tunes)) == 3  # hashed by value
    assert [p.name for p in tmp_path.iterdir()] == ["tunes.safetensors"]  # no temporary file is left


def test_a_broken_file_of_tunes_is_an_input_error_that_names_it(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    save_tunes(good, [tune([14] * 16)], {})
    bad.write_bytes(good.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"bad\.safetensors"):
        load_tunes(bad)
    save_file({"events": torch.zeros(3)}, bad)
    with pytest.raises(InputError, match=r"bad\.safetensors: not a file of tunes"):
        load_tunes(bad)
    with pytest.raises(InputError, match=r"none\.safetensors: no such file"):
        load_tunes(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="128"):
        save_tunes(bad, [tune([128])], {})


def test_contradictory_offsets_are_refused(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    file = tmp_path / "tunes.safetensors"
    save_tunes(file, [tune([14] * 16)], {})
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    for offsets in ([0, 15], [1, 16], [0, 8, 16], [0]):
        save_file(
            {"events": torch.zeros(16, dtype=torch.int8), "offsets": torch.tensor(offsets)}, file, metadata
        )
        with pytest.raises(InputError, match=r"tunes\.safetensors"):
            load_tunes(file)


def test_windows_start_at_bar_lines_do_not_overlap_and_are_full() -> None:
    numbered = [2 + step // 16 for step in range(16 * 5)]  # bar k is sixteen onsets of class 2 + k
    waltz = tune([30] * 48, Meter(12, 4))
    cut = windows([tune(numbered), waltz, tune([20] * 16)], 32)
    assert cut.events[:, 0].tolist() == [
        2,
        4,
    ]  # bars 1-2 and 3-4; bar 5 alone is too short, as is the third tune
    assert cut.events.shape == (2, 32)
    # 20 events reach into a second bar; the next window starts at the bar line after them
    assert windows([tune(numbered)], 20).events[:, 0].tolist() == [2, 4]
    assert windows([tune(numbered)], 16).events[:, 0].tolist() == [2, 3, 4, 5, 6]
    assert windows([waltz], 12, Meter(12, 4)).events.shape == (4, 12)
    assert windows([waltz], 12, Meter(12, 6)).events.shape == (0, 12)  # 6/8 is not 3/4


def test_a_note_that_ends_in_the_next_window_leaves_silence_there() -> None:
    held = [14] + [NO_EVENT] * 19 + [NOTE_OFF] + [NO_EVENT] * 7 + [16] + [NO_EVENT] * 3
    assert windows([tune(held)], 16).events[1].tolist() == [NO_EVENT] * 12 + [16] + [NO_EVENT] * 3


def test_first_bars_are_the_human_primer() -> None:
    bars = first_bars([tune([14] + [1] * 31), tune([16] * 24, Meter(12, 6))], Meter())
    assert bars.dtype == torch.int64
    assert bars.tolist() == [[14] + [1] * 15]
    assert first_bars([], Meter(12, 4)).shape == (0, 12)


@given(
    st.lists(st.tuples(st.integers(1, 16), st.integers(55, 80) | st.just(REST)), min_size=1),
    st.integers(-7, 7),
)
@settings(max_examples=200, deadline=None)
def test_encoded_tunes_are_canonical_whole_bars_in_the_vocabulary(notes, sharps) -> None:
    sounds = [(Fraction(length), pitch, False) for length, pitch in notes]
    sounds.append((Fraction(16), REST, False))
    sounds.append((Fraction(-sum(s[0] for s in sounds) % 16 or 16), REST, False))
    pitches = [pitch for _, pitch in notes if pitch != REST]
    # what spans no more than two octaves fits into the three of the vocabulary in every key
    assume(pitches and max(pitches) - min(pitches) <= 24)
    events = encode([], sounds, sharps, Meter(), Vocabulary())[1]
    onsets = [event - 2 + 48 for event in events if event >= 2]
    assert len(events) % 16 == 0
    assert [b - a for a, b in pairwise(onsets)] == [b - a for a, b in pairwise(pitches)]
    assert (onsets[0] - pitches[0] + 7 * sharps) % 12 == 0  # the signature's major tonic becomes C
    sounding = False
    for event in events:
        assert event != NOTE_OFF or sounding  # nothing ends twice
        sounding = event >= 2 or (sounding and event != NOTE_OFF)


def test_transposition_is_the_smallest_that_fits() -> None:
    g_major = [(Fraction(16), pitch, False) for pitch in (67, 71, 74)]
    assert encode([], g_major, 1, Meter(), Vocabulary())[1][0] == 67 + 5 - 46  # up a fourth, to C5
    high = [*g_major, (Fraction(16), 81, False)]  # 81 + 5 is over the top: down a fifth instead
    assert encode([], high, 1, Meter(), Vocabulary())[1][0] == 67 - 7 - 46
    with pytest.raises(UnusableError, match="out of range"):
        encode([], [(Fraction(8), 40, False), (Fraction(8), 80, False)], 0, Meter(), Vocabulary())


def test_two_onsets_on_one_step_leave_the_one_nearer_to_the_grid() -> None:
    third = Fraction(1, 3)
    sounds = [(Fraction(1), C4, False)] * 14
    ornament = [
        (Fraction(7, 6), D4, False),
        (Fraction(5, 6), E4, False),
    ]  # D on step 14, E at 15.17: both distinct
    assert encode([], [*sounds, *ornament], 0, Meter(), Vocabulary())[1][14:] == (D4 - 46, E4 - 46)
    crowd = [(Fraction(1, 2) + third, D4, False), (Fraction(1, 3), C4, False), (Fraction(5, 6), E4, False)]
    # onsets 14, 14.83 (to 15) and 15.17 (to 15): equally near, the first is kept and sounds to the end
    assert encode([], [*sounds, *crowd], 0, Meter(), Vocabulary())[1][14:] == (D4 - 46, C4 - 46)


def test_a_tenth_of_the_onsets_may_be_off_the_grid() -> None:
    def with_halves(count):
        pairs = [(Fraction(1, 2), C4, False), (Fraction(1, 2), D4, False)] * count
        return [*pairs, *[(Fraction(1), E4, False)] * (48 - count)]

    assert len(encode([], with_halves(5), 0, Meter(), Vocabulary())[1]) == 48  # 5 of 53
    with pytest.raises(UnusableError, match="off the grid"):
        encode([], with_halves(6), 0, Meter(), Vocabulary())[1]  # 6 of 54


def test_repeats_go_back_to_the_start_the_double_bar_or_the_last_repeat() -> None:
    a, b, c = bar(1, ends_section=True), bar(2), bar(3, ends_repeat=True, ends_section=True)
    assert names(expand_repeats([a, b, c])) == [1, 2, 3, 2, 3]
    assert names(expand_repeats([bar(1), c, b, c])) == [1, 3, 1, 3, 2, 3, 2, 3]
    assert names(expand_repeats([bar(1), bar(2, begins_repeat=True), c])) == [1, 2, 3, 2, 3]


def test_first_and_second_endings_are_played_in_turn() -> None:
    first, second = (
        bar(3, endings=(1,), ends_repeat=True, ends_section=True),
        bar(4, endings=(2,), ends_section=True),
    )
    last = bar(6, ends_repeat=True, ends_section=True)
    assert names(expand_repeats([bar(1), bar(2), first, second])) == [1, 2, 3, 1, 2, 4]
    assert names(expand_repeats([bar(1), first, second, bar(5), last])) == [1, 3, 1, 4, 5, 6, 5, 6]
    closed = bar(
        4, endings=(2,), ends_repeat=True, ends_section=True
    )  # ":|" after the second ending repeats nothing
    assert names(expand_repeats([bar(1), first, closed])) == [1, 3, 1, 4]


def test_signs_that_do_not_fit_are_not_expanded() -> None:
    assert expand_repeats([bar(1), bar(2, endings=(2,))]) is None
    assert expand_repeats([bar(1), bar(2, endings=(1,), ends_repeat=True), bar(3)]) is None
    assert expand_repeats([bar(1, endings=(3,))]) is None


def test_every_bar_is_full_from_the_first_full_one_on() -> None:
    full, short = bar(1, 2, 3, 4), bar(5, length=4)
    assert [[s[1] for s in part] for part in align([short, full], 16)] == [[5], [1, 2, 3, 4]]
    later = align(
        [full, bar(4, 3, 2, 1, ends_section=True), short, full], 16
    )  # nothing completes it: it goes
    assert [[s[1] for s in part] for part in later] == [[], [1, 2, 3, 4, 4, 3, 2, 1, 1, 2, 3, 4]]
    split = [full, bar(6, 7, 8, ends_section=True), short, full]  # 12 + 4 steps around a double bar
    assert [s[1] for s in align(split, 16)[1]] == [1, 2, 3, 4, 6, 7, 8, 5, 1, 2, 3, 4]
    assert align([full, bar(6, 7)], 16)[1][-1] == (Fraction(12), 7, False)  # the last note fills its bar
    with pytest.raises(UnusableError, match="bars do not add up"):
        align([full, bar(6, 7), full], 16)
    with pytest.raises(UnusableError, match="bars do not add up"):
        align([full, bar(6, 7, 8, 9, 10), full], 16)


def test_a_pickup_is_the_end_of_a_bar_in_the_tunes_key() -> None:
    tune = [(Fraction(16), 67, False)]
    pickup = [(Fraction(2), 62, False), (Fraction(2), REST, False), (Fraction(4), 66, False)]
    before, events = encode(pickup, tune, 1, Meter(), Vocabulary())  # G major, up a fourth
    assert [*before, *events] == [62 + 5 - 46, 1, 0, 1, 66 + 5 - 46, 1, 1, 1, 67 + 5 - 46, *[1] * 15]
    triplet = [(Fraction(4, 3), pitch, False) for pitch in (60, 62, 64)]
    assert encode(triplet, tune, 0, Meter(), Vocabulary())[0] == (60 - 46, 62 - 46, 1, 64 - 46)
    assert encode([(Fraction(4), 20, False)], tune, 0, Meter(), Vocabulary())[0] == ()  # out of range
    assert encode([(Fraction(4), REST, False)], tune, 0, Meter(), Vocabulary())[0] == ()
    silent = [(Fraction(16), REST, False), *tune]
    assert (
        encode([(Fraction(4), 60, False)], silent, 0, Meter(), Vocabulary())[0] == ()
    )  # far from the first bar


def test_a_pickup_and_the_kind_of_tune_go_through_a_file(tmp_path: Path) -> None:
    tune = Tune("t", "s", "", Meter(), (14,) * 16, "C major", (20, 1), "reel")
    save_tunes(tmp_path / "a.safetensors", [tune], {})
    assert load_tunes(tmp_path / "a.safetensors")[0] == [tune]
    whole = (tmp_path / "a.safetensors").read_bytes()
    for right, wrong, said in (
        (b"[20, 1]", b"[20,-1]", "pickup"),
        (b'\\"reel\\"', b"[1, 234]", "rhythm"),
        (b"[16, 4]", b"[1.0,1]", "meter"),
        (b"[16, 4]", b"[2 , 1]", "a bar has 2"),
    ):
        (tmp_path / "a.safetensors").write_bytes(whole.replace(right, wrong))
        with pytest.raises(InputError, match=said):
            load_tunes(tmp_path / "a.safetensors")


def test_a_file_of_the_first_format_is_read(tmp_path: Path) -> None:
    """Its metadata had several keys, which safetensors writes in any order; the shipped tunes are in it."""
    from safetensors.torch import save_file

    cards = [{"title": "t", "source": "s", "credit": "", "key": "C", "meter": [16, 4]}]
    metadata = {"format": "rltuner tunes 1", "tunes": json.dumps(cards), "info": '{"part": "test"}'}
    tensors = {"events": torch.tensor([14] * 16, dtype=torch.int8), "offsets": torch.tensor([0, 16])}
    save_file(tensors, tmp_path / "first.safetensors", metadata)
    loaded, info = load_tunes(tmp_path / "first.safetensors")
    assert (loaded[0].title, loaded[0].events, info) == ("t", (14,) * 16, {"part": "test"})
    save_file(tensors, tmp_path / "later.safetensors", {"rltuner": '{"format": "rltuner tunes 3"}'})
    with pytest.raises(
        InputError, match=r"later\.safetensors: not a file of tunes \(format 'rltuner tunes 3'\)"
    ):
        load_tunes(tmp_path / "later.safetensors")
