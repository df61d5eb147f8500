"""Musical facts about each rule, small enough to count by hand."""

import pytest
from generators import HOLD, REST

from rltuner.melody import Melodies
from rltuner.rules.making import make_rule

C3, G3, A3, B3, C4, D4, E4, F4, G4, A4, B4, C5, G5, B5 = 2, 9, 11, 13, 14, 16, 18, 19, 21, 23, 25, 26, 33, 37
A_FLAT3, F_SHARP4, B_FLAT4 = 10, 20, 24


def rewards(name: str, tune: list[int], **parameters: object) -> list[float]:
    earned: list[float] = make_rule(name, parameters)(Melodies(tune))[0].tolist()
    return earned


def test_only_sounding_notes_can_be_out_of_key() -> None:
    assert rewards("key", [C4, F_SHARP4, HOLD, REST, B_FLAT4]) == [0, -1, 0, 0, -1]


def test_rests_and_holds_are_in_every_key() -> None:
    for tonic in ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"):
        assert rewards("key", [REST, HOLD], key=f"{tonic} major") == [0, 0]


def test_f_sharp_belongs_to_g_major_and_f_does_not() -> None:
    assert rewards("key", [F_SHARP4, F4], key="G major") == [0, -1]


def test_a_tune_starts_on_middle_c_and_ends_on_a_held_one() -> None:
    assert rewards("tonic", [C4, D4, E4, F4, C4, HOLD, HOLD, REST]) == [3, 0, 0, 0, 3, 3, 3, 3]


def test_the_octave_of_the_tonic_is_not_the_tonic() -> None:
    assert rewards("tonic", [C5, D4, E4, F4, C3, HOLD, REST, REST]) == [0, 0, 0, 0, 0, 3, 3, 3]


def test_the_final_note_must_be_held_before_it_may_rest() -> None:
    assert rewards("tonic", [D4, C4, REST, HOLD, REST]) == [0, 3, 0, 3, 3]


def test_the_final_bar_of_a_short_tune_lies_before_its_own_padding() -> None:
    batch = Melodies.from_lists([[C4] * 12, [D4, D4, C4, HOLD, HOLD, REST]])
    assert make_rule("tonic", {})(batch)[1].tolist() == [0, 0, 3, 3, 3, 3] + [0] * 6


def test_the_tonic_of_a_minor_is_the_a_below_middle_c() -> None:
    assert rewards("tonic", [A3], key="A minor") == [3]
    assert rewards("tonic", [A4], key="A minor") == [0]


def test_a_sixth_note_in_a_row_is_excessive() -> None:
    assert rewards("penalize_repeating", [C4] * 7) == [0] * 5 + [-100] * 2


def test_holds_between_allow_two_more_of_the_same_note() -> None:
    tune = [C4, HOLD, C4, C4, C4, C4, C4, C4, C4]
    assert rewards("penalize_repeating", tune) == [0] * 8 + [-100]


def test_another_note_makes_the_count_start_again() -> None:
    assert rewards("penalize_repeating", [C4] * 5 + [D4] + [C4] * 5) == [0] * 11


def test_a_rest_after_two_rests_is_excessive() -> None:
    assert rewards("penalize_repeating", [REST, REST, REST]) == [0, 0, -100]


def test_holds_between_rests_do_not_excuse_the_third_rest() -> None:
    assert rewards("penalize_repeating", [C4, REST, HOLD, REST, HOLD, REST]) == [0, 0, 0, 0, 0, -100]


def test_a_note_held_for_more_than_five_steps_is_excessive() -> None:
    assert rewards("penalize_repeating", [C4] + [HOLD] * 6) == [0] * 6 + [-100]


def test_a_second_event_that_differs_always_loses_one_and_a_half() -> None:
    assert rewards("penalize_autocorrelation", [C4, D4]) == [0, -1.5]
    assert rewards("penalize_autocorrelation", [REST, B5]) == [0, -1.5]


def test_a_constant_tune_has_no_autocorrelation() -> None:
    assert rewards("penalize_autocorrelation", [E4] * 6) == [0] * 6


def test_three_pitches_in_eight_steps_are_a_motif() -> None:
    tune = [C4, HOLD, D4, HOLD, E4, HOLD, REST, HOLD]
    assert rewards("motif", tune) == [0] * 7 + [3]
    assert rewards("motif", tune[:-1]) == [0] * 7


def test_each_further_pitch_of_a_motif_earns_the_bonus() -> None:
    assert rewards("motif", [C4, D4, E4, F4, G4, A4, B4, C5])[7] == pytest.approx(3 + 5 * 0.3)


def test_two_pitches_are_no_motif_however_often_they_come() -> None:
    assert rewards("motif", [C4, D4] * 8) == [0] * 16


def test_a_motif_played_twice_is_repeated_on_its_last_event() -> None:
    tune = [C4, HOLD, D4, E4, REST, C4, HOLD, HOLD]
    assert rewards("repeated_motif", tune * 2) == [0] * 15 + [4]


