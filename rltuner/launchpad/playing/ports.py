"""MIDI ports of this machine, by mido and python-rtmidi: bars out in time, a Launchpad's pads in and out."""

from __future__ import annotations

import contextlib
import heapq
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.board.midi import notes_of
from rltuner.launchpad.playing import pads
from rltuner.launchpad.playing.session import Session

VELOCITY = 90
CLOCKS = 96  # a bar: 24 a quarter
OFF, DIM, ON, POLICY, HINT = (0, 0, 0), (4, 6, 8), (10, 90, 100), (120, 60, 8), (60, 60, 60)


def open_port(wanted: str, kind: str) -> Any:
    """A MIDI port, "output" or "input", by its name or a part of it. InputError, with the ports that are there."""
    try:
        import mido

        backend = mido.Backend("mido.backends.rtmidi")
        names: list[str] = list(getattr(backend, f"get_{kind}_names")())
    except ImportError:
        raise InputError(
            "MIDI ports need python-rtmidi, which is not installed: pip install 'rltuner[launchpad]'"
        ) from None
    except Exception as error:  # the system has no MIDI: rtmidi raises its own kinds
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"this machine's MIDI cannot be used ({reason}); play in the browser instead"
        ) from None
    found = [name for name in names if wanted.lower() in name.lower()]
    if not found:
        there = ", ".join(repr(name) for name in names) or "none"
        raise InputError(f"{wanted}: no MIDI {kind} of that name; there are: {there}")
    try:
        return getattr(backend, f"open_{kind}")(found[0])
    except Exception as error:
        raise InputError(f"{found[0]}: cannot be opened ({' '.join(str(error).split())[:120]})") from None


class Player:
    """Plays bars on a MIDI output at their times, from a thread of its own, with clock and start and stop."""

    def __init__(self, board: Board, port: Any) -> None:
        self._board, self._port = board, port
        self._events: list[tuple[float, int, tuple[int, ...]]] = []
        self._count, self._is_running, self._ends = 0, False, 0.0
        self._wake = threading.Condition()
        self._sounding: set[int] = set()
        threading.Thread(target=self._run, daemon=True).start()

    def bar(self, at: float, seconds: float, words: Array) -> None:
        """Schedules a bar that begins at a time of time.monotonic."""
        step = seconds / self._board.steps
        with self._wake:
            if not self._is_running:
                self._put(at, 0xFA)
                self._is_running = True
            for clock in range(CLOCKS):
                self._put(at + clock * seconds / CLOCKS, 0xF8)
            for pitch, start, end in notes_of(self._board, words[None]):
                self._put(at + start * step, 0x90, pitch, VELOCITY)
                self._put(at + end * step - 0.001, 0x80, pitch, 0)
            self._ends = at + seconds
            self._wake.notify()

    def stop(self) -> None:
        """Forgets what is to come and silences what sounds."""
        with self._wake:
            self._events.clear()
            if self._is_running:
                self._put(0.0, 0xFC)
                for pitch in self._sounding:
                    self._put(0.0, 0x80, pitch, 0)
            self._is_running = False
            self._wake.notify()

    def _put(self, at: float, *message: int) -> None:
        heapq.heappush(self._events, (at, self._count, message))
        self._count += 1

    def _run(self) -> None:
        import mido

        while True:
            with self._wake:
                while not self._events or self._events[0][0] > time.monotonic():
                    self._wake.wait(self._events[0][0] - time.monotonic() if self._events else None)
                message = heapq.heappop(self._events)[2]
                if message[0] == 0x90:
                    self._sounding.add(message[1])
                elif message[0] == 0x80:
                    self._sounding.discard(message[1])
            with contextlib.suppress(Exception):  # a port that was pulled out must not end the game
                self._port.send(mido.Message.from_bytes(message))


