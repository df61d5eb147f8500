"""The rules of the gauldin book and the held-out rules: musical facts, small enough to count by hand."""

import itertools
import random

import pytest
import torch
from generators import HOLD, REST, random_tunes
from hypothesis import given
from hypothesis import strategies as st

from rltuner.errors import InputError
from rltuner.melody import Melodies, Meter
from rltuner.rules import load_rulebook
from rltuner.rules.book import book_names
from rltuner.rules.grid import sounding_pitch
from rltuner.rules.held_out import HELD_OUT
from rltuner.rules.making import make_rule, parameter_types

NAMES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
WALTZ, TWO_FOUR, JIG = Meter(12, 4), Meter(8, 4), Meter(12, 6)


def tune(text: str) -> list[int]:
    """ "C4 - E4 ." is middle C, held, E above it, a rest; F#4 and Bb4 are spelt so."""
    events = []
    for word in text.split():
        if word in "-.":
            events.append(HOLD if word == "-" else REST)
        else:
            events.append(
                NAMES[word[0]] + word.count("#") - word.count("b") + 12 * (int(word[-1]) + 1) - 48 + 2
            )
    return events


def rewards(name: str, text: str, meter: Meter | None = None, **parameters: object) -> list[float]:
    earned: list[float] = make_rule(name, parameters)(Melodies(tune(text), None, None, None, meter))[
        0
    ].tolist()
    return earned


def total(name: str, text: str, meter: Meter | None = None, **parameters: object) -> float:
    return sum(rewards(name, text, meter, **parameters))


def test_the_first_note_and_the_last_are_the_tonic_in_any_octave() -> None:
    assert rewards("tonic_frame", "- C5 D4 C3 -") == [0, 1, 0, 0, 1]
    assert rewards("tonic_frame", "D4 C4 . .") == [0, 0, 0, 1]
    assert rewards("tonic_frame", "A4 C4 A3", key="A minor") == [1, 0, 1]


def test_a_silent_melody_has_no_tonic() -> None:
    for key in ("C major", "B major", "Bb minor"):
        assert total("tonic_frame", ". - -", key=key) == 0
        assert total("cadence", ". - -", key=key) == 0


@pytest.mark.parametrize("approach", ["D4", "B3"])
def test_a_cadence_closes_by_step_onto_the_tonic(approach: str) -> None:
    assert rewards("cadence", f"{approach} - - - C4 - - -") == [0] * 7 + [1]


@pytest.mark.parametrize(
    "no_cadence",
    ["E4 - - - C4 - - -", "G3 - - - C4 - - -", "D4 - - - B3 - - -", "D4 - - C4 - - -", "C4 - - -"],
)
def test_no_cadence_by_leap_or_off_the_beat_or_onto_another_note(no_cadence: str) -> None:
    assert total("cadence", no_cadence) == 0


def test_a_cadence_may_repeat_its_tonic_and_fall_silent() -> None:
    assert total("cadence", "D4 - C4 - C4 - . .") == 1  # the repetition is on the beat


def test_the_beat_of_a_cadence_is_the_metres() -> None:
    assert total("cadence", "D4 - - - - - C4 - - - - -", JIG) == 1
    assert total("cadence", "D4 - - - C4 - - - - - - -", JIG) == 0


def test_a_second_large_interval_wants_two_small_ones_before_it() -> None:
    assert rewards("melodic_motion", "C4 G4 C5 B4 E4") == [0, 0, -1, 0, -1]
    assert rewards("melodic_motion", "C4 G4 F4 E4 A4 G4 F4 C4") == [0] * 8


def test_repeated_notes_are_no_motion() -> None:
    assert rewards("melodic_motion", "C4 G4 G4 G4 C5") == [0, 0, 0, 0, -1]


