"""The game: one board, people and a policy that press its buttons, and the bars that were played.

Knows nothing of time, sockets or sound. Presses wait until the next bar begins; then the policy presses once. All people
see and press the same board, in the order in which their presses came.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.board.midi import nearest_state
from rltuner.launchpad.learning.policies import Policy
from rltuner.melody.key import Key

Who = Literal["you", "policy"]
YOU: Who = "you"
POLICY: Who = "policy"
MOST_WAITING = 256  # presses that wait for the next bar
MOST_UNDONE = 200  # changes that can be undone
MOST_BARS = 8192  # that are kept for saving: five hours at 100 quarters a minute
MOST_REWARDS = 512  # of the curve


@dataclass(frozen=True)
class Moment:
    """A state, and whose each beat that is on is: 0 nobody's, 1 a person's, 2 the policy's."""

    state: Array
    """int32 [N]."""
    owners: Array
    """int8 [N, B + 1]."""


@dataclass
class Game:
    """All that a page shows. `waiting` is what the next bar will be, but for the policy's press."""

    policy: Policy
    qpm: float = 100.0
    is_playing: bool = False
    policy_plays: bool = True
    key: str = ""
    """The policy switches on only notes of this key; "" lets it use all."""
    now: Moment = field(init=False)
    waiting: Moment = field(init=False)

    def __post_init__(self) -> None:
        board = self.board
        empty = Moment(
            np.zeros(board.notes, dtype=np.int32), np.zeros((board.notes, board.beats), dtype=np.int8)
        )
        self.now = self.waiting = empty
        self.locked = np.zeros(board.notes, dtype=bool)
        self.in_key = np.ones(board.notes, dtype=bool)
        self.bars: deque[Array] = deque(maxlen=MOST_BARS)
        self.rewards: deque[float] = deque(maxlen=MOST_REWARDS)
        self.last_press: int | None = None
        self._past: deque[Moment] = deque(maxlen=MOST_UNDONE)
        self._count = 0

    @property
    def board(self) -> Board:
        """The policy's board."""
        return self.policy.board

    # What people do

    def press(self, action: int) -> None:
        """A person's press; it sounds from the next bar on. InputError for no action of the board, or too many."""
        self._count += 1
        if self._count > MOST_WAITING:
            raise InputError(f"more than {MOST_WAITING} presses in one bar; the rest is not taken")
        self._change(self._pressed(self.waiting, action, YOU))

    def shift(self, note: int, offset: int) -> None:
        """Sets a note's offset, in as many presses as it has bits. InputError for one that the board does not have."""
        board = self.board
        if not (0 <= note < board.notes and 0 <= offset < board.steps):
            raise InputError(f"note {note}, offset {offset}: not on this board")
        state = self.waiting.state.copy()
        state[note] = state[note] & -board.steps | offset
        self._change(Moment(state, self.waiting.owners))

    def undo(self) -> None:
        """Takes the last change back, a person's or the policy's; nothing where there is none."""
        if self._past:
            self.waiting = self._past.pop()
            self._settle()

    def clear(self) -> None:
        """Switches all beats off."""
        board = self.board
        self._change(Moment(self.waiting.state & (board.steps - 1), np.zeros_like(self.waiting.owners)))

    def load(self, words: Array) -> None:
        """Puts the board into the state that is nearest to a bar, uint64 [N]."""
        state = nearest_state(self.board, words)
        on = self.board.bits[state][:, : self.board.beats] > 0
        self._change(Moment(state, on.astype(np.int8)))

    def lock(self, note: int, is_locked: bool) -> None:
        """Keeps the policy from a note. InputError for one that the board does not have."""
        if not 0 <= note < self.board.notes:
            raise InputError(f"note {note}: the board has 0 to {self.board.notes - 1}")
        self.locked[note] = is_locked

    def set_key(self, name: str) -> None:
        """Keeps the policy to a key, such as "A minor"; "" frees it. InputError for no key."""
        if not name:
            self.key, self.in_key = "", np.ones(self.board.notes, dtype=bool)
            return
        key = Key.parse(name)
        pitches = self.board.lowest + np.arange(self.board.notes)
        self.key = str(name)
        self.in_key = np.isin(pitches % 12, sorted(key.pitch_classes))

    # What a bar does

    def next_bar(self) -> Moment:
        """Begins the next bar: what waited sounds, the policy presses once, the bar is kept and judged."""
        self._count = 0
        self.last_press = None
        if self.policy_plays:
            action = self.next_press()
            if action != self.board.nothing:
                self.last_press = action
                self._change(self._pressed(self.waiting, action, POLICY))
        self.now = self.waiting
        self.bars.append(self.board.words[self.now.state])
        self.rewards.append(self.reward())
        return self.now

    def next_press(self) -> int:
        """What the policy would press now."""
        return int(self.policy.act(self.waiting.state[None], self.allowed())[0])

    def allowed(self) -> Array:
        """What the policy may press, bool [actions]: no locked note's, nothing that switches on a note out of key."""
        board = self.board
        free = np.repeat(~self.locked[:, None], board.presses, axis=1)
        on = board.bits[self.waiting.state][:, : board.beats] > 0
        free[:, : board.beats] &= self.in_key[:, None] | on
        return np.append(free.ravel(), True)

    def reward(self) -> float:
        """Of the bar that sounds."""
        return float(self.policy.reward(self.now.state[None])[0])

    def _pressed(self, moment: Moment, action: int, who: Who) -> Moment:
        board = self.board
        state, owners = board.press(moment.state, action), moment.owners.copy()
        note, press = divmod(action, board.presses)
        if action != board.nothing and press < board.beats:
            is_on = state[note] >> (board.levels + press) & 1
            owners[note, press] = (1 if who == YOU else 2) if is_on else 0
        return Moment(state, owners)

    def _change(self, moment: Moment) -> None:
        self._past.append(self.waiting)
        self.waiting = moment
        self._settle()

    def _settle(self) -> None:
        """While nothing plays, a change is heard of at once."""
        if not self.is_playing:
            self.now = self.waiting
