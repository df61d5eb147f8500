"""MIDI ports and a Launchpad's protocol, against its published messages; no device is needed."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import mido
import numpy as np
import pytest

from rltuner.errors import InputError
from rltuner.launchpad.playing import pads, ports
from rltuner.launchpad.playing.session import Session


def sysex(data: tuple[int, ...]) -> str:
    return mido.Message("sysex", data=data).hex()


def test_modes_and_lights_are_the_published_messages() -> None:
    """Programmer's reference manuals of the Launchpad X, Mini MK3 and Pro MK3."""
    assert sysex(pads.mode(0x0C, pads.PROGRAMMER)) == "F0 00 20 29 02 0C 0E 01 F7"
    assert sysex(pads.mode(0x0D, pads.LIVE)) == "F0 00 20 29 02 0D 0E 00 F7"
    assert sysex(pads.mode(0x0E, pads.PROGRAMMER)) == "F0 00 20 29 02 0E 0E 01 F7"
    assert sysex(pads.lights(0x0C, {11: (127, 0, 5), 88: (1, 2, 3)})) == (
        "F0 00 20 29 02 0C 03 03 0B 7F 00 05 03 58 01 02 03 F7"
    )
    with pytest.raises(ValueError, match="0 to 127"):
        pads.lights(0x0C, {11: (128, 0, 0)})


def test_pads_are_numbered_from_the_lower_left() -> None:
    assert (pads.pad(0, 0), pads.pad(7, 7), pads.pad(2, 4)) == (11, 88, 35)
    assert pads.pressed(0x90, 35, 100) == pads.Pressed("pad", 2, 4, 35)
    assert pads.pressed(0xB0, 91, 127) == pads.Pressed("button", 8, 0, 91)
    assert pads.pressed(0x90, 35, 0) is None  # a release
    assert pads.pressed(0x80, 35, 64) is None
    assert pads.pressed(0xD0, 35, 64) is None
    assert [pads.model_of(name) for name in ("Launchpad X:LPX MIDI 1", "LPMiniMK3 MIDI In", "LPProMK3", "Piano")] == [
        0x0C, 0x0D, 0x0E, None,
    ]  # fmt: skip


class Port:
    """Keeps what it is sent."""

    name = "Launchpad X"

    def __init__(self) -> None:
        self.sent: list[tuple[float, mido.Message]] = []

    def send(self, message: mido.Message) -> None:
        self.sent.append((time.monotonic(), message))


def test_a_launchpad_presses_the_board_pages_and_goes_back_to_live_mode(session: Session) -> None:
    port = Port()
    board = ports.Pads(session, port, 0x0C, lambda happens: happens())
    session.on_change.append(board.show)
    assert port.sent[0][1].hex() == "F0 00 20 29 02 0C 0E 01 F7"
    board.heard(mido.Message("note_on", note=35, velocity=90))
    assert session.game.waiting.state[2] == 1 << (6 + 4)
    assert board.colours()[35] == ports.ON
    board.heard(mido.Message("note_on", note=38, velocity=90))
    assert session.game.waiting.state[2] & 63 == 4  # a sixteenth later
    for _ in range(3):
        board.heard(mido.Message("control_change", control=pads.UP, value=127))
    board.heard(mido.Message("note_on", note=88, velocity=90))
    board.heard(mido.Message("note_on", note=81, velocity=90))
    assert session.game.waiting.state[23] == (1 << 6) + 4  # the last page ends with the last note
    board.heard(mido.Message("control_change", control=pads.CLEAR, value=127))
    assert not (session.game.waiting.state >> 6).any()
    board.leave()
    assert port.sent[-1][1].hex() == "F0 00 20 29 02 0C 0E 00 F7"


def test_bars_go_out_on_time_with_24_clocks_a_quarter(session: Session) -> None:
    port = Port()
    player = ports.Player(session.game.board, port)
    words = np.zeros(24, dtype=np.uint64)
    words[13] = (1 << 0) | (1 << 32)
    at = time.monotonic() + 0.1
    player.bar(at, 0.4, words)
    time.sleep(0.7)
    kinds = [message.type for _, message in port.sent]
    assert kinds[0] == "start"
    assert kinds.count("clock") == 96
    onsets = [moment - at for moment, message in port.sent if message.type == "note_on"]
    assert onsets == pytest.approx([0.0, 0.2], abs=0.05)  # a busy machine is late
    player.stop()
    time.sleep(0.1)
    assert port.sent[-1][1].type == "stop"


def test_a_port_that_is_not_there_is_named_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    there: Any = SimpleNamespace(get_output_names=lambda: ["Midi Through", "Synth"])
    monkeypatch.setattr(mido, "Backend", lambda name: there)
    with pytest.raises(
        InputError, match=r"^Grand: no MIDI output of that name; there are: 'Midi Through', 'Synth'$"
    ):
        ports.open_port("Grand", "output")
    there.get_output_names = list
    with pytest.raises(InputError, match="there are: none"):
        ports.open_port("Grand", "output")

    def fails() -> list[str]:
        raise SystemError("no sequencer")

    there.get_output_names = fails
    with pytest.raises(InputError, match="cannot be used"):
        ports.open_port("Grand", "output")
