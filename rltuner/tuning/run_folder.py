"""The folder of a tuning run: config.toml, metrics.jsonl, checkpoint/ (latest, resumable) and its results.

The checkpoint holds networks, optimiser, replay, random generator and counters; `storing.state` says how it is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.eval.tuning_curves import METRICS, tuning_records
from rltuner.rules.book import RuleBook
from rltuner.rules.plugins import digest_of
from rltuner.storing.atomic import sweep, write_atomically
from rltuner.storing.checkpoints import read_json
from rltuner.storing.records import append_record, keep_records
from rltuner.storing.run_folders import create_folder, locked, refuse_links
from rltuner.storing.state import load_state, save_state
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.learner import Learner
from rltuner.tuning.replay import Replay
from rltuner.tuning.stored_config import write_config


class RunFolder:
    """Paths and files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.rules = path / "rules.json"
        self.metrics = path / METRICS
        self.checkpoint = path / "checkpoint"
        self.policy = path / "policy"
        self.samples = path / "samples"
        self.plots = path / "plots"
        self.report = path / "report.md"
        self._written = (
            *(self.config, self.metrics, self.rules, self.checkpoint),
            *(self.policy, self.samples, self.plots, self.report),
        )

    @classmethod
    def create(
        cls,
        config: FinetuneConfig,
        book: RuleBook,
        learner: Learner,
        replay: Replay,
        generator: torch.Generator,
    ) -> tuple[RunFolder, ExitStack]:
        """Makes a new run folder, with the state before the first update, in one step; returns it and its lock, held.

        InputError where it exists; a folder that exists is never touched.
        """

        def fill(path: Path) -> None:
            folder = cls(path)
            write_atomically(folder.rules, (json.dumps(book.record, indent=2) + "\n").encode())
            folder.save(learner, replay, generator, 0)
            write_atomically(folder.config, write_config(config).encode())

        while True:
            path = config.out if config.out is not None else _next_name(Path("runs"), config.algo)
            try:
                return cls(path), create_folder(path, fill)
            except InputError:
                if config.out is not None or not path.exists():
                    raise  # else another run took the name meanwhile

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Holds the lock of a folder that exists; InputError where another process does."""
        refuse_links(self.path, [".lock", *(path.name for path in self._written)])
        with locked(self.path):
            for folder in (self.path, self.policy):
                sweep(folder)
            yield

    def log(self, record: dict[str, Any]) -> None:
        """Appends one record to metrics.jsonl, on the disk when it returns."""
        append_record(self.metrics, record)

    def records(self) -> list[dict[str, Any]]:
        """All records of metrics.jsonl; see `tuning_records`."""
        return tuning_records(self.metrics)

    def book_record(self) -> dict[str, Any]:
        """What the run stored of its rule book (`RuleBook.record`); InputError where it cannot be read."""
        return read_json(self.rules, "readable, and nothing else says which rules the run began with")

    def check_code(self, file: str) -> None:
        """InputError unless the Python rule file is, byte for byte, the one that the run began with. Does not run it."""
        code, given = self.book_record().get("code", []), digest_of(Path(file))
        if code != [given]:
            known = ", ".join(str(one)[:16] for one in code) if isinstance(code, list) and code else "none"
            raise InputError(
                f"{file}: not the rule file that the run {self.path} began with (SHA-256 {given[:16]}, the run's "
                f"{known}); give that one, or start a new run"
            )

    def check_book(self, book: RuleBook) -> None:
        """InputError where the book is not the one that the run began with."""
        if {**self.book_record(), "description": ""} != {**book.record, "description": ""}:
            raise InputError(
                f"{self.path}: the rule book {book.name} is no longer the one that the run began with ({self.rules}); "
                "put it back, or start a new run"
            )

    def save(self, learner: Learner, replay: Replay, generator: torch.Generator, updates: int) -> None:
        """Writes the resumable checkpoint."""
        state = {f"learner.{name}": tensor for name, tensor in learner.tensors().items()}
        state |= {f"replay.{name}": tensor for name, tensor in replay.tensors().items()}
        state["generator"] = generator.get_state()
        save_state(self.checkpoint, updates, state, note_rnn_sha256=learner.note_rnn_digest)

    def restore(self, learner: Learner, replay: Replay, generator: torch.Generator) -> int:
        """Continues from the checkpoint: returns its number of updates and drops later records of metrics.jsonl.

        Raises InputError where there is no checkpoint, a damaged one, or one that does not fit the configuration.
        """
        manifest, state = load_state(self.checkpoint)
        if manifest.get("note_rnn_sha256") != learner.note_rnn_digest:
            raise InputError(
                f"{self.path}: the Note RNN {learner.config.note_rnn} is no longer the one that the run began with; put "
                "it back, or start a new run"
            )
        where = self.checkpoint / manifest["file"]

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}

        try:
            replay.restore(part("replay."), learner.config.length, learner.policy.vocabulary.size, where)
            learner.restore(part("learner."), where)
            generator.set_state(state["generator"])
        except (KeyError, RuntimeError, TypeError) as error:
            raise InputError(f"{where}: does not fit the run's configuration ({error})") from None
        keep_records(self.metrics, manifest["updates"])
        write_atomically(
            self.config, write_config(learner.config).encode()
        )  # what was changed holds from now on
        return int(manifest["updates"])


def _next_name(parent: Path, algo: str) -> Path:
    """parent/ALGO-1, or the first such name that is free."""
    number = 1
    while (parent / f"{algo}-{number}").exists():
        number += 1
    return parent / f"{algo}-{number}"
