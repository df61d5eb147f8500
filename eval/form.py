"""Form over a whole tune: bars that come back, phrases that end, how much a melody repeats itself.

Bars are those of the melodies' metre, counted from the first event; a last bar that is not full is left out. Every
function gives one value a melody, float64 [B]; NaN where a melody has nothing to measure.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rltuner.eval.texture import NAN, mean_where
from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.rules.bars import NOWHERE, PHRASE, by_bar, shapes
from rltuner.rules.phrase_cadence import DOMINANT, is_degree
from rltuner.rules.tonic_frame import last_pitch

LAGS = (1, 2, 4, 8)  # bars


def returning(melodies: Melodies) -> Tensor:
    """Bars that an earlier bar of the melody equals, class for class / bars but the first. Held and empty ones count."""
    return _share_of_returning(melodies, melodies.events)


def returning_in_rhythm(melodies: Melodies) -> Tensor:
    """Bars whose onsets lie where those of an earlier bar do / bars but the first."""
    return _share_of_returning(melodies, melodies.is_onset.long())


def returning_moved(melodies: Melodies, key: str = "C major") -> Tensor:
    """Bars that an earlier bar equals, as it was or moved along the scale of the key / bars but the first.

    Moved, rhythm and steps between degrees stay; notes outside the key are degrees of their own. A bar of fewer than two
    onsets counts where it comes back as it was.
    """
    bars = shapes(melodies, Key.parse(key), melodies.meter.steps_per_bar)
    several = (bars.onsets >= 2)[..., None]
    index = torch.arange(bars.shape.shape[1])[None, :, None]
    moved = torch.where(several, bars.shape, NOWHERE * (index + 2))  # else like no other
    return _share_of_returning(melodies, melodies.events, moved)


def similarity(melodies: Melodies, lag: int) -> Tensor:
    """Mean share of a bar's steps that have the event class of the step `lag` bars before; NaN without such bars."""
    bars = by_bar(melodies, melodies.events)
    if bars.shape[1] <= lag:
        return torch.full((len(melodies),), NAN, dtype=torch.float64)
    same = (bars[:, lag:] == bars[:, :-lag]).double().mean(dim=2)
    return mean_where(same, torch.arange(lag, bars.shape[1]) < bars_of(melodies)[:, None])


def compressed(melodies: Melodies) -> Tensor:
    """Bytes that DEFLATE makes of a melody's events, one byte each, / events: the lower, the more of it is repetition."""
    rows = melodies.events.to(torch.uint8).cpu().numpy()
    sizes = [
        len(zlib.compress(row[:length].tobytes(), 9, -15)) / length if length else NAN
        for row, length in zip(rows, melodies.lengths.tolist(), strict=True)
    ]
    return torch.tensor(sizes, dtype=torch.float64)


def ends_on_tonic(melodies: Melodies, key: str = "C major") -> Tensor:
    """1 where the last note is the tonic of the key, in any octave, else 0; NaN without notes."""
    return _end_of(melodies, melodies.lengths, (0,), Key.parse(key))


def half_cadences(melodies: Melodies, key: str = "C major") -> Tensor:
    """Of the middles of each eight bars, the share before which the last note is of the dominant chord (2, 5, 7).

    The middle is the end of bar 4, 12, ...; NaN for fewer than eight bars, or where no note was played yet.
    """
    return _phrase_ends(melodies, PHRASE, DOMINANT, key)


def full_cadences(melodies: Melodies, key: str = "C major") -> Tensor:
    """Of the ends of each eight bars, the share at which the last note is the tonic; NaN for fewer than eight bars."""
    return _phrase_ends(melodies, 2 * PHRASE, (0,), key)


