"""Form over a whole tune: facts counted by hand, on melodies of a few bars."""

import math

import pytest
import torch

from rltuner.eval.form import (
    compressed,
    ends_on,
    ends_on_tonic,
    full_cadences,
    half_cadences,
    has_form,
    returning,
    returning_in_rhythm,
    returning_moved,
    similarity,
)
from rltuner.melody import Melodies, Meter
from rltuner.melody.key import Key

TWO_FOUR = Meter(8, 4)
C, D, E, F, G, A, B = 14, 16, 18, 19, 21, 23, 25
LINE, MOVED, RHYTHM = [C, 1, D, 1, E, 1, G, 1], [D, 1, E, 1, F, 1, A, 1], [G, 1, E, 1, C, 1, C, 1]
HELD, EMPTY = [C, 1, 1, 1, 1, 1, 1, 1], [1] * 8


def of(*bars: list[int], meter: Meter = TWO_FOUR) -> Melodies:
    return Melodies([event for bar in bars for event in bar], meter=meter)


def test_bars_return_exactly_in_rhythm_and_moved_along_the_scale() -> None:
    melody = of(LINE, MOVED, RHYTHM, LINE, HELD)
    assert returning(melody).tolist() == [1 / 4]
    assert returning_in_rhythm(melody).tolist() == [3 / 4]
    assert returning_moved(melody).tolist() == [2 / 4]  # C D E G on D is D E F A
    assert returning_moved(melody, "E minor").tolist() == [1 / 4]  # there F is no degree of the scale


def test_empty_and_held_bars_count_as_bars_and_one_note_alone_does_not_return_on_another_degree() -> None:
    assert returning(of(EMPTY, EMPTY, HELD, HELD)).tolist() == [2 / 3]
    higher = [E, *HELD[1:]]
    assert returning_moved(of(HELD, higher)).tolist() == [0]
    assert returning_moved(of(HELD, HELD)).tolist() == [1]


def test_what_is_past_the_end_and_a_bar_that_is_not_full_do_not_count() -> None:
    events = torch.tensor([LINE + LINE + LINE, LINE + LINE + LINE])
    assert returning(Melodies(events, [24, 20], meter=TWO_FOUR)).tolist() == [1, 1]
    assert math.isnan(returning(Melodies(events, [24, 12], meter=TWO_FOUR))[1])
    assert math.isnan(returning(of(LINE))[0])


def test_similarity_to_the_bar_some_bars_before() -> None:
    melody = of(LINE, HELD, LINE, HELD)
    assert similarity(melody, 1).tolist() == [5 / 8]  # C, and four holds
    assert similarity(melody, 2).tolist() == [1]
    assert math.isnan(similarity(melody, 4)[0])


def test_a_melody_that_repeats_itself_takes_fewer_bytes() -> None:
    random = torch.randint(38, (64,), generator=torch.Generator().manual_seed(0))
    assert compressed(of(*[LINE] * 8))[0] < compressed(Melodies(random, meter=TWO_FOUR))[0] / 2


def test_phrases_end_on_the_dominant_half_way_and_on_the_tonic_at_the_end() -> None:
    melody = of(LINE, LINE, LINE, [G, 1, 1, 1, D, 1, 0, 1], LINE, LINE, LINE, HELD)
    assert (half_cadences(melody).item(), full_cadences(melody).item(), ends_on_tonic(melody).item()) == (
        1,
        1,
        1,
    )
    twice = of(*[LINE] * 3, HELD, *[LINE] * 3, HELD, *[LINE] * 3, [B, *HELD[1:]], *[LINE] * 4)
    assert (half_cadences(twice).item(), full_cadences(twice).item(), ends_on_tonic(twice).item()) == (
        0.5,
        0.5,
        0,
    )
    assert math.isnan(half_cadences(of(*[LINE] * 7))[0])
    assert math.isnan(ends_on_tonic(of(EMPTY))[0])
    assert ends_on(melody, Key.parse("C major"), "closed").tolist() == [True]
    assert ends_on(twice, Key.parse("C major"), "open").tolist() == [True]
    assert ends_on(of(EMPTY), Key.parse("C major"), "closed").tolist() == [False]


@pytest.mark.parametrize(("form", "has"), [("AABA", True), ("AABB", False), ("ABCA", False), ("AAB", False)])
def test_a_form_is_phrases_that_begin_alike_where_their_letters_are_the_same(form: str, has: bool) -> None:
    a, b = [LINE, HELD, LINE], [MOVED, HELD, LINE]
    melody = of(*a, HELD, *a, RHYTHM, *b, HELD, *a, EMPTY)
    assert has_form(melody, form).tolist() == [has]
