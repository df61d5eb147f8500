"""The folder of a tuning run: config.toml, metrics.jsonl, checkpoint/ (latest, resumable) and its results.

The checkpoint is one safetensors file, replaced atomically: networks, optimiser, replay, random generator, counters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rltuner.config import FinetuneConfig
from rltuner.errors import InputError
from rltuner.learner import Learner
from rltuner.replay import Replay
from rltuner.rules.book import RuleBook
from rltuner.rules.plugins import digest_of
from rltuner.storage import parse_tensors, write_atomically
from rltuner.stored_config import write_config

STATE = "state.safetensors"


class RunFolder:
    """Paths and files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.rules = path / "rules.json"
        self.metrics = path / "metrics.jsonl"
        self.checkpoint = path / "checkpoint" / STATE
        self.policy = path / "policy"
        self.samples = path / "samples"
        self.plots = path / "plots"
        self.report = path / "report.md"

    @classmethod
    def create(cls, config: FinetuneConfig, book: RuleBook) -> RunFolder:
        """A new folder; one that exists is never touched (InputError)."""
        path = config.out if config.out is not None else _next_name(Path("runs"), config.algo)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise InputError(f"{path}: exists already; give another --out, or --resume {path}") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be made ({error.strerror})") from None
        folder = cls(path)
        write_atomically(folder.config, write_config(config).encode())
        write_atomically(folder.rules, (json.dumps(book.record, indent=2) + "\n").encode())
        return folder

    def log(self, record: dict[str, Any]) -> None:
        """Appends one record to metrics.jsonl."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """All records of metrics.jsonl; a last line that a crash cut short is left out."""
        if not self.metrics.is_file():
            return []
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                records.append(json.loads(line))
            except ValueError:
                if number < len(lines):
                    raise InputError(f"{self.metrics}: line {number} is not a record") from None
        return records

    def book_record(self) -> dict[str, Any]:
        """What the run stored of its rule book (`RuleBook.record`); InputError where it cannot be read."""
        try:
            stored = json.loads(self.rules.read_text(encoding="utf-8"))
            assert isinstance(stored, dict)
        except (OSError, ValueError, AssertionError):
            raise InputError(
                f"{self.rules}: cannot be read; nothing says which rules the run began with"
            ) from None
        return stored

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
        from safetensors.torch import save

        state = {f"learner.{name}": tensor for name, tensor in learner.tensors().items()}
        state |= {f"replay.{name}": tensor for name, tensor in replay.tensors().items()}
        state["generator"] = generator.get_state()
        state["updates"] = torch.tensor(updates)
        self.checkpoint.parent.mkdir(exist_ok=True)
        content = save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()})
        write_atomically(self.checkpoint, content)

    def restore(self, learner: Learner, replay: Replay, generator: torch.Generator) -> int:
        """Continues from the checkpoint: returns its number of updates and drops later records of metrics.jsonl.

        Raises InputError where there is no checkpoint, or one that does not fit the configuration.
        """
        if not self.checkpoint.is_file():
            raise InputError(f"{self.path}: nothing to resume ({self.checkpoint} is missing)")
        state = parse_tensors(self.checkpoint, self.checkpoint.read_bytes())

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}

        try:
            learner.restore(part("learner."), self.checkpoint)
            replay.restore(part("replay."))
            generator.set_state(state["generator"])
            updates = int(state["updates"])
        except (KeyError, RuntimeError) as error:
            raise InputError(f"{self.checkpoint}: does not fit the run's configuration ({error})") from None
        kept = [record for record in self.records() if record["updates"] <= updates]
        write_atomically(self.metrics, "".join(json.dumps(record) + "\n" for record in kept).encode())
        return updates


def _next_name(parent: Path, algo: str) -> Path:
    """parent/ALGO-1, or the first such name that is free."""
    number = 1
    while (parent / f"{algo}-{number}").exists():
        number += 1
    return parent / f"{algo}-{number}"
