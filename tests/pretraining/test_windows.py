"""Windows of tunes: stretches of bars, each with what came before it, and told how long it is."""

import torch

from rltuner.melody import Meter, Vocabulary
from rltuner.melody.tunes import Tune
from rltuner.networks.inputs.names import INPUTS
from rltuner.networks.inputs.rows import MOST_TO_GO, Inputs
from rltuner.pretraining.windows import IGNORED, SIZES, Windows

BAR = Meter(8, 4)
VOCABULARY = Vocabulary()


def tune_of(bars: int, first: int, meter: Meter = BAR, pickup: tuple[int, ...] = ()) -> Tune:
    """Every event tells its place: classes first, first + 1, ... , one each event, modulo 12."""
    events = tuple(first + i % 12 for i in range(bars * meter.steps_per_bar))
    return Tune("t", "s", "", meter, events, pickup=pickup)


def test_a_window_is_whole_bars_of_one_tune_from_a_bar_line_on() -> None:
    tunes = [tune_of(24, 2), tune_of(7, 20, Meter(12, 6))]
    windows = Windows(tunes, Inputs(VOCABULARY), 600, 0)
    sizes = set()
    for _ in range(60):
        batch = windows.draw()
        for row in batch.targets.tolist():
            known = [event for event in row if event != IGNORED]
            tune = tunes[known[0] >= 20]
            bar = tune.meter.steps_per_bar
            starts = range(0, len(tune.events), bar)
            assert any(list(tune.events[k : k + len(known)]) == known for k in starts), known
            assert len(known) % bar == 0
            assert len(known) <= max(max(SIZES), bar)
            sizes.add((bar, len(known) // bar))
    assert {bars for bar, bars in sizes if bar == 8} >= {4, 8, 16, 24}  # phrases, and whole tunes
    assert {bars for bar, bars in sizes if bar == 12} >= {2, 4, 7}


def test_most_windows_are_phrases() -> None:
    events = torch.randint(2, 38, (32 * 9,), generator=torch.Generator().manual_seed(0)).tolist()
    tune = Tune("t", "s", "", BAR, tuple(events))
    windows, on, count = Windows([tune], Inputs(VOCABULARY), 4_000, 1), 0, 0
    for _ in range(30):
        batch = windows.draw()
        for row in batch.targets.tolist():
            known = [event for event in row if event != IGNORED]
            if len(known) >= 4 * 8:
                count += 1
                start = next(k for k in range(0, len(events), 8) if events[k : k + len(known)] == known)
                on += start % 32 == 0 and len(known) % 32 == 0
    assert on / count > 0.75


def test_what_is_heard_first_is_what_came_before_and_a_pickup_before_the_first_bar() -> None:
    tune = tune_of(16, 2, pickup=(30, 31, 32))
    windows, contexts = Windows([tune], Inputs(VOCABULARY), 400, 2), set()
    for _ in range(80):
        batch = windows.draw()
        heard, targets = batch.rows[..., 0] - 1, batch.targets
        for row, wanted in zip(heard.tolist(), targets.tolist(), strict=True):
            width = next(i for i, event in enumerate(wanted) if event != IGNORED) + 1
            known = [event for event in wanted if event != IGNORED]
            assert (
                row[width : width + len(known) - 1] == known[:-1]
            )  # each event is heard after it was predicted
            if width > 1 and row[width - 1] >= 30:
                contexts.add(tuple(row[:width]))
                assert row[:width][-3:] == [30, 31, 32][-width:]
                assert set(row[:width][:-3]) <= {-1}
            elif width > 1:
                assert (row[width - 1] - 2 + 1) % 12 == known[0] - 2
    assert {len(context) for context in contexts} >= {8, 16}


def test_one_event_before_is_nothing_what_was_played_the_last_note_or_any() -> None:
    held = Tune("t", "s", "", BAR, tuple([9] + [1] * 7) * 12)
    windows, found = Windows([held], Inputs(VOCABULARY), 4_000, 3), torch.zeros(40)
    for _ in range(40):
        batch = windows.draw()
        first = batch.rows[batch.targets[:, 0] != IGNORED][:, 0, 0]
        found += torch.bincount(first, minlength=40)[:40]
    share = found / found.sum()
    assert share[0] > 0.4  # nothing; more of it where the tune begins
    assert 0.05 < share[2] < 0.25  # held on, as played
    assert 0.05 < share[10] < 0.25  # the note that is held
    assert share[[5, 20, 38]].min() > 0.001  # any class


def test_the_length_is_told_but_sometimes() -> None:
    inputs = Inputs(VOCABULARY, ("event", "to_go"))
    windows, unknown, count = Windows([tune_of(16, 2)], inputs, 2_000, 4), 0, 0
    for _ in range(40):
        batch = windows.draw()
        for row, wanted in zip(batch.rows[..., 1].tolist(), batch.targets.tolist(), strict=True):
            places = [i for i, event in enumerate(wanted) if event != IGNORED]
            told = [row[i] - 1 - VOCABULARY.size for i in places]
            count += 1
            if told[0] == MOST_TO_GO + 1:
                unknown += 1
            else:
                last = len(places) // 8 - 1
                assert told == [min(MOST_TO_GO, last - k // 8) for k in range(len(places))]
    assert 0.05 < unknown / count < 0.15


def test_nothing_before_a_window_is_looked_back_on_but_its_context() -> None:
    inputs = Inputs(VOCABULARY, INPUTS)
    windows = Windows([tune_of(16, 2)], inputs, 500, 5)
    shown = 0
    for _ in range(40):
        batch = windows.draw()
        width = int((batch.targets[0] != IGNORED).int().argmax()) + 1
        of_one_bar = batch.rows[:, :, 1] - inputs.row_of_nothing(0)
        first = of_one_bar[:, width - 1 : width - 1 + 8]  # of the first bar
        shown += int((of_one_bar > 0).any())
        if width < 8:
            assert not (first[:, : 8 - width] > 0).any()
    assert shown > 30


def test_the_same_seed_draws_the_same_windows_and_long_tunes_more_often() -> None:
    tunes = [tune_of(4, 2), tune_of(28, 20)]
    one, other = (Windows(tunes, Inputs(VOCABULARY), 2_000, 6) for _ in range(2))
    short = count = 0
    for _ in range(20):
        batch, same = one.draw(), other.draw()
        assert torch.equal(batch.rows, same.rows)
        assert torch.equal(batch.targets, same.targets)
        first = batch.targets[batch.targets != IGNORED]
        short += int((batch.targets.max(dim=1).values < 20).sum())
        count += len(batch.targets)
        assert first.min() >= 2
    assert abs(short / count - 4 / 32) < 0.03
