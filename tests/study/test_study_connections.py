"""Connections that say nothing, or hardly anything: they end, and keep nobody out. Real sockets, real uvicorn."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn

from rltuner.serving import connections
from rltuner.serving.listening import allow_files, server_config

LISTENER, STRANGER = "127.0.0.1", "127.0.0.2"  # one machine, two addresses
LARGE = 30_000_000  # bytes: more than the kernel holds for a connection
PATIENCE = 20.0  # seconds until a test gives up
Connect = Callable[[str], socket.socket]


async def app(scope: dict[str, Any], receive: object, send: Callable[..., Any]) -> None:
    """Says hello, or a lot."""
    body = b"x" * LARGE if scope["path"] == "/large" else b"hello"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def change(**values: float) -> None:
        for name, value in values.items():
            monkeypatch.setattr(connections, name, value)

    return change


@pytest.fixture
def start() -> Iterator[Callable[[], tuple[uvicorn.Server, Connect]]]:
    """Starts a server with the limits of this moment; what connects to it from an address."""
    with ExitStack() as stack:

        def started() -> tuple[uvicorn.Server, Connect]:
            listening = stack.enter_context(socket.create_server((LISTENER, 0)))
            config = server_config(app)
            config.lifespan = "off"
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            stack.callback(thread.join)
            stack.callback(lambda: setattr(server, "should_exit", True))
            stack.callback(lambda: setattr(server, "force_exit", True))
            wait_until(lambda: server.started)

            def connect(source: str) -> socket.socket:
                opened = socket.create_connection(listening.getsockname(), PATIENCE, (source, 0))
                return stack.enter_context(opened)

            return server, connect

        yield started


def wait_until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.01)


def get(connection: socket.socket) -> bytes:
    """The first line of the reply to a request, which is read to its end."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    reply = b""
    while not reply.endswith(b"hello") and (part := connection.recv(10_000)):
        reply += part
    return reply.partition(b"\r\n")[0]


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.settimeout(PATIENCE)


def test_silent_connections_of_one_address_keep_no_other_out(
    limits: Callable[..., None], start: Callable[..., Any]
) -> None:
    limits(MOST=12)
    server, connect = start()
    early = connect(LISTENER)
    assert get(early) == b"HTTP/1.1 200 OK"
    silent = [connect(STRANGER) for _ in range(40)]
    for _ in range(5):
        assert get(connect(LISTENER)) == b"HTTP/1.1 200 OK"
    assert get(early) == b"HTTP/1.1 200 OK"  # though it has waited the longest of all
    assert len(server.server_state.connections) < 12
    assert is_closed(silent[0])
    assert not is_closed(silent[-1])


def test_many_listeners_behind_one_address_are_all_served(
    limits: Callable[..., None], start: Callable[..., Any]
) -> None:
    """A reverse proxy, a university: the connection that has waited the longest makes room."""
    limits(MOST=12)
    server, connect = start()
    browsers = []
    for _ in range(40):
        browsers.append(connect(LISTENER))
        assert get(browsers[-1]) == b"HTTP/1.1 200 OK"
    assert len(server.server_state.connections) < 12
    assert is_closed(browsers[0])
    assert not is_closed(browsers[-1])


def test_a_connection_that_never_sends_a_whole_request_is_ended(
    limits: Callable[..., None], start: Callable[..., Any]
) -> None:
    limits(IDLE_SECONDS=0.3)
    _, connect = start()
    silent, slow, idle = (connect(STRANGER) for _ in range(3))
    assert get(idle) == b"HTTP/1.1 200 OK"
    wait_until(lambda: is_closed(silent))
    slow_is_closed = False
    end = time.monotonic() + PATIENCE
    slow.sendall(b"GET / HTTP/1.1\r\n")
    while not slow_is_closed and time.monotonic() < end:
        try:
            slow.send(b"a")
        except ConnectionError:
            break
        slow_is_closed = is_closed(slow)
        time.sleep(0.02)
    assert time.monotonic() < end
    wait_until(lambda: is_closed(idle))


def test_a_reply_that_is_read_slowly_arrives_and_one_that_is_not_read_is_given_up(
    limits: Callable[..., None], start: Callable[..., Any]
) -> None:
    limits(IDLE_SECONDS=0.1, REPLY_SECONDS=3.0)
    server, connect = start()
    reader, sleeper = connect(LISTENER), connect(STRANGER)
    for connection in (reader, sleeper):
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
    time.sleep(0.5)  # several times what an idle connection has
    received = 0
    while received < LARGE:
        part = reader.recv(1 << 20)
        assert part
        received += len(part)
    wait_until(lambda: not server.server_state.connections)


def test_the_server_may_open_as_many_files_as_a_rush_of_connections_needs() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        allow_files()
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert allowed[0] > connections.MOST or allowed[0] == hard
        assert allowed[1] == hard
        allow_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == allowed
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