def test_tritones_sevenths_and_more_than_an_octave_are_harsh() -> None:
    leaps = {"C#4": 0, "E4": 0, "F#4": -1, "G4": 0, "A4": 0, "Bb4": -1, "B4": -1, "C5": 0, "C#5": -1}
    for note, reward in leaps.items():
        assert rewards("harsh_intervals", f"C4 - {note}") == [0, 0, reward]
        assert rewards("harsh_intervals", f"{note} . C4") == [0, 0, reward]
    assert total("harsh_intervals", "C4 G4", semitones=(7,)) == -1


def test_a_leap_turns_back() -> None:
    assert rewards("leap_recovery", "C4 G4 F4") == [0, 0, 0]
    assert rewards("leap_recovery", "C4 G4 A4") == [0, 0, -1]
    assert rewards("leap_recovery", "G4 C4 - . B3") == [0, 0, 0, 0, -1]


def test_a_leap_waits_while_its_note_is_repeated() -> None:
    assert rewards("leap_recovery", "C4 G4 G4 A4 B4") == [0, 0, 0, -1, 0]


def test_a_fourth_is_no_leap_unless_asked() -> None:
    assert total("leap_recovery", "C4 F4 G4") == 0
    assert total("leap_recovery", "C4 F4 G4", leap=5) == -1


def test_the_climax_is_paid_where_it_is_made_and_spoilt() -> None:
    assert rewards("single_climax", "C4 E4 C4 E4 F4 D4") == [1, 0, 0, -1, 1, 0]


def test_repeating_the_high_note_in_place_is_one_arrival() -> None:
    assert total("single_climax", "C4 G4 G4 - G4 E4") == 1
    assert total("single_climax", "C4 G4 E4 G4") == 0


@given(st.lists(st.integers(0, 9), min_size=1, max_size=24))
def test_a_climax_is_single_where_the_highest_pitch_is_reached_once(events: list[int]) -> None:
    earned = float(make_rule("single_climax")(Melodies([events])).sum())
    onsets = [event for event in events if event >= 2]
    arrivals = [high for high, _ in itertools.groupby(onsets)]
    assert earned == (1 if arrivals and arrivals.count(max(arrivals)) == 1 else 0)


MOTIF = "C4 - D4 - E4 - - -"
SEQUENCE = "D4 - E4 - F4 - - -"  # one degree higher: two semitones and one, where the first has two and two


def test_a_motif_comes_back_exactly_or_on_another_degree() -> None:
    assert rewards("motif_return", f"{MOTIF} {MOTIF}", transposed=0.0) == [0] * 15 + [1]
    assert rewards("motif_return", f"{MOTIF} {SEQUENCE}", exact=0.0) == [0] * 15 + [1]


def test_a_motif_with_another_rhythm_or_contour_is_another_motif() -> None:
    for other in ("C4 - D4 E4 - - - -", "C4 - D4 - F4 - - -", "C4 - D4 - E4 - . -", "E4 - D4 - C4 - - -"):
        assert total("motif_return", f"{MOTIF} {other}") == 0


def test_accidentals_do_not_belong_to_a_sequence() -> None:
    assert total("motif_return", f"{MOTIF} D4 - E4 - F#4 - - -") == 0
    assert total("motif_return", f"{MOTIF} G4 - A4 - B4 - - -") == 1


def test_a_motif_that_never_leaves_stops_paying() -> None:
    assert rewards("motif_return", " ".join([MOTIF] * 5))[7::8] == [0, 1, 0, 0, 0]
    assert rewards("motif_return", " ".join([MOTIF] * 5), times=4)[7::8] == [0, 1, 1, 1, 0]


def test_notes_in_the_gap_of_a_harmonic_minor_scale_are_told_apart() -> None:
    key = "A harmonic minor"  # from F to G# is one degree, with two notes between
    assert total("motif_return", "A4 - F#4 - A4 - - - A4 - G4 - A4 - - -", key=key) == 0
    assert total("motif_return", "F#4 - G4 - F#4 - - - " * 2, key=key) == 1


