"""What becomes of a tune in ABC: musical facts that a person can count."""

from pathlib import Path

import pytest
from generators import onsets

from rltuner.errors import InputError
from rltuner.melody import NO_EVENT, NOTE_OFF, Meter, Vocabulary
from rltuner.reading.abc.text import abc_tunes
from rltuner.reading.parse import Item, parse_item

FIXTURES = Path(__file__).parents[1] / "fixtures" / "corpus"


def parsed(music, key="C", meter="4/4", unit="1/8", extra=""):
    """What becomes of one ABC tune."""
    text = f"X:1\nT:Test\n{extra}M:{meter}\nL:{unit}\nK:{key}\n{music}\n"
    (result,) = parse_item(Item("abc", "test.abc", text), Vocabulary())
    return result


def pitches(music, key="C", meter="4/4", unit="1/8"):
    result = parsed(music, key, meter, unit)
    assert result.tune is not None, result
    return onsets(result.tune.events)


# The key signature goes, the mode stays.


def test_d_dorian_stays_on_d() -> None:
    assert pitches("DEFG ABcd|", "Ddor") == [62, 64, 65, 67, 69, 71, 72, 74]


def test_major_keys_move_to_c() -> None:
    c_major = [0, 2, 4, 5, 7, 9, 11, 0]
    for key, scale in {"G": "GABc defg|", "D": "DEFG ABcd|", "F": "FGAB cdef|", "Bb": "BCDE FGAB|"}.items():
        notes = pitches(scale, key)
        assert [pitch % 12 for pitch in notes] == c_major, key


def test_every_mode_of_one_signature_lands_on_its_degree() -> None:
    # all of these have two sharps; their scales start on the degree of C major that names the mode
    for key, degree in {"D": 0, "Edor": 2, "F#phr": 4, "Glyd": 5, "Amix": 7, "Bm": 9}.items():
        tonic = key[0]
        assert pitches(f"{tonic}8|", key)[0] % 12 == degree, key


def test_accidentals_last_until_the_bar_line_in_their_octave() -> None:
    assert pitches("^FFf=F FGAB|FGAB c4|")[:5] == [66, 66, 77, 65, 65]
    assert pitches("^F8|F8|") == [66, 65]


def test_unknown_keys_and_changes_of_key_are_dropped() -> None:
    assert parsed("C8|", "Bn").outcome == "no key signature"
    assert parsed("C8|\nK:D\nD8|").outcome == "key changes"
    assert parsed("C8|[K:D]D8|").outcome == "key changes"
    assert parsed("C8|\nK:Am\nA8|").outcome == "kept"  # another name, the same signature


# What is dropped, and what is held.


def test_grace_notes_and_decorations_are_dropped() -> None:
    assert pitches('{cd}C2 ~D2 .E2 !trill!F2|uG2 vA2 TB2 "Am"c2|') == [60, 62, 64, 65, 67, 69, 71, 72]


def test_of_a_chord_the_highest_note_is_kept() -> None:
    assert pitches("[CEG]4 [c2G2]2|") == [67, 72]


def test_a_tie_holds_and_a_slur_between_two_pitches_does_not() -> None:
    tied = parsed("C4-C4-|C8|").tune
    assert tied is not None
    assert tied.events == (14, *[NO_EVENT] * 31)
    assert pitches("C4-D4|") == [60, 62]


def test_rests_are_silence_once() -> None:
    tune = parsed("C2z2z2D2|z8|E8|").tune
    assert tune is not None
    assert tune.events[:16] == (14, 1, 1, 1, NOTE_OFF, *[NO_EVENT] * 7, 16, 1, 1, 1)
    assert tune.events[16:32] == (NOTE_OFF, *[NO_EVENT] * 15)


def test_broken_rhythm_survives_slurs_and_bow_marks() -> None:
    tune = parsed("(C>.D) (uE<vF) G4|").tune
    assert tune is not None
    assert [step for step, event in enumerate(tune.events) if event >= 2] == [0, 3, 4, 5, 8]


