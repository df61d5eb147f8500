"""`rltuner study serve`: freezes the study, opens its database, and serves the pages until it is stopped."""

from __future__ import annotations

import resource
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvicorn

from rltuner.console import output_console, say
from rltuner.errors import InputError
from rltuner.interrupts import cleanly_ended
from rltuner.study import connections
from rltuner.study.database import sqlite_address
from rltuner.study.folder import ANSWERS, freeze, frozen_at, only_server, read_study
from rltuner.study.guard import Limits
from rltuner.study.server import create_app
from rltuner.study.store import open_store

BACKLOG = 128  # of the socket; the event loop accepts as many at a turn, before anything else
FILES = connections.MOST + 8 * BACKLOG  # accepting and closing one take a few turns of the event loop


def serve(
    folder: Path,
    host: str,
    port: int,
    database: str | None,
    *,
    preview: bool = False,
    freeze_only: bool = False,
    limits: Limits | None = None,
) -> None:
    """Serves a study until Ctrl-C or SIGTERM.

    Args:
      folder: of the study.
      host, port: where to listen; port 0 takes a free one.
      database: SQLAlchemy address; None takes answers.sqlite in the folder.
      preview: freeze nothing and keep no answers.
      freeze_only: freeze the study, print its hash, and serve nothing.
      limits: on the rate of requests; the defaults suit a class behind one address.

    Raises InputError where the study is broken or changed, its database does not fit, the port is taken, or another
    server serves it.
    """
    study = read_study(folder)
    allow_files()
    with cleanly_ended(), ExitStack() as stack:
        if preview:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="rltuner-preview-"))
            address = sqlite_address(Path(temporary) / ANSWERS)
        else:
            stack.enter_context(only_server(folder))
            if freeze_only:
                _freeze(folder)
                return
            address = database or sqlite_address(folder / ANSWERS)
        listening = stack.enter_context(listen(host, port))  # first: what does not start leaves no database
        store = open_store(address, study.digest)
        stack.callback(store.close)
        if not preview:
            _freeze(folder)
        shown = f"[{host}]" if ":" in host else host
        output_console.print(
            f"{study.plan.texts.title}: http://{shown}:{listening.getsockname()[1]}/",
            markup=False,
            soft_wrap=True,
        )
        say(
            "Ctrl-C stops it. Answers are kept as they are given; nothing is lost."
            if not preview
            else "A preview: nothing is frozen, and no answer is kept. Ctrl-C stops it."
        )
        config = server_config(create_app(study, store, limits=limits, preview=preview))
        uvicorn.Server(config).run(sockets=[listening])


def server_config(app: Callable[..., Any]) -> uvicorn.Config:
    """How an application is served.

    No access log: it would hold addresses and recruiting ids. Proxy headers count from this machine only, which is
    uvicorn's default.
    """
    return uvicorn.Config(
        app,
        http=connections.Connection,
        ws="none",
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


def _freeze(folder: Path) -> None:
    """Freezes the study where it is not frozen, and prints its hash."""
    study = read_study(folder)
    if freeze(study):
        say(f"{folder}: frozen; from now on a change of study.toml, a clip or the key stops the study")
    say(f"SHA-256 of the study, for its pre-registration: {study.digest} (frozen {frozen_at(folder)})")


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
