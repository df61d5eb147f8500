"""The bars of a score in the order in which they are played: repeats, endings, D.C. and D.S."""

from __future__ import annotations

from collections.abc import Sequence

from rltuner.reading.bars import Bar

MAX_TIMES = 8  # that a part is played; a file may claim any number
MAX_PLAYED = 20_000  # bars


def has_signs(bars: Sequence[Bar]) -> bool:
    """Whether anything in these bars asks for another order than the written one."""
    return any(bar.begins_repeat or bar.ends_repeat or bar.endings or bar.jump for bar in bars)


def expand_repeats(bars: Sequence[Bar]) -> list[Bar] | None:
    """The bars as played; None where the signs do not fit together (then the tune is taken as written).

    A repeat end goes back to the last repeat start, double bar line or repeat end, whichever came last, or to
    the beginning. Endings are played in turn, as their numbers say; the last one is as long as the first. After D.C.
    (from the beginning) and D.S. (from the segno) nothing is repeated, last endings are taken, and fine or a coda holds.
    """
    jump = next((index for index, bar in enumerate(bars) if bar.jump), None)
    if jump is None:
        return _repeated(bars)
    head = _repeated(bars[: jump + 1])
    target = _landing(bars[: jump + 1], bars[jump].jump)
    if head is None or target is None:
        return None
    again, index, rest = [], target, jump + 1
    for index in range(target, jump + 1):
        again.append(index)
        if bars[index].is_fine:
            rest = len(bars)
            break
        if bars[index].to_coda:
            rest = next((at for at in range(index + 1, len(bars)) if bars[at].is_coda), jump + 1)
            break
    tail = _repeated(bars[rest:]) if not any(bar.jump for bar in bars[rest:]) else list(bars[rest:])
    skipped = _earlier_endings(bars)
    return None if tail is None else [*head, *(bars[at] for at in again if at not in skipped), *tail]


def _landing(bars: Sequence[Bar], jump: str) -> int | None:
    """Where D.C. or D.S. goes to; None for D.S. without a segno."""
    if jump == "D.C.":
        return 0
    return next((index for index, bar in enumerate(bars) if bar.is_segno), None)


def _earlier_endings(bars: Sequence[Bar]) -> set[int]:
    """Bars of all endings but the last of each group."""
    skipped: set[int] = set()
    index = 0
    while index < len(bars):
        group = _group(bars, index) if bars[index].endings else None
        if group is None:
            index += 1
            continue
        skipped |= set(range(index, group[-1]))
        index = group[-1] + 1
    return skipped


def _repeated(bars: Sequence[Bar]) -> list[Bar] | None:
    played: list[Bar] = []
    back_to, explicit, last_ending = 0, False, -1
    index = 0
    while index < len(bars):
        bar = bars[index]
        if bar.begins_repeat:
            back_to, explicit = index, True
        if bar.endings and index != last_ending:
            group = _group(bars, index)
            if group is None:
                return None
            times = max(max(bars[start].endings) for start in group)
            for turn in range(1, times + 1):
                place = next(place for place, start in enumerate(group) if turn in bars[start].endings)
                if turn > 1:
                    played += bars[back_to:index]
                if turn < times:
                    played += bars[group[place] : group[place + 1]]
                if len(played) > MAX_PLAYED:
                    return None
            last_ending = group[-1]
            back_to, explicit, index = last_ending + group[1] - index, False, last_ending
            continue
        played.append(bar)
        if bar.ends_repeat and index >= back_to:
            played += list(bars[back_to : index + 1]) * (min(max(bar.times, 2), MAX_TIMES) - 1)
            back_to, explicit = index + 1, False
        elif bar.ends_section and not explicit:
            back_to = index + 1
        if len(played) > MAX_PLAYED:
            return None
        index += 1
    return played


def _group(bars: Sequence[Bar], first: int) -> list[int] | None:
    """Where the endings begin that belong together, the first at `first`; None where they do not fit together.

    Together they have the numbers from 1 on, each once; the last number is the last ending's.
    """
    starts, numbers = [first], list(bars[first].endings)
    for index in range(first, len(bars)):
        if index > first and bars[index].begins_repeat:
            break
        if index > first and bars[index].endings:
            if 1 in bars[index].endings:
                break
            starts.append(index)
            numbers += bars[index].endings
        following = bars[index + 1].endings if index + 1 < len(bars) else ()
        if bars[index].ends_repeat and (not following or 1 in following):
            break
        if len(starts) > 1 and bars[index].ends_section and not following:
            break
    if len(starts) < 2 or sorted(numbers) != list(range(1, len(numbers) + 1)):
        return None
    return starts if max(numbers) in bars[starts[-1]].endings and max(numbers) <= MAX_TIMES else None