def test_a_motif_repeated_an_octave_higher_is_another_motif() -> None:
    tune = [C4, HOLD, D4, E4, REST, C4, HOLD, HOLD]
    higher = [event + 12 if event > HOLD else event for event in tune]
    assert rewards("repeated_motif", tune + higher) == [0] * 16


def test_a_repeat_may_not_overlap_its_first_statement() -> None:
    turn = [C4, D4, E4]
    assert rewards("repeated_motif", turn * 5) == [0] * 15
    assert rewards("repeated_motif", turn * 6) == [0] * 16 + [4, 4]


@pytest.mark.parametrize(
    ("first", "second", "reward"),
    [
        pytest.param(D4, E4, 0.4, id="major second"),
        pytest.param(C4, E4, 0.75, id="third from the tonic"),
        pytest.param(E4, C4, 0.75, id="third down from the third degree"),
        pytest.param(C4, A_FLAT3, 0.75, id="third down from the tonic, out of key"),
        pytest.param(F4, A4, 0.45, id="third from elsewhere"),
        pytest.param(D4, G4, 0.35, id="fourth"),
        pytest.param(C4, G4, 0.5, id="fifth from the tonic"),
        pytest.param(G4, C4, 0.5, id="fifth down from the fifth degree"),
        pytest.param(D4, A4, 0.1, id="fifth from elsewhere"),
        pytest.param(C4, A4, 0.25, id="major sixth"),
        pytest.param(C4, B4, -1.5, id="major seventh"),
        pytest.param(C4, B_FLAT4, 0.0, id="minor seventh"),
        pytest.param(C4, F_SHARP4, 0.0, id="tritone"),
        pytest.param(E4, F4, 0.0, id="minor second"),
        pytest.param(E4, G4, 0.0, id="minor third"),
        pytest.param(C4, C4, 0.0, id="unison"),
        pytest.param(C4, C5, 0.0, id="octave"),
        pytest.param(C4, C5 + 1, -5.0, id="more than an octave"),
        pytest.param(C3, B5, -5.0, id="the whole range"),
    ],
)
def test_an_interval_earns_its_worth(first: int, second: int, reward: float) -> None:
    assert rewards("preferred_intervals", [first, second]) == pytest.approx([0, reward])
    later = rewards("preferred_intervals", [first, HOLD, REST, HOLD, second])
    assert later[0] == 0
    assert later[4] == pytest.approx(reward)


def test_nothing_before_the_first_note_is_an_interval() -> None:
    assert rewards("preferred_intervals", [HOLD, REST, HOLD, C4]) == [0, 0, 0, 0]


def test_rests_and_holds_are_worth_more_after_the_tonic_and_the_fifth() -> None:
    tune = [C4, HOLD, REST, G4, HOLD, REST, D4, HOLD, REST]
    assert rewards("preferred_intervals", tune) == pytest.approx(
        [0, 1.5, 0.75, 0.5, 1.5, 0.75, 0.35, 0.375, 0.25]
    )


def test_a_leap_up_is_resolved_by_walking_back_to_where_it_began() -> None:
    assert rewards("leap_up_back", [C4, G4, F4, E4, D4, C4]) == [0, 0, 0, 0, 0, 5]


def test_a_leap_down_is_resolved_by_climbing_back() -> None:
    assert rewards("leap_up_back", [C5, F4, A4, REST, HOLD, C5 + 1]) == [0, 0, 0, 0, 0, 5]


def test_a_second_leap_the_same_way_is_punished_each_time() -> None:
    assert rewards("leap_up_back", [C3, G3, D4, A4]) == [0, 0, -5, -5]


def test_a_doubled_leap_is_still_resolved_where_the_first_began() -> None:
    stairs = [B4, G4, E4, C4, A3, G3 - 1, 6, 4, C3]
    assert rewards("leap_up_back", [C3, G3, D4, *stairs]) == [0, 0, -5, -5, *[0] * 7, 5]


def test_leaping_back_at_once_earns_nothing_and_closes_the_leap() -> None:
    assert rewards("leap_up_back", [C4, G4, C4, D4, C4]) == [0] * 5


def test_leaping_back_after_seven_events_resolves_and_after_six_does_not() -> None:
    assert rewards("leap_up_back", [C4, G4, *[HOLD] * 7, C4])[-1] == 5
    assert rewards("leap_up_back", [C4, G4, *[HOLD] * 6, C4])[-1] == 0


def test_a_fourth_is_no_leap() -> None:
    assert rewards("leap_up_back", [C4, F4, C4]) == [0, 0, 0]


def test_unique_extremes_are_paid_at_the_last_event() -> None:
    assert rewards("high_low_unique", [D4, C4, D4, G4, D4]) == [0, 0, 0, 0, 6]


def test_an_extreme_that_comes_twice_is_not_unique() -> None:
    assert rewards("high_low_unique", [C4, G4, C4, D4]) == [0, 0, 0, 3]
    assert rewards("high_low_unique", [C4, G4, C4, G4]) == [0, 0, 0, 0]


def test_a_hold_among_rests_is_highest_but_no_lowest_note() -> None:
    assert rewards("high_low_unique", [REST, HOLD, REST]) == [0, 0, 3]
