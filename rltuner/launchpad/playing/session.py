"""A game in time: the clock that begins bars, who is connected, and what is sent to them.

Bar n begins at a time of the server's clock that is counted from the first bar, so nothing adds up. It is composed
`LEAD` seconds earlier, so one bar is buffered; what is pressed until then sounds in it. A page whose socket is too slow
is let go; it joins again by itself, and plays its last bar on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array
from rltuner.launchpad.config import FASTEST_QPM, SLOWEST_QPM
from rltuner.launchpad.playing.game import Game

LEAD = 0.3  # seconds between composing a bar and its beginning; at most a quarter of a bar
FIRST = 0.4  # seconds from "play" to the first sound
MOST_QUEUED = 32  # messages that a page may be behind
QUARTERS = 4  # of a bar

Message = dict[str, Any]
Hears = Callable[[float, float, Array], None]
"""Told of each bar: when it begins (seconds of time.monotonic), how long it is, its words."""


class Session:
    """One game and everybody who is connected to it."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.queues: set[asyncio.Queue[Message | None]] = set()
        self.listeners: list[Hears] = []
        self.on_change: list[Callable[[], None]] = []
        self.number = -1  # of the bar that was composed last
        self.begins = self.length = 0.0
        self._changed = asyncio.Event()

    # The clock

    async def run(self) -> None:
        """Begins bars while the game plays, for ever."""
        while True:
            if not self.game.is_playing:
                self._changed.clear()
                await self._changed.wait()
                continue
            following = self.begins + self.length if self.number >= 0 else time.monotonic() + FIRST
            if following < time.monotonic():  # the machine slept: the grid begins anew
                following = time.monotonic() + FIRST
            lead = min(LEAD, self._bar_seconds() / 4)
            delay = following - lead - time.monotonic()
            if delay > 0:
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), delay)
                if not self.game.is_playing or following - lead - time.monotonic() > 0.001:
                    continue
            self.begin(following)

    def begin(self, at: float) -> None:
        """Composes the next bar, which begins at a time, and tells everybody."""
        self.number += 1
        self.begins, self.length = at, self._bar_seconds()
        moment = self.game.next_bar()
        words = self.game.board.words[moment.state]
        for hears in self.listeners:
            hears(at, self.length, words)
        self.tell({**self.picture(), "t": "bar"})

    def _bar_seconds(self) -> float:
        return QUARTERS * 60.0 / self.game.qpm

    # Messages

    def take(self, message: Message) -> Message | None:
        """Does what a page asks for; an answer for it alone, or None. InputError where the message is none of ours."""
        game, kind = self.game, message.get("t")
        if kind == "ping":
            return {"t": "pong", "c": _number(message, "c", 0, 1e15), "s": time.monotonic()}
        if kind == "press":
            game.press(_whole(message, "a", game.board.actions - 1))
        elif kind == "offset":
            game.shift(
                _whole(message, "note", game.board.notes - 1), _whole(message, "to", game.board.steps - 1)
            )
        elif kind == "undo":
            game.undo()
        elif kind == "clear":
            game.clear()
        elif kind == "play":
            self.play(_truth(message, "on"))
        elif kind == "policy":
            game.policy_plays = _truth(message, "on")
        elif kind == "qpm":
            game.qpm = round(_number(message, "v", SLOWEST_QPM, FASTEST_QPM), 2)
        elif kind == "key":
            name = message.get("v")
            if not isinstance(name, str) or len(name) > 32:
                raise InputError("key: expected a name")
            game.set_key(name)
        elif kind == "lock":
            game.lock(_whole(message, "note", game.board.notes - 1), _truth(message, "on"))
        else:
            raise InputError("not a message of the page")
        self.changed()
        return None

    def play(self, is_on: bool) -> None:
        """Starts or stops the clock."""
        if is_on and not self.game.is_playing:
            self.number = -1
        self.game.is_playing = is_on
        self._changed.set()

    def changed(self) -> None:
        """Tells everybody what the board is now."""
        self.tell({**self.picture(), "t": "state"})

    def picture(self) -> Message:
        """All that a page shows, as JSON values."""
        game, board = self.game, self.game.board
        return {
            "n": self.number,
            "at": self.begins,
            "seconds": self.length or self._bar_seconds(),
            "server": time.monotonic(),
            "playing": game.is_playing,
            "policy": game.policy_plays,
            "qpm": game.qpm,
            "key": game.key,
            "inKey": game.in_key.tolist(),
            "locked": game.locked.tolist(),
            "state": game.now.state.tolist(),
            "owners": game.now.owners.tolist(),
            "next": game.waiting.state.tolist(),
            "nextOwners": game.waiting.owners.tolist(),
            "words": [f"{int(word):x}" for word in board.words[game.now.state]],
            "pressed": None if game.last_press is None else board.describe(game.last_press),
            "would": game.next_press(),
            "wouldText": board.describe(game.next_press()),
            "reward": round(game.reward(), 4),
            "rewards": [round(value, 4) for value in list(game.rewards)[-128:]],
            "people": len(self.queues),
        }

    def hello(self) -> Message:
        """What a page is told first: the board, besides its picture."""
        board = self.game.board
        return {
            **self.picture(),
            "t": "hello",
            "notes": board.notes,
            "steps": board.steps,
            "beats": board.beats,
            "lowest": board.lowest,
            "names": [board.name(note) for note in range(board.notes)],
            "rewardName": self.game.policy.reward.name,
            "policyName": self.game.policy.name,
        }

    def tell(self, message: Message) -> None:
        """Queues a message for every page; a page that is too far behind is let go."""
        for queue in list(self.queues):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self.queues.discard(queue)
                with contextlib.suppress(asyncio.QueueEmpty):
                    while True:
                        queue.get_nowait()
                queue.put_nowait(None)
        for happens in self.on_change:
            happens()

    def join(self) -> asyncio.Queue[Message | None]:
        """A queue of messages for a new page."""
        queue: asyncio.Queue[Message | None] = asyncio.Queue(MOST_QUEUED)
        self.queues.add(queue)
        return queue

    def song(self) -> Array:
        """The bars that were played, uint64 [T, N]; the board's own bar where none was."""
        game = self.game
        if not game.bars:
            return game.board.words[game.now.state][None]
        return np.array(game.bars)


def _number(message: Message, name: str, low: float, high: float) -> float:
    value = message.get(name)
    if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]
        raise InputError(f"{name}: expected a number from {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]


def _whole(message: Message, name: str, high: int) -> int:
    value = message.get(name)
    if type(value) is not int or not 0 <= value <= high:
        raise InputError(f"{name}: expected a whole number from 0 to {high}")
    return value


def _truth(message: Message, name: str) -> bool:
    value = message.get(name)
    if type(value) is not bool:
        raise InputError(f"{name}: expected true or false")
    return value
