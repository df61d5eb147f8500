"""Listening for browsers: the socket, the server's configuration, how many files it may have open."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from rltuner.errors import InputError
from rltuner.serving import connections

BACKLOG = 128  # of the socket; the event loop accepts as many at a turn, before anything else
FILES = connections.MOST + 8 * BACKLOG  # accepting and closing one take a few turns of the event loop
MESSAGE = 4096  # bytes that a message from a page may have
PING_SECONDS = 15.0  # between two questions whether a websocket's page is still there


def server_config(app: Callable[..., Any], *, sockets: bool = False) -> uvicorn.Config:
    """How an application is served; `sockets` lets it have websockets, with messages of at most `MESSAGE` bytes.

    No access log: it would hold addresses and recruiting ids. Proxy headers count from this machine only, which is
    uvicorn's default.
    """
    return uvicorn.Config(
        app,
        http=connections.Connection,
        ws="websockets-sansio" if sockets else "none",
        ws_max_size=MESSAGE,
        ws_max_queue=16,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
        log_level="warning",
        log_config=None,  # uvicorn's would close what other libraries log to
        access_log=False,
        server_header=False,
        timeout_keep_alive=connections.IDLE_SECONDS,
        timeout_graceful_shutdown=5,
        limit_concurrency=connections.MOST,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=16 * 1024,
    )


def allow_files() -> None:
    """Raises this process's limit of open files to `FILES`, where the system lets it.

    In a burst, connections beyond the most that are served are open for a moment before they are closed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; InputError, with the remedy, where it cannot."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise InputError(
            f"{host}:{port}: cannot listen there ({error.strerror or error}); give another --port, or --port 0 for a "
            "free one"
        ) from None
    return listening


def address_of(host: str, listening: socket.socket) -> str:
    """What to type into a browser for a server that listens there."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}/"
