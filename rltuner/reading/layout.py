"""How bars are laid out in time: the rules that every format shares.

A reader (`abc`, `musicxml`, `midi_tracks`) gives drafts: bars with what else is known of the tune. From there every
format takes one of two paths:

    corpus:  bars --repeats--> bars as played --align----> pickup, sounds in whole bars --encode--> events
    song:    bars --repeats--> bars as played --lay_out--> sounds, time of the first bar line --encode_song--> events

`align` drops what would teach wrong things; `lay_out` keeps every note that is written, and says what it did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from rltuner.reading.bars import REST, Bar, Signature, Sound, UnusableError

SHORTEST_GUESS = 4  # steps: what bars without a metre must last at least to be taken for bars


@dataclass(frozen=True)
class Layout:
    """Bars in time."""

    signature: Signature
    """In which bars are counted."""
    lead: Fraction
    """Steps before the first bar line."""
    sounds: list[Sound]
    remarks: list[str]


def settle(bars: Sequence[Bar]) -> list[Bar]:
    """The bars, where a first bar in a shorter metre of its own is a pickup in the metre of the next.

    Programs write a pickup of a quarter as one bar of 1/4.
    """
    if len(bars) > 1 and 0 < bars[0].size < bars[1].size:
        return [replace(bars[0], signature=bars[1].signature, is_pickup=True), *bars[1:]]
    return list(bars)


def counted(bars: Sequence[Bar]) -> None:
    """Numbers bars in place, in the order in which they are written: a pickup is bar 0; bars without sounds count."""
    number = 0 if len(bars) > 1 and (bars[0].is_pickup or _starts_with_pickup(settle(bars))) else 1
    filled = Fraction(0)
    for bar in bars:
        bar.number = number
        filled += bar.length
        # A bar that a sign divides is one bar.
        if bar.is_pickup or number == 0 or bar.size == 0 or filled >= bar.size or not bar.ends_section:
            number, filled = number + 1, Fraction(0)


def align(bars: Sequence[Bar], steps_per_bar: int) -> tuple[list[Sound], list[Sound]]:
    """The sounds before the first full bar, and those of the bars from there on, every one full: what a corpus takes.

    * A short bar and the next one or two that complete it are one bar (a repeat sign in the middle of a bar).
    * A short bar where a section starts is a pickup: the first one is kept apart, a later one is dropped.
    * A short bar where a section ends: its last sound goes on until the bar is full.
    * A long bar of a whole number of bars lacks a bar line: kept.

    Raises UnusableError: "bars do not add up" for any other, "shorter than a bar" where that is all there is.
    """
    pickup: list[Sound] = []
    sounds: list[Sound] = []
    starts_section, index = True, 0
    if len(bars) == 1 and 0 < bars[0].length < steps_per_bar:
        raise UnusableError("shorter than a bar")
    while index < len(bars):
        bar = bars[index]
        length, used = bar.length, 1
        if length < steps_per_bar and (sounds or pickup):
            used = _completing(bars, index, Fraction(steps_per_bar))
            length = Fraction(steps_per_bar) if used > 1 else length
        taken = bars[index : index + used]
        index += used
        if length and length % steps_per_bar == 0:
            sounds += (sound for part in taken for sound in part.sounds)
        elif length > steps_per_bar:
            raise UnusableError("bars do not add up")
        elif not starts_section:
            if not (bar.ends_section or index == len(bars)):
                raise UnusableError("bars do not add up")
            *before, (last, pitch, tied) = bar.sounds
            sounds += [*before, (last + steps_per_bar - length, pitch, tied)]
        elif not sounds:
            pickup = bar.sounds
        starts_section = taken[-1].ends_section
    return pickup, sounds


def lay_out(bars: Sequence[Bar]) -> Layout:
    """The bars one after the other, with every note that is written: what a person's own song is.

    A short first bar is a pickup. A bar that is too short is filled with silence: before its notes where a part begins
    (the pickup of a later part), else after them; one that is too long, likewise, to the next bar line. Bars that
    complete each other are one bar. In another metre than the first a bar keeps its own length, and the bars after it
    are counted on in the first metre. Without a metre, bars last as long as most of them do.

    Raises UnusableError ("no notes").
    """
    remarks: list[str] = []
    bars = settle(bars)
    if not any(pitch != REST for bar in bars for _, pitch, _ in bar.sounds):
        raise UnusableError("no notes")
    bars = _with_metre(bars, remarks)
    said: dict[str, list[Bar]] = {"short": [], "long": [], "pickup": [], "metre": []}
    base = next(bar.signature for bar in bars if bar.signature is not None)
    lead, sounds, index, starts_section = Fraction(0), list[Sound](), 0, False
    if _starts_with_pickup(bars):
        lead, sounds, index = bars[0].length, list(bars[0].sounds), 1
    metre = base
    while index < len(bars):
        bar, size = bars[index], bars[index].size
        if bar.signature is not None and bar.signature != metre:
            said["metre"].append(bar)
            metre = bar.signature
        used = _completing(bars, index, size) if bar.length < size else 1
        taken = bars[index : index + used]
        written = [sound for part in taken for sound in part.sounds]
        length = sum((part.length for part in taken), Fraction(0))
        missing = -length % size
        index += used
        if not missing:
            sounds += written
        elif starts_section and length < size and index < len(bars):
            said["pickup"].append(bar)
            sounds += [(missing, REST, False), *written]
        else:
            sounds += [*written, (missing, REST, False)]
            if index < len(bars):
                said["long" if length > size else "short"].append(bar)
        starts_section = taken[-1].ends_section
    remarks += _said(said, base)
    return Layout(base, lead, sounds, remarks)


def _completing(bars: Sequence[Bar], index: int, size: Fraction) -> int:
    """How many bars from `index` on, two or three, last `size` steps together; 1 where none do."""
    total = bars[index].length
    for used in (2, 3):
        if index + used > len(bars):
            break
        total += bars[index + used - 1].length
        if total == size:
            return used
    return 1


def _starts_with_pickup(bars: Sequence[Bar]) -> bool:
    """Whether the first of several bars is a pickup: it is short, and the next does not complete it."""
    if len(bars) < 2 or not 0 < bars[0].length < bars[0].size:
        return False
    split = bars[0].length + bars[1].length == bars[0].size and _completing(bars, 1, bars[0].size) == 1
    return bars[0].is_pickup or bars[1].length >= bars[1].size or not split


def _with_metre(bars: list[Bar], remarks: list[str]) -> list[Bar]:
    """The bars with a metre in every one of them: that of its neighbours, or what most bars last, or 4/4."""
    known = next((bar.signature for bar in bars if bar.size), None)
    sizes = Counter(bar.length for bar in bars if bar.length >= SHORTEST_GUESS)
    usual, count = sizes.most_common(1)[0] if sizes else (Fraction(0), 0)
    guess = _signature_of(usual) if 2 * count > len(bars) and len(bars) > 2 else None
    if known is None:
        known = guess or (4, 4)
        remarks.append(f"it has no metre: bars are counted in {known[0]}/{known[1]}")
        if guess is None:  # bar lines without a metre tell nothing
            return [Bar([sound for bar in bars for sound in bar.sounds], signature=known)]
    result = []
    for bar in bars:
        known = bar.signature if bar.size else known
        result.append(replace(bar, signature=known))
    return result


def _signature_of(size: Fraction) -> Signature | None:
    """A time signature for bars of that many steps: 4/4, 3/4, 6/8 … where it has whole eighths, or none."""
    if size % 4 == 0:
        return int(size) // 4, 4
    return (int(size) // 2, 8) if size % 2 == 0 else None


def place(bar: Bar) -> str:
    """ "bar 3", and "bar 3 (line 12)" where lines are known."""
    return f"bar {bar.number}" + (f" (line {bar.line})" if bar.line else "")


def _said(said: dict[str, list[Bar]], base: Signature) -> list[str]:
    """A sentence for each thing that was done to bars."""
    texts = {
        "short": "shorter than {0}: filled with silence",
        "long": "longer than {0}: silence follows up to the next bar line",
        "pickup": "shorter than {0}, where a part begins: silence fills it before its notes",
    }
    lines = []
    for kind, text in texts.items():
        found = list({bar.number: bar for bar in said[kind]}.values())
        if found:
            verb = "is" if len(found) == 1 else "are"
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            names = ", ".join(place(bar) for bar in found[:3])
            lines.append(f"{names}{more} {verb} {text.format(f'{base[0]}/{base[1]}')}")
    changes = [
        f"{place(bar)} to {bar.signature[0]}/{bar.signature[1]}" for bar in said["metre"] if bar.signature
    ]
    if changes:
        more = f", and {len(changes) - 4} times more" if len(changes) > 4 else ""
        lines.append(
            f"the metre changes, at {', '.join(changes[:4])}{more}; bars are counted in {base[0]}/{base[1]} throughout"
        )
    return lines
