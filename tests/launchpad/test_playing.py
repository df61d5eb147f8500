"""The game and the page's server: who presses what and when, bad messages, several people, files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from few_bars import few_bars
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from rltuner.errors import InputError
from rltuner.launchpad.board.midi import midi_bytes
from rltuner.launchpad.learning.policies import Policy
from rltuner.launchpad.playing.game import Game
from rltuner.launchpad.playing.server import MOST_MISTAKES, create_app
from rltuner.launchpad.playing.session import Session

C4 = 60 - 47
PRESS = C4 * 13 + 2  # C4 every 8 steps
HERE = {"origin": "http://testserver"}


def test_a_press_sounds_from_the_next_bar_on_and_the_policy_presses_once_a_bar(game: Game) -> None:
    game.is_playing = True
    game.press(PRESS)
    assert not game.now.state.any()
    before = game.waiting.state
    game.next_bar()
    changed = np.flatnonzero(game.now.state != before)
    assert len(changed) <= 1
    assert game.now.owners[C4, 2] == 1
    assert game.last_press is not None
    note, press = divmod(game.last_press, 13)
    if press < 7:
        assert game.now.owners[note, press] == 2


def test_the_policy_keeps_off_locked_notes_and_out_of_other_keys(game: Game) -> None:
    game.set_key("C major")
    for note in range(24):
        game.lock(note, note != C4)
    for _ in range(20):
        before = game.now.state
        game.next_bar()
        assert set(np.flatnonzero(game.now.state != before)) <= {C4}
    for note in range(24):
        game.lock(note, False)
    game.clear()
    for _ in range(40):
        game.next_bar()
    on = (game.now.state >> 6) > 0
    assert {(47 + int(note)) % 12 for note in np.flatnonzero(on)} <= {0, 2, 4, 5, 7, 9, 11}


def test_undo_goes_back_one_change_at_a_time_also_the_policys(game: Game) -> None:
    game.press(PRESS)
    one = game.waiting
    game.shift(C4, 16)
    assert game.waiting.state[C4] & 63 == 16
    game.undo()
    assert (game.waiting.state == one.state).all()
    game.next_bar()
    game.undo()
    assert (game.waiting.state == one.state).all()
    game.undo()
    game.undo()
    assert not game.waiting.state.any()


def test_a_flood_of_presses_in_one_bar_is_refused(game: Game) -> None:
    for _ in range(256):
        game.press(PRESS)
    with pytest.raises(InputError, match="more than 256"):
        game.press(PRESS)


def client(session: Session) -> TestClient:
    return TestClient(create_app(session))


def test_two_people_see_one_board_and_presses_are_ordered(session: Session) -> None:
    with client(session) as browser, browser.websocket_connect("/socket", headers=HERE) as one:
        first = one.receive_json()
        assert first["t"] == "hello"
        assert len(first["names"]) == 24
        with browser.websocket_connect("/socket", headers=HERE) as two:
            assert two.receive_json()["t"] == "hello"
            one.send_json({"t": "press", "a": PRESS})
            two.send_json({"t": "press", "a": PRESS + 1})
            wanted = [0] * 24
            wanted[C4] = (0b1100) << 6
            for page in (one, two):
                while (seen := page.receive_json())["next"] != wanted:
                    assert seen["t"] == "state"


def test_bars_come_at_times_that_are_counted_from_the_first(session: Session) -> None:
    session.game.qpm = 240.0  # a bar a second
    with client(session) as browser, browser.websocket_connect("/socket", headers=HERE) as page:
        page.send_json({"t": "play", "on": True})
        bars: list[dict[str, object]] = []
        while len(bars) < 4:
            message = page.receive_json()
            if message["t"] == "bar":
                assert message["at"] > message["server"]  # one bar is buffered
                bars.append(message)
        times = [float(bar["at"]) for bar in bars]  # type: ignore[arg-type]
        assert np.diff(times) == pytest.approx(1.0, abs=1e-9)
        assert [bar["n"] for bar in bars] == [0, 1, 2, 3]
        page.send_json({"t": "play", "on": False})


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "7", "{", '{"t": "press"}', '{"t": "press", "a": 313}', '{"t": "press", "a": -1}',
        '{"t": "press", "a": 1.5}',
        '{"t": "press", "a": true}', '{"t": "qpm", "v": 1e999}', '{"t": "qpm", "v": NaN}', '{"t": "qpm", "v": "100"}',
        '{"t": "offset", "note": 24, "to": 0}', '{"t": "lock", "note": 0, "on": 1}', '{"t": "key", "v": "H minor"}',
        '{"t": "key", "v": ["C major"]}', '{"t": "load"}', "[" * 2000,
    ],
)  # fmt: skip
def test_a_forged_message_is_refused_in_one_line_and_changes_nothing(text: str, session: Session) -> None:
    with client(session) as browser, browser.websocket_connect("/socket", headers=HERE) as page:
        page.receive_json()
        page.send_text(text)
        while (answer := page.receive_json())["t"] == "state":
            pass
        assert answer["t"] == "no"
        assert "\n" not in answer["why"]
        assert not session.game.waiting.state.any()
        assert session.game.qpm == 100


def test_a_page_that_goes_on_forging_or_floods_is_let_go(session: Session) -> None:
    with client(session) as browser:
        for message, count in (("nonsense", MOST_MISTAKES), (json.dumps({"t": "ping", "c": 1}), 600)):
            with (  # noqa: PT012
                browser.websocket_connect("/socket", headers=HERE) as page,
                pytest.raises(WebSocketDisconnect) as ended,
            ):
                for _ in range(count):
                    page.send_text(message)
                while True:
                    page.receive_text()
            assert ended.value.code == 1008
        assert browser.get("/").status_code == 200


@pytest.mark.parametrize("headers", [{}, {"origin": "http://evil.example"}, {"origin": "null"}])
def test_a_socket_of_another_site_is_refused(headers: dict[str, str], session: Session) -> None:
    with (
        client(session) as browser,
        pytest.raises(WebSocketDisconnect),
        browser.websocket_connect("/socket", headers=headers),
    ):
        pass


def test_another_name_for_this_machine_is_refused(session: Session) -> None:
    """A page of another site whose name points here is not ours."""
    app = create_app(session, hosts=frozenset({"localhost"}))
    with TestClient(app, base_url="http://localhost:8001") as browser:
        assert browser.get("/").status_code == 200
    with TestClient(app, base_url="http://127.0.0.1:8001") as browser:
        assert browser.get("/").status_code == 200
    with TestClient(app, base_url="http://evil.example:8001") as browser:
        assert browser.get("/").status_code == 421
        headers = {"origin": "http://evil.example:8001"}
        with pytest.raises(WebSocketDisconnect), browser.websocket_connect("/socket", headers=headers):
            pass


def test_the_page_comes_with_its_headers_and_nothing_from_elsewhere(session: Session) -> None:
    with client(session) as browser:
        for path in ("/", "/launchpad.js", "/sound.js", "/midi.js", "/launchpad.css", "/icon.svg"):
            answer = browser.get(path)
            assert answer.status_code == 200
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "midi=(self)" in answer.headers["permissions-policy"]
            assert "https://" not in answer.text
        assert browser.get("/server.py").status_code == 404


def test_a_bar_is_loaded_from_midi_and_what_is_none_is_refused(session: Session) -> None:
    board = session.game.board
    words = board.words[board.random(np.random.default_rng(1), 1)]
    with client(session) as browser:
        assert browser.post("/load", content=midi_bytes(board, words, 120)).status_code == 200
        assert (board.words[session.game.now.state] == words[0]).all()
        before = session.game.now.state
        for content in (b"", b"MThd", b"x" * 1000):
            answer = browser.post("/load", content=content)
            assert answer.status_code == 400
            assert answer.text.startswith("This file")
        assert browser.post("/load", content=b"x" * 300_000).status_code == 413
        evil = {"origin": "http://evil.example"}
        assert browser.post("/load", content=midi_bytes(board, words, 120), headers=evil).status_code == 403
        assert (session.game.now.state == before).all()


def test_a_page_that_does_not_read_is_let_go_and_the_others_go_on(session: Session) -> None:
    slow, quick = session.join(), session.join()
    for _ in range(40):
        session.changed()
        while not quick.empty():
            assert quick.get_nowait() is not None
    assert slow not in session.queues
    assert quick in session.queues
    assert slow.get_nowait() is None  # which closes its socket


def test_a_policy_that_does_nothing_leaves_the_board_alone(session: Session) -> None:
    bars = few_bars()
    values = np.zeros((1, bars.board.actions))
    values[0, -1] = 1
    quiet = Policy("quiet", session.game.policy.reward, lambda states: values)
    session.game = replace_policy(session.game, quiet)
    session.game.next_bar()
    assert session.game.last_press is None
    assert not session.game.now.state.any()


def replace_policy(game: Game, policy: Policy) -> Game:
    return replace(game, policy=policy)
