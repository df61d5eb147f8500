"""What a network hears at each step, and the rows of its first layer's table that stand for it.

At every step the first layer adds up rows of one table: one row for each thing that the network is told. They are

* ``event``: the class of the event heard last; nothing at the start of a tune (the RL Tuner paper's only input);
* ``clock``: where in its bar the event to come stands. Factors, so that a metre that was never heard means something:
  the place in the beat, by the beat's length; whether that place is even; beats since the bar line, and beats to the
  next one (0 to 3, and more);
* ``phrase``: the number of its bar modulo 8;
* ``to_go``: how many bars follow its own, 0 to 7, 8 or more, or unknown;
* ``lookback``: what was played at its place 1, 2, 4 and 8 bars before, and how many of the last events were the same as
  those before them at that distance (0, 1, 2 to 3, 4 to 7, 8 to 15, 16 and more).

Steps count from the melody's first event; of P events of context, event i stands at step i - P. An input at the place of
step s knows the events before s, the metre, and the length asked for, no more.

Row 0 of the table is of zeros: nothing. Row r is column r - 1 of the first layer's W_ih.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rltuner.melody import Meter, Vocabulary
from rltuner.networks.inputs.clock import LONGEST_BEAT, MOST_BEATS, beat_of, clock
from rltuner.networks.inputs.heard import Heard, Length, Progress
from rltuner.networks.inputs.names import checked_inputs

LOOKED_BACK = (1, 2, 4, 8)  # bars
RUNS = (1, 2, 4, 8, 16)  # events in a row that were the same: where the next row begins
PHRASE = 8  # bars
MOST_TO_GO = 8  # bars; more count as so many


@dataclass(frozen=True)
class Rows:
    """Rows of a table for each step of melodies."""

    of_melodies: Tensor
    """Those that each melody has of its own, int64 [B, L, K]: the event, and what is looked back on where there can be
    anything."""
    place: Tensor
    """Which of `places` a step is at, int64 [B, L]."""
    places: Tensor
    """The rows of each place, int64 [N, M]: clock, phrase, bars to go, and that nothing was played before what is heard.
    M is 0 where a network has none of them."""
    played: Tensor
    """The classes looked back on, int64 [B, L, D]; -1 for nothing."""
    then: Progress
    """How far the melodies have come after the last step."""

    def all(self) -> Tensor:
        """Every row, int64 [B, L, K + M]."""
        if not self.places.shape[1]:
            return self.of_melodies
        return torch.cat([self.of_melodies, self.places[self.place]], dim=2)

    def with_places(self, of_events: int) -> Tensor:
        """The rows of a table whose rows after `of_events` are sums, one for each place: int64 [B, L, K + 1], or K.

        To add one row for a place instead of M is the same, and takes less time.
        """
        if not self.places.shape[1]:
            return self.of_melodies
        return torch.cat([self.of_melodies, (1 + of_events + self.place)[..., None]], dim=2)


class Inputs:
    """The inputs of a network.

    Args:
      vocabulary: of the events, V classes.
      names: of `INPUTS`. InputError as `checked_inputs` has it.
    """

    has_kernels = True
    """Whether the compiled kernels know these inputs."""
    mixes_repeats = False
    """Whether an output for what was played before stands for that event, instead of being added to its logit."""

    def __init__(self, vocabulary: Vocabulary, names: Sequence[str] = ("event",)) -> None:
        self.vocabulary, self.names = vocabulary, checked_inputs(names)
        self.looked_back = LOOKED_BACK if "lookback" in names else ()
        beats = LONGEST_BEAT * (LONGEST_BEAT + 1) // 2
        sizes = {
            "clock": (beats, 2, MOST_BEATS + 1, MOST_BEATS + 1),
            "phrase": (PHRASE,),
            "to_go": (MOST_TO_GO + 2,),
        }
        size = vocabulary.size
        self.of_events = size + len(self.looked_back) * self._rows_of_distance
        """Rows that are of events, heard last or looked back on; those of places follow."""
        self._starts: dict[str, list[int]] = {}  # the first row of each part of an input
        first = 1 + self.of_events
        for name in ("clock", "phrase", "to_go"):
            for part in sizes[name] if name in names else ():
                self._starts.setdefault(name, []).append(first)
                first += part
        self.size = first - 1
        """Columns of the first layer's W_ih, F."""

    def vectors(self) -> Tensor:
        """What the rows stand for, float32 [F + 1, F]: row 0 is zero, row r has a 1 at r - 1."""
        return nn.functional.pad(torch.eye(self.size), (0, 0, 1, 0))

    def rows(self, heard: Heard, hidden: Tensor | None = None) -> Rows:
        """The rows for each event heard. InputError as `check_meter` has it.

        Args:
          heard: remembers its rows for the next network that has the same inputs.
          hidden: melodies and distances at which nothing is shown, bool [B, D]; None for none.
        """
        known = (self.vocabulary, self.names)
        rows: Rows | None = heard.rows.get(known) if hidden is None else None
        if rows is None:
            rows = self._rows(heard.events.long(), heard.begun, hidden)
            if hidden is None:
                heard.rows[known] = rows
        return rows

    def _rows(self, events: Tensor, begun: Progress, hidden: Tensor | None) -> Rows:
        (batch, count), device, bar = events.shape, events.device, begun.meter.steps_per_bar
        steps = begun.step + torch.arange(count)  # of the events predicted
        of_melodies, past = [events + 1], begun.past
        played = torch.full((batch, count, len(self.looked_back)), -1, device=device)
        active = 0
        if self.looked_back:
            known = torch.cat([past.to(device), events], dim=1)
            first = begun.step - 1 - past.shape[1]  # the step of known[:, 0]
            active = self._active(known.shape[1], bar)
            for number, bars in enumerate(self.looked_back[:active]):
                at = (steps - bars * bar - first).to(device)
                found = torch.where(at >= 0, known[:, at.clamp(min=0)], -1)
                run = _run(known, bars * bar)[:, past.shape[1] :]
                if hidden is not None:
                    found = torch.where(hidden[:, number, None], -1, found)
                    run = torch.where(hidden[:, number, None], 0, run)
                row = self.row_of_nothing(number)
                of_melodies += [row + 1 + found, row + 1 + self.vocabulary.size + run]
                played[:, :, number] = found
            past = known[:, -(max(self.looked_back) * bar + max(RUNS)) :]
        place, places = self._places(steps, begun.length, begun.meter, batch, active)
        then = Progress(begun.step + count, past, begun.length, begun.meter)
        return Rows(torch.stack(of_melodies, dim=2), place.to(device), places.to(device), played, then)

    def places(self, context: int, length: int, meter: Meter) -> tuple[Tensor, int]:
        """`Rows.places` of each step of melodies of one length from their first of `context` events on, and how many
        distances there can be something at."""
        active = self._active(context + length - 1, meter.steps_per_bar)
        return self._places(torch.arange(1 - context, length), length, meter, 1, active)[1], active

    def _active(self, heard: int, bar: int) -> int:
        """At how many of the distances there can be something, of so many events."""
        return sum(bars * bar <= heard for bars in self.looked_back)

    def row_of_nothing(self, number: int) -> int:
        """The row that says that nothing was played so many bars ago, of LOOKED_BACK[number].

        Class c is c + 1 rows on; the rows of runs follow those of the V classes.
        """
        return 1 + self.vocabulary.size + number * self._rows_of_distance

    @property
    def _rows_of_distance(self) -> int:
        return self.vocabulary.size + 1 + len(RUNS) + 1

    def _places(
        self, steps: Tensor, length: Length, meter: Meter, batch: int, active: int
    ) -> tuple[Tensor, Tensor]:
        """`Rows.place` and `Rows.places` of steps [L]: a place for each step and each length that there is."""
        number, parts = torch.arange(len(steps)).expand(batch, -1), []
        for distance in range(active, len(self.looked_back)):
            row = self.row_of_nothing(distance)
            parts += [torch.full_like(steps, row), torch.full_like(steps, row + 1 + self.vocabulary.size)]
        bar = steps.div(meter.steps_per_bar, rounding_mode="floor")
        if "clock" in self._starts:
            parts += [start + x for start, x in zip(self._starts["clock"], clock(steps, meter), strict=True)]
        if "phrase" in self._starts:
            parts.append(self._starts["phrase"][0] + bar % PHRASE)
        if "to_go" in self._starts:
            start = self._starts["to_go"][0]
            if length is None:
                parts.append(start + torch.full_like(steps, MOST_TO_GO + 1))
            elif isinstance(length, int):
                parts.append(start + bars_to_go(bar, torch.tensor(length), meter))
            else:
                lengths, which = length.cpu().unique(return_inverse=True)
                number = which[:, None] * len(steps) + number
                parts = [part.repeat(len(lengths)) for part in parts]
                parts.append(start + bars_to_go(bar, lengths[:, None], meter).flatten())
        return number, torch.stack(parts, dim=1) if parts else torch.empty((len(steps), 0), dtype=torch.int64)

    def check_meter(self, meter: Meter) -> None:
        """InputError for a metre whose beats the clock has no rows for."""
        if "clock" in self.names:
            beat_of(meter)


def _run(events: Tensor, distance: int) -> Tensor:
    """How many in a row up to each of `events` [B, N], it included, are the same as those `distance` before them; as the
    number of a row, int64 [B, N]."""
    same = torch.zeros_like(events, dtype=torch.bool)
    same[:, distance:] = (events[:, distance:] == events[:, :-distance]) & (events[:, distance:] >= 0)
    place = torch.arange(events.shape[1], device=events.device)
    long = place - torch.where(same, -1, place).cummax(dim=1).values if events.numel() else events
    return torch.bucketize(long, torch.tensor(RUNS, device=events.device), right=True)


def bars_to_go(bar: Tensor, length: Tensor, meter: Meter) -> Tensor:
    """How many bars of melodies of `length` events follow their bar of that number, 0 to MOST_TO_GO; one more where the
    length is -1, unknown."""
    last = (length - 1).div(meter.steps_per_bar, rounding_mode="floor")
    return torch.where(length < 0, MOST_TO_GO + 1, (last - bar).clamp(0, MOST_TO_GO))
