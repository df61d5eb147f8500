"""Windows of tunes, each told to the network as if it were a whole tune: what a Note RNN learns from.

A window is a number of bars of a tune. Its first event is step 0, its end is where the melody will end, and of what came
before it the network hears no more than a context: nothing, a note, a pickup, or whole bars. So it learns melodies of any
length, with phrases and endings, after any primer; and it does not come to need what a melody's start cannot have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import NUM_SPECIAL_EVENTS, Meter
from rltuner.melody.tunes import Tune
from rltuner.networks.inputs.heard import Heard, begin
from rltuner.networks.inputs.rows import Inputs

IGNORED = -100  # target of a step that is not learned
SIZES = (32, 64, 128, 256, 512)  # events, at most, of the windows of a batch; 2 to 32 bars of 4/4
SHARES = (0.1, 0.15, 0.35, 0.25, 0.15)  # of the batches that have these sizes
PHRASES = (8, 4, 1)  # bars: a window begins at a multiple of so many and, if it can, is as many of them long
OF_PHRASES = (0.6, 0.2, 0.2)  # shares of the windows
LENGTH_UNKNOWN = 0.1  # share of the windows whose length is not told
HIDDEN = 0.1  # share of the windows in which each distance looked back on shows nothing
MOST_CONTEXT = 2  # bars
CONTEXTS = (0.6, 0.2, 0.2)  # shares: one event, less than a bar, one or two whole bars
ONE_EVENT = (0.4, 0.2, 0.2, 0.2)  # shares: nothing, what was played, the last note as if it began, any class


@dataclass(frozen=True)
class Batch:
    """Windows to learn from."""

    rows: Tensor
    """That the first layer adds up (`Rows.all`), int64 [B, L, K]."""
    played: Tensor
    """The classes looked back on, int64 [B, L, D]."""
    targets: Tensor
    """The event that follows each step, int64 [B, L]; IGNORED in the context and after the end."""


class _OfMeter:
    """The tunes of one metre, end to end, each after the two bars before it: -1, and its pickup."""

    def __init__(self, tunes: Sequence[Tune]) -> None:
        self.meter = tunes[0].meter
        before = MOST_CONTEXT * self.meter.steps_per_bar
        rows = [[-1] * (before - len(tune.pickup)) + [*tune.pickup, *tune.events] for tune in tunes]
        self.events = torch.tensor([event for row in rows for event in row], dtype=torch.int64)
        sizes = torch.tensor([len(row) for row in rows])
        ends = sizes.cumsum(0)
        self.bars = torch.tensor([len(tune.events) // self.meter.steps_per_bar for tune in tunes])
        self.starts = ends - self.bars * self.meter.steps_per_bar
        is_onset = self.events >= NUM_SPECIAL_EVENTS
        latest = torch.where(is_onset, torch.arange(len(is_onset)), -1).cummax(dim=0).values
        is_own = latest >= (ends - sizes).repeat_interleave(sizes)
        self.last_note = torch.where(is_own, self.events[latest.clamp(min=0)], -1)
        """The last note that began at each event or before it, as a class; -1 where the tune has none yet."""


class Windows:
    """Random windows.

    Args:
      tunes: to cut them from; a tune is drawn in proportion to its length.
      inputs: of the network.
      events: of a batch, about.
      seed: of every choice.
    """

    def __init__(self, tunes: Sequence[Tune], inputs: Inputs, events: int, seed: int) -> None:
        by_meter: dict[Meter, list[Tune]] = {}
        for tune in tunes:
            if tune.events:
                by_meter.setdefault(tune.meter, []).append(tune)
        for meter in by_meter:
            inputs.check_meter(meter)
        self.inputs, self.batch_events = inputs, events
        self._of_meter = [_OfMeter(of_meter) for of_meter in by_meter.values()]
        self._meter = torch.cat([torch.full((len(of),), i) for i, of in enumerate(by_meter.values())])
        self._number = torch.cat([torch.arange(len(of)) for of in by_meter.values()])
        self._lengths = torch.tensor([float(len(tune.events)) for of in by_meter.values() for tune in of])
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self) -> Batch:
        """A batch of windows of one size."""
        size = SIZES[self._one_of(SHARES)]
        count = max(1, self.batch_events // size)
        tune = torch.multinomial(self._lengths, count, replacement=True, generator=self.generator)
        parts = [
            self._windows(self._of_meter[number], self._number[tune[self._meter[tune] == number]], size)
            for number in self._meter[tune].unique().tolist()
        ]
        steps = max(part.rows.shape[1] for part in parts)
        missing = [steps - part.rows.shape[1] for part in parts]

        def filled_up(of_parts: Iterable[Tensor]) -> Tensor:
            """Each with its last step again, to the longest one's length."""
            steps_of = zip(of_parts, missing, strict=True)
            return torch.cat([torch.cat([x, x[:, -1:].expand(-1, n, -1)], dim=1) for x, n in steps_of])

        pad = torch.nn.functional.pad
        targets = [pad(p.targets, (0, n), value=IGNORED) for p, n in zip(parts, missing, strict=True)]
        return Batch(
            filled_up(part.rows for part in parts),
            filled_up(part.played for part in parts),
            torch.cat(targets),
        )

    def _one_of(self, shares: Sequence[float]) -> int:
        return int(torch.multinomial(torch.tensor(shares), 1, generator=self.generator))

    def _happens(self, share: float, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator) < share

    def _below(self, bound: Tensor) -> Tensor:
        """Whole numbers from 0 to bound - 1, as many as there are bounds."""
        return (torch.rand(bound.shape, generator=self.generator) * bound).long()

    def _windows(self, of: _OfMeter, tune: Tensor, size: int) -> Batch:
        """A window of each of some tunes of one metre, of at most `size` events, but a bar at least."""
        count, bar, bars = len(tune), of.meter.steps_per_bar, of.bars[tune]
        most = max(1, size // bar)
        kinds = torch.multinomial(torch.tensor(OF_PHRASES), count, True, generator=self.generator)
        phrase = torch.tensor(PHRASES)[kinds]
        whole = torch.where(phrase <= most, most // phrase * phrase, most)
        long = torch.where(phrase > 1, whole, 1 + self._below(torch.full((count,), most))).minimum(bars)
        start = self._below((bars - long) // phrase + 1) * phrase
        lengths = long * bar
        width = self._context_width(bar)
        first = of.starts[tune] + start * bar
        at = (first - width)[:, None] + torch.arange(width + int(lengths.max()))
        events = of.events[at.clamp(max=len(of.events) - 1)]  # (count, P + T)
        if width == 1:
            events[:, 0] = self._one_event(events[:, 0], of.last_note[first - 1])
        told = torch.where(self._happens(LENGTH_UNKNOWN, count), -1, lengths)
        hidden = self._happens(HIDDEN, count, len(self.inputs.looked_back))
        rows = self.inputs.rows(Heard(events[:, :-1], begin(count, width, told, of.meter)), hidden)
        is_learned = torch.arange(events.shape[1] - width) < lengths[:, None]
        targets = torch.where(is_learned, events[:, width:], IGNORED)
        targets = torch.nn.functional.pad(targets, (width - 1, 0), value=IGNORED)
        return Batch(rows.all(), rows.played, targets)

    def _context_width(self, bar: int) -> int:
        """Events of context, at least 1."""
        kind = self._one_of(CONTEXTS)
        if kind == 0 or bar == 1:
            return 1
        if kind == 1:
            return 1 + int(self._below(torch.tensor([bar - 1])))
        return bar * (1 + int(self._below(torch.tensor([MOST_CONTEXT]))))

    def _one_event(self, played: Tensor, last_note: Tensor) -> Tensor:
        """The one event before step 0: nothing, what was played, the last note, or any class."""
        kinds = torch.multinomial(torch.tensor(ONE_EVENT), len(played), True, generator=self.generator)
        any_class = self._below(torch.full((len(played),), self.inputs.vocabulary.size))
        choices = torch.stack([torch.full_like(played, -1), played, last_note, any_class])
        return choices.gather(0, kinds[None])[0]
