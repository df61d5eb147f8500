"""`rltuner study serve`: freezes the study, opens its database, and serves the pages until it is stopped."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import uvicorn

from rltuner.console import output_console, say
from rltuner.interrupts import cleanly_ended
from rltuner.serving.guard import Limits
from rltuner.serving.listening import address_of, allow_files, listen, server_config
from rltuner.study.database import sqlite_address
from rltuner.study.folder import ANSWERS, freeze, frozen_at, only_server, read_study
from rltuner.study.server import create_app
from rltuner.study.store import open_store


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
        output_console.print(
            f"{study.plan.texts.title}: {address_of(host, listening)}",
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


def _freeze(folder: Path) -> None:
    """Freezes the study where it is not frozen, and prints its hash."""
    study = read_study(folder)
    if freeze(study):
        say(f"{folder}: frozen; from now on a change of study.toml, a clip or the key stops the study")
    say(f"SHA-256 of the study, for its pre-registration: {study.digest} (frozen {frozen_at(folder)})")
