"""`rltuner listeners find`: the search for a tune in a person's mind, on the pages of the listening study.

One person, one search: whoever opens the page goes on with it. The server's limits, headers and style are the study's.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rltuner.console import output_console, say
from rltuner.errors import InputError
from rltuner.interrupts import cleanly_ended
from rltuner.listeners.agents.finder import Finder
from rltuner.listeners.agents.posterior import PosteriorFinder
from rltuner.listeners.config import FindConfig
from rltuner.listeners.environments.grid import GridListeners
from rltuner.listeners.environments.raters import raters
from rltuner.listeners.music.catalogue import Catalogue, catalogue, tunes_of
from rltuner.listeners.music.features import features, measured
from rltuner.listeners.music.space import space
from rltuner.listeners.playlists.search import Search
from rltuner.listeners.training.grid_run import GridRun, trained_finder
from rltuner.listeners.training.runs import RUN
from rltuner.melody import Melodies
from rltuner.networks.note_rnn import NoteRNN
from rltuner.reading.songs import read_song
from rltuner.storing.checkpoints import read_json


def find(config: FindConfig) -> None:
    """Serves the search until Ctrl-C. InputError where a package is missing, the target cannot be read or the port is
    taken."""
    for package in ("fastapi", "uvicorn", "jinja2"):
        if find_spec(package) is None:
            raise InputError(
                f"listeners find needs {package}, which is not installed: pip install 'rltuner[study]'"
            )
    from rltuner.generating.audio import check_installed

    check_installed()
    search, target = search_of(config)

    import uvicorn

    from rltuner.listeners.playlists.pages_server import create_app
    from rltuner.serving.listening import listen, server_config

    with cleanly_ended(), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rltuner-find-")))
        listening = stack.enter_context(listen(config.host, config.port))
        app = create_app(search, target, folder)
        output_console.print(
            f"Find a tune: http://{config.host}:{listening.getsockname()[1]}/", markup=False, soft_wrap=True
        )
        say(f"Ctrl-C stops it. Answers are kept in {config.out} as they are given.")
        uvicorn.Server(server_config(app)).run(sockets=[listening])


def search_of(config: FindConfig) -> tuple[Search, Melodies | None]:
    """The search, before the first answer, and the tune in mind."""
    known: Catalogue = catalogue(config.sources)
    rows = features(known.tunes, "measured", NoteRNN.load("note_rnn"))
    found = space(rows, config.dimensions)
    ideal = raters(config.dimensions)
    target, cell = None, None
    if config.target is not None:
        song = read_song(config.target)
        target = song.melody
        own = measured(tunes_of(target, song.title))
        own = np.where(np.isnan(own), np.median(rows, axis=0), own)
        cell = int(found.place(own)[1][0])
    return Search(known, found, _finder(config), ideal, cell, config.feed, config.out, config.seed), target


def _finder(config: FindConfig) -> Finder:
    """The posterior of raters who err, as people do; or a trained network."""
    if config.agent == "posterior":
        # The ideal user of --no-feed does not err.
        believed = raters(config.dimensions, kind="noisy" if config.feed else "deterministic")
        return PosteriorFinder(believed, GridListeners(believed, 1).worth)
    folder = Path(config.agent)
    if not (folder / RUN).is_file():
        raise InputError(
            f"{config.agent}: neither posterior nor the folder of a trained run ({RUN} is missing)"
        )
    facts: dict[str, Any] = read_json(folder / RUN, "the description of a run")
    try:
        described = GridRun(**facts)
    except TypeError:
        raise InputError(f"{folder}: not a run of grid") from None
    if described.dimensions != config.dimensions:
        raise InputError(
            f"{folder}: trained in {described.dimensions} dimensions; give --dimensions {described.dimensions}"
        )
    return trained_finder(described, folder)
