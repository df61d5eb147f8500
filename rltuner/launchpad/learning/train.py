"""`rltuner launchpad train`: from bars of music to a run folder with a policy, its curves and what it is compared
with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rltuner.console import progress_bar, say
from rltuner.errors import InputError
from rltuner.interrupts import ENDING, cleanly_ended, delayed_interrupt, end_by
from rltuner.launchpad.board.beats import Board
from rltuner.launchpad.learning.config import TrainConfig, settings_of
from rltuner.launchpad.learning.evaluation import Outcome, evaluate
from rltuner.launchpad.learning.plots import plot_bars, plot_curves
from rltuner.launchpad.learning.policies import learned, save_policy
from rltuner.launchpad.learning.training import Training
from rltuner.launchpad.music.corpus import TERMS, BarCorpus, load_bars
from rltuner.launchpad.rewards.rewards import Bars, Reward
from rltuner.storing.atomic import sweep, write_atomically
from rltuner.storing.records import append_record, keep_records, read_records
from rltuner.storing.run_folders import create_folder, locked, refuse_links
from rltuner.storing.state import load_state, read_manifest, save_state
from rltuner.storing.unfinished import refuse_another_folder, saying_how_to_go_on

STATE, METRICS, POLICY, REPORT = "checkpoint", "metrics.jsonl", "policy", "report.md"
SECONDS_UNSAVED = 60.0
RECORD_EVERY = 10_000  # steps
COMMAND = "launchpad train"


def train(config: TrainConfig) -> Path:
    """Trains and writes a run folder; returns it. Ctrl-C and SIGTERM save first; --resume goes on exactly there.

    Raises InputError where the folder exists, the corpus cannot be used, or the run cannot be resumed.
    """
    folder = config.resume if config.resume is not None else config.out
    if config.resume is not None:
        config = resumed(config)
    elif folder.exists():
        raise InputError(f"{folder}: exists already; give another --out, or --resume {folder}")
    torch.set_num_threads(config.threads)
    board = Board()
    corpus = load_bars(config.corpus, board, config.bars)
    reward = Reward(Bars(board, corpus.words), config.reward)
    training = Training(config, reward)

    def save(path: Path) -> None:
        tensors, facts = training.state()
        save_state(
            path / STATE, training.steps, tensors, command=COMMAND, config=settings_of(config), **facts
        )

    with cleanly_ended(), ExitStack() as held, saying_how_to_go_on(COMMAND, folder):
        with delayed_interrupt(*ENDING) as interrupted:
            if config.resume is not None:
                refuse_links(folder, [".lock", METRICS, STATE, POLICY, REPORT])
                held.enter_context(locked(folder))
                sweep(folder)
                manifest, tensors = load_state(folder / STATE)
                training.restore(manifest["updates"], tensors, manifest, folder / STATE)
                keep_records(folder / METRICS, training.steps)
            else:
                held.enter_context(create_folder(folder, save))
            _learn(training, folder, save, interrupted)
        if number := interrupted():
            end_by(number)
        return _finish(training, folder, corpus)


def _learn(
    training: Training, folder: Path, save: Callable[[Path], None], interrupted: Callable[[], int]
) -> None:
    """All rounds that are left. The policy that was best when it was evaluated is kept."""
    config = training.config
    before, started = training.seconds, time.monotonic()
    saved_at, saved = started, training.steps
    rewards: list[float] = []
    losses: list[float] = []
    with progress_bar("training", config.steps, completed=training.steps) as advance:
        if training.steps == 0:
            _evaluate(training, folder)
        while training.steps < config.steps and not interrupted():
            last = training.steps
            reward, loss = training.round()
            rewards.append(reward)
            losses.append(loss)
            training.seconds = before + time.monotonic() - started
            is_over = training.steps >= config.steps
            if training.steps // RECORD_EVERY > last // RECORD_EVERY or is_over:
                known = [loss for loss in losses if math.isfinite(loss)]
                record = {
                    "updates": training.steps,
                    "reward": float(np.mean(rewards)),
                    "loss": float(np.mean(known)) if known else 0.0,
                    "steps_per_second": training.steps / max(training.seconds, 1e-9),
                }
                append_record(folder / METRICS, record)
                rewards, losses = [], []
            if training.steps // config.evaluate_every > last // config.evaluate_every or is_over:
                _evaluate(training, folder)
            if time.monotonic() - saved_at >= SECONDS_UNSAVED or is_over:
                save(folder)
                saved_at, saved = time.monotonic(), training.steps
            advance(training.steps - last, f"reward {reward:.4g}" if len(rewards) % 10 == 1 else None)
        if saved != training.steps:
            save(folder)
    if number := interrupted():
        say(f"stopped after {training.steps:,} of {config.steps:,} steps")
        end_by(number)


def _evaluate(training: Training, folder: Path) -> None:
    """Plays 64 bars without random presses, records how it went, and keeps the network where it is the best so far."""
    network, reward = training.learner.network, training.reward
    outcome = evaluate(learned("policy", network, reward))
    record = {
        "updates": training.steps,
        "evaluation": outcome.mean,
        "final": outcome.final,
        "cells": outcome.cells,
        "state": outcome.last[0].tolist(),
    }
    append_record(folder / METRICS, record)
    if outcome.mean > training.best:
        training.best = outcome.mean
        config = training.config
        facts = {"training": settings_of(config), "steps": training.steps, "evaluation": outcome.mean}
        save_policy(folder / POLICY, network, reward, **facts)


def _finish(training: Training, folder: Path, corpus: BarCorpus) -> Path:
    """Curves, pictures of bars, report and card."""
    config, reward = training.config, training.reward
    records = read_records(folder / METRICS)
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    plot_curves({config.network: [records]}, config.reward, plots / "curves.png")
    plot_bars(records, reward, plots / "bars.png", config.seed)
    outcome = evaluate(learned("policy", training.learner.network, reward))
    write_atomically(folder / REPORT, _report(training, corpus, outcome).encode())
    card = (
        f"# A policy of the launchpad\n\n{_report(training, corpus, outcome).partition(chr(10))[2].strip()}\n"
    )
    write_atomically(folder / POLICY / "README.md", card.encode())
    say(f"{folder}: reward {training.best:.4g} over 64 bars at its best; {training.seconds:.0f} s")
    return folder


def _report(training: Training, corpus: BarCorpus, outcome: Outcome) -> str:
    config = training.config
    credit = f"\n\n{TERMS}" if config.corpus == "chorales" else ""
    return (
        f"# Launchpad: {config.network}\n\n"
        f"{training.steps:,} steps, {training.learner.updates:,} gradient steps, {training.seconds:.0f} s "
        f"({training.steps / max(training.seconds, 1e-9):,.0f} steps/s). Reward `{config.reward}`, the mean of 64 bars "
        f"on 64 boards: {training.best:.4g} at its best (which policy/ holds), {outcome.mean:.4g} at the end; last bar "
        f"{outcome.final:.4g}, {outcome.cells:.0f} sounding cells a bar.\n\n{corpus.summary()}{credit}\n"
    )


RESUMABLE = ("threads",)


def resumed(config: TrainConfig) -> TrainConfig:
    """The configuration stored in `config.resume`, with the threads given now. InputError for any other change."""
    folder = config.resume
    assert folder is not None
    stored = stored_settings(folder)
    if config == TrainConfig(resume=folder):
        return stored
    refuse_another_folder(folder, config.out if config.out != TrainConfig.out else None)
    own = settings_of(stored)
    for name, value in settings_of(config).items():
        if name not in RESUMABLE and value != own[name]:
            raise InputError(
                f"{folder}: the run has {name} = {own[name]!r}, not {value!r}; only {', '.join(RESUMABLE)} can be "
                "changed when it goes on"
            )
    return replace(stored, threads=config.threads)


def stored_settings(folder: Path) -> TrainConfig:
    """The configuration of the run in the folder, to be resumed there. InputError where there is none."""
    where, stored = folder / STATE / "manifest.json", read_manifest(folder / STATE).get("config")
    usual = settings_of(TrainConfig())
    if not isinstance(stored, dict) or stored.keys() != usual.keys():
        raise InputError(f"{where}: not that of a launchpad run that can be resumed")
    values: dict[str, Any] = dict(stored)
    for name, value in stored.items():
        kind = type(usual[name])
        fits = type(value) is kind or (kind is float and type(value) is int)
        if name == "beta":
            fits = value is None or type(value) in (int, float)
        if not fits or (
            kind is list and (len(value) != 2 or any(type(v) not in (int, float) for v in value))
        ):
            raise InputError(f"{where}: {name} = {str(value)[:40]} is not what it should be")
        if kind is list:
            values[name] = tuple(value)
    try:
        return TrainConfig(**values, out=folder, resume=folder)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