class Pads:
    """A Launchpad: eight rows of the board at a time, beats in columns 1 to 7, a sixteenth later in column 8."""

    def __init__(
        self, session: Session, output: Any, model: int, call: Callable[[Callable[[], None]], None]
    ) -> None:
        self._session, self._output, self._model, self._call = session, output, model, call
        self._first = 0
        self._shown: dict[int, pads.Colour] = {}
        self._send(pads.mode(model, pads.PROGRAMMER))
        self.show()

    def show(self) -> None:
        """Sets the lights that have changed."""
        colours = self.colours()
        new = {number: colour for number, colour in colours.items() if self._shown.get(number) != colour}
        if new:
            self._send(pads.lights(self._model, new))
            self._shown = colours

    def colours(self) -> dict[int, pads.Colour]:
        """What each pad shows."""
        game, board = self._session.game, self._session.game.board
        would = game.next_press() if game.policy_plays else board.nothing
        found: dict[int, pads.Colour] = {}
        for row in range(pads.SIZE):
            note = self._first + row
            for column in range(pads.SIZE):
                colour: pads.Colour = OFF
                if note < board.notes and column < min(board.beats, pads.SIZE - 1):
                    owner = int(game.waiting.owners[note, column])
                    colour = (DIM, ON, POLICY)[owner]
                    if would == note * board.presses + column:
                        colour = HINT
                elif note < board.notes:
                    share = int(game.waiting.state[note] & (board.steps - 1)) * 100 // board.steps
                    colour = (share, 0, 100 - share)
                found[pads.pad(row, column)] = colour
        found[pads.PLAY] = ON if game.is_playing else DIM
        found[pads.POLICY] = POLICY if game.policy_plays else DIM
        return found

    def heard(self, message: Any) -> None:
        """Takes a message of the pads; called from the port's own thread."""
        data = message.bytes()
        found = pads.pressed(*data[:3]) if len(data) == 3 else None
        if found is not None:
            self._call(lambda: self.press(found))

    def press(self, found: pads.Pressed) -> None:
        """Does what a pad or button means."""
        session, board = self._session, self._session.game.board
        last = max(0, board.notes - pads.SIZE)
        note = self._first + found.row
        with contextlib.suppress(InputError):  # too many presses in one bar
            if found.kind == "pad" and note < board.notes:
                sixteenth = board.beats + max(0, board.levels - 4)
                press = found.column if found.column < board.beats else sixteenth
                session.game.press(note * board.presses + press)
            elif found.number == pads.UP:
                self._first = min(self._first + pads.SIZE, last)
            elif found.number == pads.DOWN:
                self._first = max(self._first - pads.SIZE, 0)
            elif found.number == pads.UNDO:
                session.game.undo()
            elif found.number == pads.CLEAR:
                session.game.clear()
            elif found.number == pads.PLAY:
                session.play(not session.game.is_playing)
            elif found.number == pads.POLICY:
                session.game.policy_plays = not session.game.policy_plays
        session.changed()

    def leave(self) -> None:
        """Gives the Launchpad back as it was: in live mode."""
        self._send(pads.mode(self._model, pads.LIVE))

    def _send(self, data: tuple[int, ...]) -> None:
        import mido

        with contextlib.suppress(OSError):
            self._output.send(mido.Message("sysex", data=data))


@contextlib.contextmanager
def connected(
    session: Session, midi_port: str | None, pad_port: str | None
) -> Iterator[list[Callable[[Any], None]]]:
    """Opens ports for a session; the value is what to call with the event loop once it runs. All are closed at the end.

    Raises InputError where a port is not there, or is no Launchpad's.
    """
    later: list[Callable[[Any], None]] = []
    with contextlib.ExitStack() as stack:
        if midi_port is not None:
            port = stack.enter_context(contextlib.closing(open_port(midi_port, "output")))
            player = Player(session.game.board, port)
            session.listeners.append(player.bar)
            session.on_change.append(lambda: None if session.game.is_playing else player.stop())
            stack.callback(player.stop)
        if pad_port is not None:
            output = stack.enter_context(contextlib.closing(open_port(pad_port, "output")))
            entrance = stack.enter_context(contextlib.closing(open_port(pad_port, "input")))
            model = pads.model_of(output.name)
            if model is None:
                raise InputError(f"{output.name}: not a Launchpad X, Mini MK3 or Pro MK3")

            def begin(loop: Any) -> None:
                board = Pads(session, output, model, loop.call_soon_threadsafe)
                entrance.callback = board.heard
                session.on_change.append(board.show)
                stack.callback(board.leave)

            later.append(begin)
        yield later
