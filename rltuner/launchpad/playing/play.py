"""`rltuner launchpad play`: the policy, the session, the ports and the page, until it is stopped."""

from __future__ import annotations

import asyncio
import socket
import webbrowser
from contextlib import ExitStack

import uvicorn

from rltuner.console import output_console, say
from rltuner.interrupts import cleanly_ended
from rltuner.launchpad.config import PlayConfig
from rltuner.launchpad.learning.policies import load_policy
from rltuner.launchpad.playing.game import Game
from rltuner.launchpad.playing.ports import connected
from rltuner.launchpad.playing.server import create_app
from rltuner.launchpad.playing.session import Session
from rltuner.serving.listening import address_of, allow_files, listen, server_config


def play(config: PlayConfig) -> None:
    """Serves the page until Ctrl-C or SIGTERM. InputError where there is no such policy or port, or it cannot listen."""
    session = Session(Game(load_policy(config.policy), qpm=config.qpm))
    session.picture()  # compiles what is needed, before anybody waits for it
    allow_files()
    with cleanly_ended(), ExitStack() as stack:
        later = stack.enter_context(connected(session, config.midi_port, config.pads))
        listening = stack.enter_context(listen(config.host, config.port))
        address = address_of(config.host, listening)
        output_console.print(f"The launchpad: {address}", markup=False, soft_wrap=True)
        say(f"{config.policy} plays along; Ctrl-C stops it.")
        if config.midi_port is not None:  # nobody need press play in a browser
            session.play(True)
        app = create_app(session, hosts=names_of(config.host))
        server = uvicorn.Server(server_config(app, sockets=True))

        async def serve() -> None:
            for begin in later:
                begin(asyncio.get_running_loop())
            await server.serve(sockets=[listening])

        if config.browser and config.midi_port is None:
            webbrowser.open(address)
        asyncio.run(serve())


def names_of(host: str) -> frozenset[str]:
    """The names that a browser may call this server by, besides addresses."""
    return frozenset(
        {"localhost", host.lower(), socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}
    )
