"""The input vectors of Magenta's lookback_rnn and attention_rnn, as rows of a table that each step adds up.

* ``magenta_lookback``, 3 V + 7 numbers: one-hot the event heard; what was played 15 and 31 steps before it, where a
  repeat would go on; five bits of the number of the step to come, as -1 and 1, the lowest first; whether the event is
  that of 16, of 32 steps before.
* ``magenta_key``, N + 38 for N pitches: the pitch that sounds; that one sounds; that none does; that the last event,
  NOTE_OFFs aside, is an onset; -1 or 1 where the last change of pitch fell or rose; whether the event is that of 16, of
  32 steps before; seven bits; that the step to come begins a bar of 16; the major keys that hold the most of all onsets;
  those that hold the most of the last three different pitches. Of keys that tie all are 1, and without an onset all.

V classes are in this project's order, which `rltuner.magenta` brings the weights into. How events are counted: `heard`.

Source: LookbackEventSequenceEncoderDecoder and KeyMelodyEncoderDecoder in note_seq 0.0.5 (Apache-2.0).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from rltuner.melody import NO_EVENT, NOTE_OFF, Meter, Vocabulary
from rltuner.networks.inputs.heard import Heard
from rltuner.networks.inputs.names import KEY, LOOKBACK
from rltuner.networks.inputs.rows import Inputs, Rows
from rltuner.networks.melody_rnn.heard import DISTANCES, FIRST_ONSET, Counted, counted, latest

BAR = 16  # steps, whatever the metre
RECENT = 3  # different pitches
MAJOR = (0, 2, 4, 5, 7, 9, 11)
BITS = {LOOKBACK: 5, KEY: 7}


class MelodyRnnInputs:
    """The inputs of a lookback_rnn or an attention_rnn; what `Inputs` is for other networks.

    Args:
      vocabulary: of the events, V classes.
      name: "magenta_lookback" or "magenta_key".
    """

    has_kernels = False
    looked_back = DISTANCES
    """Steps back to what may be repeated. For each the network has an output more: a class that stands for that event."""
    mixes_repeats = True

    def __init__(self, vocabulary: Vocabulary, name: str) -> None:
        self.vocabulary, self.name, self.names = vocabulary, name, (name,)
        pitches, classes = vocabulary.max_pitch - vocabulary.min_pitch, vocabulary.size
        if name == LOOKBACK:
            self._bits = 3 * classes
            self._repeats = self._bits + BITS[name]
            self.size = self._repeats + len(DISTANCES)
            self._signed = [*range(self._bits, self._repeats)]
        else:
            self._direction = pitches + 3
            self._repeats = self._direction + 1
            self._bits = self._repeats + len(DISTANCES)
            self._bar = self._bits + BITS[name]
            self.size = self._bar + 1 + 24
            self._signed = [self._direction, *range(self._bits, self._bar)]
        self._nothing = self.size + len(self._signed) + 1

    def vectors(self) -> Tensor:
        """What each row stands for, float32 [R, F]: nothing, each column's 1, each signed column's -1, nothing.

        Of the two that are nothing the first is for the event heard last, and has the layer's biases (`table_of`).
        """
        one = torch.eye(self.size)
        nothing = torch.zeros(1, self.size)
        return torch.cat([nothing, one, -one[self._signed], nothing])

    def check_meter(self, meter: Meter) -> None:
        """Every metre will do: these networks count steps."""

    def rows(self, heard: Heard) -> Rows:
        """The rows for each event heard, which remembers them for the next network that has the same inputs."""
        known = (self.vocabulary, self.names)
        rows: Rows | None = heard.rows.get(known)
        if rows is None:
            rows = heard.rows[known] = self._rows(heard)
        return rows

    def _rows(self, heard: Heard) -> Rows:
        events, begun = heard.events.long(), heard.begun
        (batch, length), device = events.shape, events.device
        place = torch.zeros((batch, length), dtype=torch.int64, device=device)
        places = torch.empty((1, 0), dtype=torch.int64, device=device)
        if not length:
            parts = torch.empty((batch, 0, 1), dtype=torch.int64, device=device)
            played = torch.empty((batch, 0, len(DISTANCES)), dtype=torch.int64, device=device)
            return Rows(parts, place, places, played, begun)
        now = counted(events, begun.memory)
        played = torch.stack([now.back(steps - 1) for steps in DISTANCES], dim=2)
        memory = now.memory()
        is_lookback = self.name == LOOKBACK
        told = self._lookback(now, played) if is_lookback else self._key(now, begun.memory, memory)
        rows = torch.stack(told, dim=2)
        heard_something = now.is_event[..., None]
        first = torch.where(heard_something, rows[..., :1], 0)
        rows = torch.cat([first, torch.where(heard_something, rows[..., 1:], self._nothing)], dim=2)
        then = dataclasses.replace(begun, step=begun.step + length, memory=memory)
        return Rows(rows, place, places, played, then)

    def _row(self, column: int, shown: Tensor) -> Tensor:
        """The row of a column that is 1 where `shown`, else 0."""
        return torch.where(shown, column + 1, self._nothing)

    def _signed_row(self, column: int, positive: Tensor) -> Tensor:
        """The row of a column that is 1 where `positive`, else -1."""
        return torch.where(positive, column + 1, self.size + 1 + self._signed.index(column))

    def _steps(self, now: Counted) -> list[Tensor]:
        """Of the bits of the step to come, and of what is repeated."""
        bits = [
            self._signed_row(self._bits + bit, (now.number >> bit) % 2 == 1) for bit in range(BITS[self.name])
        ]
        repeats = [self._row(self._repeats + k, now.repeats(steps)) for k, steps in enumerate(DISTANCES)]
        return bits + repeats

    def _lookback(self, now: Counted, played: Tensor) -> list[Tensor]:
        classes = self.vocabulary.size
        return [
            1 + now.events,
            1 + classes + played[..., 0],
            1 + 2 * classes + played[..., 1],
            *self._steps(now),
        ]

    def _key(self, now: Counted, before: dict[str, Tensor], memory: dict[str, Tensor]) -> list[Tensor]:
        events, onset = now.events, now.is_onset
        pitches = self.vocabulary.max_pitch - self.vocabulary.min_pitch
        batch, device = len(events), events.device
        if "sounding" not in before:
            none = torch.full((batch,), -1, device=device)
            zero = torch.zeros_like(none)
            before = {"sounding": none, "struck": zero, "direction": zero, "last": none} | {
                "when": torch.full((batch, pitches), -1, device=device),
                "onsets": torch.zeros((batch, 12), dtype=torch.int64, device=device),
            }
        pitch = torch.where(onset, events - FIRST_ONSET, -1)
        sounding = latest(pitch, onset | (events == NOTE_OFF), before["sounding"])
        struck = latest(onset.long(), onset | (events == NO_EVENT), before["struck"])
        last = latest(pitch, onset, before["last"])
        previous = torch.cat([before["last"][:, None], last[:, :-1]], dim=1)
        change = torch.where(onset & (previous >= 0), (pitch - previous).sign(), 0)
        direction = latest(change, change != 0, before["direction"])
        is_pitch = pitch[..., None] == torch.arange(pitches, device=device)  # (B, L, N)
        of_class = self._pitch_classes(device)  # (N, 12)
        onsets = before["onsets"][:, None] + (is_pitch.float() @ of_class).cumsum(dim=1).long()
        when = torch.where(is_pitch, now.number[..., None], -1).cummax(dim=1).values
        when = torch.maximum(when, before["when"][:, None])
        third = when.topk(min(RECENT, pitches), dim=2).values[..., -1:]
        recent = ((when >= third) & (when >= 0)).float() @ of_class
        memory |= {
            "sounding": sounding[:, -1],
            "struck": struck[:, -1],
            "direction": direction[:, -1],
            "last": last[:, -1],
            "when": when[:, -1],
            "onsets": onsets[:, -1],
        }
        sounds = sounding >= 0
        told = [
            torch.where(sounds, 1 + sounding, self._nothing),
            torch.where(sounds, pitches + 1, pitches + 2),
            self._row(pitches + 2, struck > 0),
            torch.where(direction == 0, self._nothing, self._signed_row(self._direction, direction > 0)),
            *self._steps(now),
            self._row(self._bar, now.number % BAR == 0),
        ]
        for first, counts in ((self._bar + 1, onsets.float()), (self._bar + 13, recent)):
            held = counts @ _held_by(device)  # (B, L, 12): onsets that each major key holds
            most = held == held.amax(dim=2, keepdim=True)
            told += [self._row(first + key, most[..., key]) for key in range(12)]
        return told

    def _pitch_classes(self, device: torch.device) -> Tensor:
        """Of each pitch, one-hot, float32 [N, 12]."""
        own = torch.arange(self.vocabulary.min_pitch, self.vocabulary.max_pitch, device=device) % 12
        return (own[:, None] == torch.arange(12, device=device)).float()


def _held_by(device: torch.device) -> Tensor:
    """Whether each pitch class is in each major key, C to B, float32 [12, 12]."""
    degree = (torch.arange(12, device=device)[:, None] - torch.arange(12, device=device)) % 12
    return torch.isin(degree, torch.tensor(MAJOR, device=device)).float()


def inputs_named(vocabulary: Vocabulary, names: tuple[str, ...] | list[str]) -> Inputs | MelodyRnnInputs:
    """The inputs of those names: one of Magenta's by itself, or others. InputError as `checked_inputs` has it."""
    if len(names) == 1 and names[0] in BITS:
        return MelodyRnnInputs(vocabulary, names[0])
    return Inputs(vocabulary, names)


def known_to_kernels(inputs: Inputs | MelodyRnnInputs) -> Inputs:
    """The inputs, where the compiled kernels know them; ValueError otherwise."""
    if isinstance(inputs, MelodyRnnInputs):
        raise ValueError(f"the kernels do not know {inputs.name}")
    return inputs
