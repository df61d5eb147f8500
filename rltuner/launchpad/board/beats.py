"""The beat domain: a note's track is a sum of beats that never overlap, shifted in time.

A bar has 2^B steps. A note has B + 1 beats: that of period 2^k, for k = 1 to B, sounds at the steps s with
s mod 2^k = 2^(k - 1), and the single beat at step 0. Every step belongs to exactly one of them. An offset shifts the
whole track circularly, to later steps.

A note's state is its code: beat k is bit B + k - 1 (the single beat bit 2B), the offset the lowest B bits. A board's
state is N codes. A bar is a 64-bit word a note, bit s for step s; a code becomes a word by a look-up.

Actions, in the order of their numbers: for each note B + 1 that toggle a beat and B that add 2^0 to 2^(B - 1) to its
offset (modulo 2^B); the last one does nothing.

Source: Hazon, Palamuttam and Voss, "Reinforcement Learning DJ", section 2, tables and figures 1 to 3. The text does not
say which steps a beat has; its figure 2 draws these.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rltuner.errors import InputError

Array = np.ndarray[Any, Any]
NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
MOST_LEVELS = 6  # a bar is one word of 64 bits
MOST_NOTES = 128  # that MIDI has


@dataclass(frozen=True)
class Board:
    """A board's size. Everything else follows from it."""

    notes: int = 24
    """N, rows of buttons."""
    levels: int = 6
    """B: a bar has 2^B steps."""
    lowest: int = 47
    """MIDI pitch of the first row."""

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= MOST_LEVELS:
            raise InputError(f"board: levels = {self.levels} must be in [1, {MOST_LEVELS}]")
        if not (self.notes >= 1 and self.lowest >= 0 and self.lowest + self.notes <= MOST_NOTES):
            raise InputError(
                f"board: notes = {self.notes} from MIDI {self.lowest}: give at least one, and none over 127"
            )

    @property
    def steps(self) -> int:
        """Of a bar: 2^B."""
        return 1 << self.levels

    @property
    def beats(self) -> int:
        """Of a note: B + 1."""
        return self.levels + 1

    @property
    def codes(self) -> int:
        """States of a note: 2^(2B + 1)."""
        return 1 << (2 * self.levels + 1)

    @property
    def presses(self) -> int:
        """Actions of a note: 2B + 1."""
        return 2 * self.levels + 1

    @property
    def actions(self) -> int:
        """N(2B + 1) + 1."""
        return self.notes * self.presses + 1

    @property
    def nothing(self) -> int:
        """The action that does nothing: the last."""
        return self.actions - 1

    @property
    def inputs(self) -> int:
        """Bits of a state, N(2B + 1): what a network is told."""
        return self.notes * self.presses

    @cached_property
    def patterns(self) -> Array:
        """The word of each beat without offset: uint64 [B + 1]."""
        steps = np.arange(self.steps)
        sounds = [steps % (1 << k) == (1 << k) // 2 for k in range(1, self.levels + 1)]
        sounds.append(steps == 0)
        return np.array([pack(row) for row in sounds], dtype=np.uint64)

    @cached_property
    def words(self) -> Array:
        """What each code plays: uint64 [2^(2B + 1)]."""
        codes = np.arange(self.codes)
        unshifted = np.zeros(self.codes, dtype=np.uint64)
        for beat, pattern in enumerate(self.patterns):
            unshifted[codes >> (self.levels + beat) & 1 == 1] |= pattern
        offset = (codes & (self.steps - 1)).astype(np.uint64)
        # A shift by the whole word is not defined, so the part that comes round is shifted in two turns.
        round_again = unshifted >> (np.uint64(self.steps - 1) - offset) >> np.uint64(1)
        return (unshifted << offset | round_again) & np.uint64((1 << self.steps) - 1)

    @cached_property
    def successors(self) -> Array:
        """The code after each of a note's actions: int32 [2^(2B + 1), 2B + 1]."""
        codes = np.arange(self.codes, dtype=np.int32)[:, None]
        toggled = codes ^ (1 << (self.levels + np.arange(self.beats, dtype=np.int32)))
        offset = (codes + (1 << np.arange(self.levels, dtype=np.int32))) & (self.steps - 1)
        return np.ascontiguousarray(np.concatenate([toggled, codes & -self.steps | offset], axis=1))

    @cached_property
    def bits(self) -> Array:
        """Each code as 0 and 1, the beats first: float32 [2^(2B + 1), 2B + 1]."""
        codes = np.arange(self.codes)[:, None]
        beats = codes >> (self.levels + np.arange(self.beats)) & 1
        offset = codes >> np.arange(self.levels) & 1
        return np.concatenate([beats, offset], axis=1).astype(np.float32)

    def press(self, state: Array, action: int) -> Array:
        """The state, int32 [N], after an action. InputError for an action that the board does not have."""
        if not 0 <= action < self.actions:
            raise InputError(f"action {action}: the board has 0 to {self.actions - 1}")
        after = state.copy()
        if action != self.nothing:
            note, press = divmod(action, self.presses)
            after[note] = self.successors[state[note], press]
        return after

    def random(self, generator: np.random.Generator, count: int) -> Array:
        """States drawn evenly from all of them: int32 [count, N]."""
        return generator.integers(self.codes, size=(count, self.notes), dtype=np.int32)

    def roll(self, words: Array) -> Array:
        """Bars as cells: bool [..., N, 2^B] of words uint64 [..., N]."""
        return (words[..., None] >> np.arange(self.steps, dtype=np.uint64) & np.uint64(1)).astype(bool)

    def name(self, note: int) -> str:
        """A row's note, such as "C4" for MIDI 60."""
        pitch = self.lowest + note
        return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"

    def describe(self, action: int) -> str:
        """An action in words, such as "C4: every 4 steps" or "C4: 8 steps later"."""
        if action == self.nothing:
            return "nothing"
        note, press = divmod(action, self.presses)
        if press < self.levels:
            return f"{self.name(note)}: every {2 << press} steps"
        if press == self.levels:
            return f"{self.name(note)}: single beat"
        later = 1 << (press - self.beats)
        return f"{self.name(note)}: {later} step{'s' if later > 1 else ''} later"


def pack(cells: Array) -> int:
    """The word of a row of cells: bit s is cell s."""
    return sum(1 << step for step, sounds in enumerate(cells) if sounds)