def test_a_cadence_comes_from_the_second_or_the_seventh_degree() -> None:
    assert total("cadence", "Db4 - - - C4 - - -") == 0  # not in C major
    assert total("cadence", "Bb3 - - - C4 - - -") == 0
    assert total("cadence", "Bb3 - - - C4 - - -", key="C mixolydian") == 1


def test_a_silence_is_as_long_however_it_is_written() -> None:
    assert total("note_repetition", "C4 " + ". " * 63) == total("note_repetition", "C4 . " + "- " * 62) == -39


def test_two_onsets_or_one_pitch_are_no_motif() -> None:
    assert total("motif_return", "C4 - - - D4 - - - " * 2) == 0
    assert total("motif_return", "C4 - C4 - C4 - C4 - " * 2) == 0


def test_a_motif_of_three_four_time_is_a_bar() -> None:
    bar = "C4 - - - D4 - - - E4 - - -"
    assert rewards("motif_return", f"{bar} {bar}", WALTZ) == [0] * 23 + [1]
    assert rewards("motif_return", f"{bar} {bar}", JIG)[11::12] == [
        0,
        0,
    ]  # halves of six steps: two onsets each


def test_a_fifth_repetition_is_too_many() -> None:
    assert rewards("note_repetition", "C4 C4 - C4 C4 C4 D4 C4") == [0, 0, 0, 0, 0, -1, 0, 0]


def test_a_note_or_a_silence_of_more_than_a_bar_and_a_half_is_too_long() -> None:
    held = "- - - - - - - - - - -"
    assert rewards("note_repetition", f"C4 {held} -", TWO_FOUR) == [0] * 12 + [-1]
    assert rewards("note_repetition", f"C4 . {held} -", TWO_FOUR) == [0] * 13 + [-1]
    assert total("note_repetition", f"C4 {held} -", WALTZ) == 0


def test_an_octave_and_a_fifth_is_wide_enough() -> None:
    assert total("pitch_range", "C4 G5 C4 G5") == 0
    assert rewards("pitch_range", "C4 Ab5 G5 C4 E4") == [0, -1, 0, -1, 0]


def test_a_bar_has_human_numbers_of_onsets_and_little_silence() -> None:
    assert total("rhythm_rates", "C4 - D4 - E4 - F4 - " * 2) == 0
    ten_onsets = "C4 D4 E4 F4 G4 A4 G4 F4 E4 D4 - - - - - -"
    assert rewards("rhythm_rates", ten_onsets) == [0] * 15 + [-1]
    assert (
        total("rhythm_rates", "C4 D4 E4 F4 G4 A4 B4 C5", TWO_FOUR) == 0
    )  # sixteenths are the eighths of 2/4
    assert rewards("rhythm_rates", "C4 - - - - - - - - - - - - - - -", TWO_FOUR) == [0] * 15 + [-1]
    assert rewards("rhythm_rates", "C4 - D4 - . - E4 -", TWO_FOUR) == [0] * 7 + [
        -1
    ]  # 2 of 8 steps are silent
    assert total("rhythm_rates", "C4 - D4 - . E4 - -", TWO_FOUR) == 0
    assert total("rhythm_rates", ten_onsets[:-2]) == 0  # the bar is not over


def test_bars_begin_with_a_note() -> None:
    assert rewards("downbeat_onset", "C4 - - - - - - - - - - - - - - - - -")[::16] == [1, -1]
    assert rewards("downbeat_onset", "C4 - - - - - - - - - - - D4", WALTZ)[::12] == [1, 1]


def test_a_syncopation_sounds_through_a_beat() -> None:
    assert rewards("syncopation", "C4 - D4 - - - E4 -") == [0, 0, 0, 0, -1, 0, 0, 0]
    assert total("syncopation", "C4 - - - - - - - D4") == 0  # a long note from a beat on
    assert total("syncopation", "C4 - D4 - . - E4 -") == 0  # silent on the beat