def test_the_pickup_is_dropped() -> None:
    assert pitches("GA|c4 d4|e8|") == [72, 74, 76]
    # the second part has a pickup too, which completes the first part's last bar
    assert pitches("GA|c4 d4|e6||fg|a8|g6|]") == [72, 74, 76, 77, 79, 81, 79]


def test_a_tune_full_of_triplets_is_dropped_and_one_with_few_is_kept() -> None:
    assert parsed("(3CDE (3FGA (3Bcd (3efg|").outcome == "off the grid"
    assert parsed("CDEF GABc|" * 3 + "(3CDE FG ABcd|").outcome == "kept"


# Metre and repeats.


def test_metres_are_kept_and_cut_time_is_four_four() -> None:
    for written, meter in {
        "6/8": (12, 6),
        "9/8": (18, 6),
        "3/4": (12, 4),
        "2/4": (8, 4),
        "C|": (16, 4),
    }.items():
        tune = parsed(f"C{meter[0]}|D{meter[0]}|", meter=written, unit="1/16").tune
        assert tune is not None
        assert tune.meter == Meter(*meter)
        assert len(tune.events) == 2 * meter[0]


def test_free_changing_and_too_fine_metres_are_dropped() -> None:
    assert parsed("C8|", meter="none").outcome == "no metre"
    assert parsed("C8|\nM:3/4\nC6|").outcome == "metre changes"
    assert parsed("C8|[M:3/4]C6|").outcome == "metre changes"
    assert parsed("C8|\nM:4/4\nC8|").outcome == "kept"
    assert parsed("C5|", meter="5/32", unit="1/32").outcome == "metre off the grid"
    assert parsed("C8|D7|E8|").outcome == "bars do not add up"


def test_repeats_are_expanded() -> None:
    c, d, e, f = 60, 62, 64, 65
    assert pitches("|:C8|D8:|E8|") == [c, d, c, d, e]
    assert pitches("C8|D8:|E8:|") == [
        c,
        d,
        c,
        d,
        e,
        e,
    ]  # without a start: from the beginning, then from there
    assert pitches("|:C8::D8:|") == [c, c, d, d]
    assert pitches("|:C8||:D8:|") == [c, d, d]
    assert pitches("|:C8|1D8:|2E8|]F8|") == [c, d, c, e, f]
    assert pitches("|:C8|[1D8:|[2E8||F8:|") == [c, d, c, e, f, f]
    assert pitches("C8|D8|\n1 E8:|\n2 F8|]") == [c, d, e, c, d, f]  # the ending's number on a new line
    assert pitches("C4 : D4|E8|") == [c, d, e]  # a stray colon is no repeat
    assert pitches("|:C8|D8:|\n\n:12 See the next page") == [c, d, c, d]  # nor is a remark after the tune
    assert pitches("C8|\n| D8:|") == [c, d, c, d]  # two single bar lines on two lines are no double bar
    marks = parsed("|:C8|D8:|").marks
    assert marks == ("repeats expanded",)


def test_a_repeat_with_a_pickup_keeps_its_bars() -> None:
    assert pitches("|:GA|c4 d4|e6:|") == [72, 74, 76, 67, 69, 72, 74, 76]


def test_repeats_that_do_not_parse_are_taken_as_written_and_marked() -> None:
    result = parsed("|:C8|1D8:|3E8:|F8|]")
    assert result.tune is not None
    assert onsets(result.tune.events) == [60, 62, 64, 65]
    assert result.marks == ("repeats taken as written",)


def test_a_file_is_split_at_its_reference_numbers() -> None:
    text = (FIXTURES / "three.abc").read_text(encoding="utf-8")
    assert [tune.text.split("\n")[1] for tune in abc_tunes(text)] == [
        "T:The Countable Reel",
        "T:The Broken Jig",
        "T:The Limping Polka",
    ]
    assert [tune.text for tune in abc_tunes("K:C\nCDEF|")] == ["K:C\nCDEF|"]
    with pytest.raises(InputError, match="no ABC tune in it"):
        abc_tunes("Dear reader,\n")
