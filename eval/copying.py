"""Copying: how much of what is composed stands in the training tunes, in any key.

Runs of n events are compared by rhythm and intervals, their pitches taken relative to their first onset. Runs with fewer
than two onsets are left out: a held note or a rest is nobody's. Some overlap is style, so look at the held-out human
tunes beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.eval.counts import Counts, in_batches
from rltuner.eval.diversity import hashes
from rltuner.melody import NUM_SPECIAL_EVENTS, Melodies, Vocabulary
from rltuner.melody.tunes import Tune

SIZES = (8, 16)
ANCHOR = 8  # events of the shortest stretch that is looked for
SHIFT = 256  # relative pitches, from -127 to 127, become numbers of their own above those of rest and hold
_ANY = Vocabulary(0, 128)  # of tunes' classes only differences are used


@dataclass(frozen=True)
class Copy:
    """The longest stretch that a melody shares with a training tune."""

    index: int
    """Of the melody in its batch."""
    events: int
    """Length of the stretch."""
    start: int
    """Where it starts in the melody."""
    tune: Tune
    """The training tune."""


class TrainingTunes:
    """An index of tunes by the hashes of their runs of n events, for each n of `sizes`, in any transposition."""

    def __init__(self, tunes: Sequence[Tune], sizes: Sequence[int] = SIZES) -> None:
        self.tunes = tuple(tunes)
        self.events = torch.tensor([e for tune in tunes for e in tune.events], dtype=torch.int64)
        lengths = torch.tensor([len(tune.events) for tune in tunes], dtype=torch.int64)
        self.tune_of = torch.arange(len(tunes)).repeat_interleave(lengths)  # (all events,)
        self._known: dict[int, Tensor] = {}
        self._anchors = (
            torch.empty(0, dtype=torch.int64),
        ) * 2  # sorted keys of all runs of `ANCHOR`, their places
        for n in sizes:
            if len(self.events) < n:
                self._known[n] = torch.empty(0, dtype=torch.int64)
                continue
            windows = self.events.unfold(0, n, 1)
            inside = self.tune_of[: len(windows)] == self.tune_of[n - 1 :]
            keys, counted = relative_keys(windows)
            self._known[n] = keys[inside & counted].unique()
            if n == ANCHOR:
                places = (inside & counted & (windows[:, 0] >= NUM_SPECIAL_EVENTS)).nonzero()[:, 0]
                ordered = keys[places].sort()
                self._anchors = ordered.values, places[ordered.indices]
        self._intervals = _local(self.events[None], self.tune_of[None])[0]

    def shared_runs(self, melodies: Melodies, n: int) -> Counts:
        """Runs of n events that a training tune has / runs of n events with two onsets or more; n is one of `sizes`."""

        def count(part: Melodies) -> dict[str, Counts]:
            rows, time = part.events.shape
            if time < n:
                nothing = torch.zeros(rows, dtype=torch.float64)
                return {"": Counts(nothing, nothing)}
            keys, counted = relative_keys(part.events.unfold(1, n, 1))  # (B, T - n + 1)
            counted &= torch.arange(time - n + 1) + n <= part.lengths[:, None]
            known = self._known[n]
            place = torch.searchsorted(known, keys).clamp(max=max(len(known) - 1, 0))
            found = (known[place] == keys) if len(known) else torch.zeros_like(counted)
            return {"": Counts((found & counted).sum(dim=1).double(), counted.sum(dim=1).double())}

        return in_batches(count, melodies)[""]

    def nearest(self, melodies: Melodies, index: int) -> Copy | None:
        """The longest stretch of eight events or more, from an onset on, that one melody shares with a tune.

        Stretches are compared by rhythm and by the interval from each onset to the one before it in the stretch. None
        where the melody shares no eight events.
        """
        length = int(melodies.lengths[index])
        row = melodies.events[index, :length]
        if length < ANCHOR or not len(self._anchors[0]):
            return None
        best: Copy | None = None
        local = _local(row[None], torch.zeros_like(row)[None])[0]
        keys, counted = relative_keys(row.unfold(0, ANCHOR, 1))
        starts = (counted & (row[: len(keys)] >= NUM_SPECIAL_EVENTS)).nonzero()[:, 0]
        first = torch.searchsorted(self._anchors[0], keys).tolist()
        last = torch.searchsorted(self._anchors[0], keys, right=True).tolist()
        for start in starts.tolist():
            alive, reach = self._anchors[1][first[start] : last[start]], ANCHOR
            if not len(alive) or (best is not None and length - start <= best.events):
                continue
            while reach < length - start:
                next_ones = alive[alive + reach < len(self.events)]
                goes_on = (self._intervals[next_ones + reach] == local[start + reach]) & (
                    self.tune_of[next_ones + reach] == self.tune_of[next_ones]
                )
                if not bool(goes_on.any()):
                    break
                alive, reach = next_ones[goes_on], reach + 1
            if best is None or reach > best.events:
                best = Copy(index, reach, start, self.tunes[int(self.tune_of[alive[0]])])
        return best

    def most_copied(self, melodies: Melodies, count: int = 5) -> list[Copy]:
        """The melodies with the largest share of 16-event runs found in the tunes, each with its longest stretch."""
        n = max(self._known)
        counts = self.shared_runs(melodies, n)
        share = counts.numerator / counts.denominator.clamp(min=1)
        chosen = share.topk(min(count, len(melodies))).indices.tolist() if len(melodies) else []
        found = (self.nearest(melodies, index) for index in chosen)
        return sorted((copy for copy in found if copy), key=lambda copy: -copy.events)


def relative_keys(runs: Tensor) -> tuple[Tensor, Tensor]:
    """For runs [..., n] of event classes: one number each, equal for runs that differ by a transposition, and whether
    the run has two onsets or more."""
    onset = runs >= NUM_SPECIAL_EVENTS
    first = onset.to(torch.uint8).argmax(dim=-1, keepdim=True)
    relative = torch.where(onset, runs - runs.gather(-1, first) + SHIFT, runs)
    return hashes(relative), onset.sum(dim=-1) >= 2


def _local(events: Tensor, parts: Tensor) -> Tensor:
    """Events [1, M] with each onset as its interval from the one before it in the same part; 0 and 1 stay."""
    line = Melodies(events, vocabulary=_ANY)
    before = line.previous_onset.clamp(min=0)
    has_before = (line.previous_onset >= 0) & (parts.gather(1, before) == parts)
    interval = torch.where(has_before, line.interval, SHIFT)  # no interval: matches no interval
    return torch.where(line.is_onset, interval + SHIFT, events)