def test_a_beat_of_a_jig_has_six_steps() -> None:
    assert total("syncopation", "C4 - - - D4 - - - E4 - - -", JIG) == -1
    assert total("syncopation", "C4 - - - D4 - - - E4 - - -", WALTZ) == 0


def test_bars_begin_on_the_triad() -> None:
    bars = " ".join(f"{note} - - - - - - -" for note in ("C4", "D4", "E4", "G4", "A4"))
    assert rewards("triad_on_downbeat", bars, TWO_FOUR)[::8] == [1, 0, 1, 1, 0]
    assert rewards("triad_on_downbeat", bars, TWO_FOUR, key="A minor")[::8] == [1, 0, 1, 0, 1]


def test_from_the_edge_of_its_range_a_melody_turns_back() -> None:
    assert rewards("registral_return", "C4 C4 A4 B4 C4") == [0, 0, 0, -1, 0]
    assert total("registral_return", "C4 C4 E4 F4") == 0  # E is not far from C


def test_held_out_rules_are_in_no_shipped_book() -> None:
    assert len(HELD_OUT) >= 3
    for name in book_names():
        assert not set(HELD_OUT) & set(load_rulebook(name).rules)


def test_what_sounds_is_an_onset_or_its_hold() -> None:
    assert sounding_pitch(Melodies(tune("- C4 - . - D4")))[0].tolist() == [-1, 60, 60, -1, -1, 62]


def in_all_keys(name: str) -> list[str]:
    return (
        ["C major", "A minor", "D dorian", "E harmonic minor"]
        if "key" in parameter_types(type(make_rule(name)))
        else [""]
    )


@pytest.mark.parametrize("name", [*load_rulebook("gauldin").rules, *HELD_OUT])
@pytest.mark.parametrize("meter", [Meter(), WALTZ, JIG])
def test_moving_melody_and_tonic_together_changes_no_reward(name: str, meter: Meter) -> None:
    """By every number of semitones that keeps all notes in range."""
    letters = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    rng = random.Random(1)
    middle = [
        [event if event < 2 else 10 + (event - 2) % 21 for event in one]  # MIDI 56 to 76
        for one in random_tunes(180, seed=8, longest=48)
    ]
    middle += [one[:12] * 3 for one in middle if len(one) > 11]  # motifs that return
    middle += [[one + 2, *[HOLD] * 11, one, HOLD] for one in range(14, 26)]  # cadences
    bar = meter.steps_per_bar
    middle += [
        (one[:12] * 16)[: 7 * bar] + [HOLD] * bar for one in middle[:40] if len(one) > 11
    ]  # eight bars
    batch = Melodies.from_lists(middle, None, meter)
    for key in in_all_keys(name):
        parameters = {"key": key} if key else {}
        here = make_rule(name, parameters)(batch)
        assert here.any()
        for semitones in rng.sample(range(-8, 8), 8):
            moved = batch.events + semitones * batch.is_onset
            if key:
                tonic, _, mode = key.partition(" ")
                moved_key = f"{letters[(letters.index(tonic) + semitones) % 12]} {mode}"
                parameters = {"key": moved_key}
            there = make_rule(name, parameters)(Melodies(moved, batch.lengths, None, None, meter))
            assert torch.equal(here, there), (key, semitones)


@pytest.mark.parametrize(
    "name", ["motif", "repeated_motif", "leap_up_back", "penalize_repeating", "preferred_intervals", "key"]
)
def test_magentas_rules_follow_the_tonic_too(name: str) -> None:
    """The tonic's pitch lies in MIDI 55 to 66, so C (60) moves to F# (66) and to G (55)."""
    batch = Melodies.from_lists(
        [[e if e < 2 else 14 + (e - 2) % 14 for e in one] for one in random_tunes(90, seed=9)]
    )
    for semitones, tonic in ((6, "F#"), (2, "D"), (-5, "G")):
        has_key = "key" in parameter_types(type(make_rule(name)))
        moved = Melodies(batch.events + semitones * batch.is_onset, batch.lengths)
        there = make_rule(name, {"key": f"{tonic} major"} if has_key else {})(moved)
        assert torch.equal(make_rule(name)(batch), there)