def has_form(melodies: Melodies, form: str) -> Tensor:
    """bool [B]: whether phrases of one letter begin with the same three bars, and those of different letters do not.

    Args:
      melodies: of whole phrases of four bars.
      form: a letter for each phrase, such as AABA.

    False for a melody that has not as many phrases.
    """
    size = PHRASE * melodies.meter.steps_per_bar
    if melodies.events.shape[1] < size * len(form):
        return torch.zeros(len(melodies), dtype=torch.bool)
    compared = (PHRASE - 1) * melodies.meter.steps_per_bar
    phrases = melodies.events[:, : size * len(form)].reshape(len(melodies), len(form), size)[:, :, :compared]
    fine = melodies.lengths == size * len(form)
    for one, other in itertools.combinations(range(len(form)), 2):
        same = (phrases[:, one] == phrases[:, other]).all(dim=1)
        fine = fine & (same == (form[one] == form[other]))
    return fine


def ends_on(melodies: Melodies, key: Key, ending: str) -> Tensor:
    """bool [B]: whether the last note is the tonic (`closed`), or of the dominant chord (`open`); False without notes."""
    wanted = {"closed": (0,), "open": DOMINANT}[ending]
    return _end_of(melodies, melodies.lengths, wanted, key) == 1


FORM: dict[str, Callable[[Melodies], Tensor]] = {
    "returning": returning,
    "returning_in_rhythm": returning_in_rhythm,
    **{f"similarity_lag{lag}": partial(similarity, lag=lag) for lag in LAGS},
    "compressed": compressed,
}
"""One number a melody each."""
FORM_IN_KEY: dict[str, Callable[[Melodies, str], Tensor]] = {
    "returning_moved": returning_moved,
    "ends_on_tonic": ends_on_tonic,
    "half_cadences": half_cadences,
    "full_cadences": full_cadences,
}
"""The same, of what depends on the key."""


def bars_of(melodies: Melodies) -> Tensor:
    """int64 [B]: full bars."""
    return melodies.lengths // melodies.meter.steps_per_bar


def _share_of_returning(melodies: Melodies, *kinds: Tensor) -> Tensor:
    """Bars that equal an earlier one in any of the kinds ([B, T], or [B, bars, steps]) / bars but the first."""
    bars = [kind if kind.ndim == 3 else by_bar(melodies, kind) for kind in kinds]
    if bars[0].shape[1] < 2:
        return torch.full((len(melodies),), NAN, dtype=torch.float64)
    came_before = [
        torch.stack([(one[:, :k] == one[:, k : k + 1]).all(dim=2) for one in bars]).any(dim=0).any(dim=1)
        for k in range(1, bars[0].shape[1])
    ]
    inside = torch.arange(1, bars[0].shape[1]) < bars_of(melodies)[:, None]
    return mean_where(torch.stack(came_before, dim=1).double(), inside)


def _phrase_ends(melodies: Melodies, bars: int, wanted: tuple[int, ...], key: str) -> Tensor:
    """Mean over each eight whole bars: whether the last note before the end of their bar `bars` is a wanted degree."""
    step = melodies.meter.steps_per_bar
    places = range(bars * step, melodies.events.shape[1] + 1, 2 * PHRASE * step)
    if not len(places):
        return torch.full((len(melodies),), NAN, dtype=torch.float64)
    found = torch.stack(
        [
            _end_of(melodies, torch.full_like(melodies.lengths, place), wanted, Key.parse(key))
            for place in places
        ],
        dim=1,
    )
    whole = torch.tensor([-(-place // (2 * PHRASE * step)) * 2 * PHRASE * step for place in places])
    return mean_where(found.nan_to_num(), (whole <= melodies.lengths[:, None]) & ~found.isnan())


def _end_of(melodies: Melodies, ends: Tensor, wanted: tuple[int, ...], key: Key) -> Tensor:
    """1 where the last onset before `ends`, int64 [B], is a wanted degree of the key, else 0; NaN where there is none."""
    if not melodies.events.shape[1]:
        return torch.full((len(melodies),), NAN, dtype=torch.float64)
    last = last_pitch(melodies).gather(1, (ends[:, None] - 1).clamp(min=0))[:, 0]
    return torch.where((last >= 0) & (ends > 0), is_degree(last, key, wanted).double(), NAN)
