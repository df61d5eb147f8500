"""`rltuner listeners table`: runs what is missing, writes the table and its figures, prints it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from rltuner.console import output_console, say
from rltuner.listeners.agents.posterior import PosteriorFinder
from rltuner.listeners.config import TableConfig
from rltuner.listeners.environments.grid import STEPS, GridListeners
from rltuner.listeners.environments.raters import raters
from rltuner.listeners.music.catalogue import catalogue
from rltuner.listeners.music.features import features
from rltuner.listeners.music.space import space
from rltuner.listeners.tables import grid, likes, sessions, system
from rltuner.listeners.tables.figures import draw_curves, draw_losses
from rltuner.listeners.training.session_run import SessionRun
from rltuner.networks.note_rnn import NoteRNN
from rltuner.storing.atomic import make_folder, write_atomically

SYSTEM_DIMENSIONS = 4


def run_table(config: TableConfig) -> None:
    """Runs what is missing of a table (nothing with --only-show), prints it, and writes it as Markdown beside its
    figure."""
    torch.set_num_threads(1)
    makers: dict[str, Callable[[TableConfig, Path], str]] = {
        "grid": _grid,
        "sessions": _sessions,
        "likes": _likes,
        "system": _system,
    }
    folder = config.out / config.name
    make_folder(folder)
    text = makers[config.name](config, folder)
    budget = f"-{config.budget}" if config.name == "grid" else ""
    file = folder / f"table{budget}.md"
    write_atomically(file, (text + "\n").encode())
    output_console.print(text, markup=False, soft_wrap=True)
    say(f"table and figures: {folder}")


def _grid(config: TableConfig, folder: Path) -> str:
    if not config.only_show:
        grid.run_table(folder, config.budget, config.seeds, config.jobs)
    curves = grid.curves(folder, config.budget, config.seeds)
    draw_curves(curves, STEPS, "reward of an episode", folder / f"curves-{config.budget}.png")
    head = (
        f"Budget {config.budget}; reward of an episode of 21 steps with every target, the likeliest action taken, mean ± "
        "95 % interval over seeds."
    )
    return f"{head}\n\n{grid.table(folder, config.budget, config.seeds)}"


def _sessions(config: TableConfig, folder: Path) -> str:
    logs, items = (str(file) if file is not None else "" for file in (config.logs, config.items))
    described = SessionRun(sources=config.sources, logs=logs, items=items)
    folder = folder / "logs" if logs else folder
    if not config.only_show:
        sessions.run_table(folder, described, config.seeds, config.jobs)
    return sessions.table(folder, described, config.seeds)


def _likes(config: TableConfig, folder: Path) -> str:
    if not config.only_show:
        likes.run_table(folder, config.sources, config.seeds, config.jobs)
    found = likes.found_results(folder, config.sources, config.seeds)
    losses = {agent: [result["losses"] for result in results] for agent, results in found.items()}
    draw_losses(losses, folder / "losses.png")
    return likes.table(folder, config.sources, config.seeds)


def _system(config: TableConfig, folder: Path) -> str:
    known = catalogue(config.sources)
    note_rnn = NoteRNN.load("note_rnn")
    found = space(features(known.tunes, "measured", note_rnn), SYSTEM_DIMENSIONS)
    others = features(known.tunes, f"layer {len(note_rnn.layers)}", note_rnn)
    ideal = raters(SYSTEM_DIMENSIONS)
    finder = PosteriorFinder(ideal, GridListeners(ideal, 1).worth)
    done = [
        search
        for seed in range(config.seeds)
        for search in system.searches(known, found, ideal, finder, others, seed=seed)
    ]
    return system.table(done, list(known.counts))