def test_a_motif_cannot_be_played_less_than_once() -> None:
    with pytest.raises(InputError, match="'motif_return': times = 1"):
        make_rule("motif_return", {"times": 1})


A_BAR, HELD = "C4 - D4 - E4 - G4 -", "C4 - - - - - - -"  # bars of 2/4


def eight(*bars: str) -> str:
    return " ".join(bars)


def test_the_second_half_of_eight_bars_answers_the_first_on_any_degree() -> None:
    higher = "D4 - E4 - F4 - A4 -"
    other = "E4 - D4 - C4 - D4 -"
    answered = eight(A_BAR, other, HELD, HELD, higher, other, HELD, HELD)
    paid = rewards("period", answered, TWO_FOUR)
    assert [step for step, reward in enumerate(paid) if reward] == [39, 47]
    assert total("period", eight(A_BAR, other, HELD, HELD, other, other, HELD, HELD), TWO_FOUR) == 0
    assert total("period", eight(A_BAR, other, HELD, HELD, higher, HELD, HELD, HELD), TWO_FOUR) == 1
    assert total("period", " ".join(["- - - - - - - -"] * 8), TWO_FOUR) == 0


def test_a_phrase_comes_back_whatever_its_last_bar_is() -> None:
    phrase = [A_BAR, HELD, A_BAR]
    other = ["E4 - D4 - C4 - D4 -", HELD, A_BAR]
    aaba = [*phrase, HELD, *phrase, A_BAR, *other, HELD, *phrase, "C4 . . ."]
    paid = rewards("phrase_return", " ".join(aaba), TWO_FOUR)
    assert [step for step, reward in enumerate(paid) if reward] == [7 * 8 - 1, 15 * 8 - 1]
    aabb = [*phrase, HELD, *phrase, HELD, *other, HELD, *other, HELD]
    assert total("phrase_return", " ".join(aabb), TWO_FOUR) == 2
    assert total("phrase_return", " ".join(["- - - - - - - -"] * 8), TWO_FOUR) == 0


@pytest.mark.parametrize(
    ("fourth", "last", "paid"), [("G4", "C5", 3), ("D4", "E4", 1), ("C4", "C4", 2), ("E4", "B3", 0)]
)
def test_half_way_a_melody_waits_on_the_dominant_and_closes_on_the_tonic(
    fourth: str, last: str, paid: float
) -> None:
    bars = [A_BAR, A_BAR, A_BAR, f"{fourth} - - - - - - -", A_BAR, A_BAR, A_BAR, f"{last} - - - - - . -"]
    earned = rewards("phrase_cadence", " ".join(bars), TWO_FOUR, half=1.0, full=2.0)
    assert sum(earned) == paid
    assert not any(reward for step, reward in enumerate(earned) if step not in (31, 63))


def test_the_second_half_reaches_the_highest_note_then_or_again() -> None:
    assert total("late_climax", "C4 E4 G4 C5") == 1
    assert total("late_climax", "C5 E4 G4 C5") == 1
    assert total("late_climax", "C4 C5 G4 E4") == 0
    assert rewards("late_climax", "C4 - G4 - ")[-1] == 1


def test_eight_bars_come_to_rest_in_their_last() -> None:
    assert total("phrase_end", eight(*[A_BAR] * 7, HELD), TWO_FOUR) == 1
    assert total("phrase_end", eight(*[A_BAR] * 8), TWO_FOUR) == 0
    assert total("phrase_end", eight(*[HELD] * 7, A_BAR), TWO_FOUR) == 0
    assert total("phrase_end", eight(*([A_BAR] * 7 + [HELD]) * 2), TWO_FOUR) == 2
