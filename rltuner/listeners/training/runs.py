"""A run: an agent that learns, in a folder from which it goes on bit for bit.

The folder has run.json (what is run), metrics.jsonl (a record every so many updates), checkpoint/ (the state, replaced
in one step) and, when the run has ended, result.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from rltuner.errors import InputError
from rltuner.interrupts import ENDING, delayed_interrupt, end_by
from rltuner.storing.atomic import make_folder, write_atomically
from rltuner.storing.checkpoints import read_json
from rltuner.storing.records import append_record, keep_records, read_records
from rltuner.storing.run_folders import locked
from rltuner.storing.state import MANIFEST, load_state, save_state

RUN, RESULT, METRICS, STATE = "run.json", "result.json", "metrics.jsonl", "checkpoint"
SAVE_SECONDS = 60.0
RECORDS = 100  # of a run


class Learning(Protocol):
    """What a run needs of an agent."""

    steps: int
    """Of the environment, in all."""

    def update(self) -> float:
        """Learns once; the mean reward of a step meanwhile, or what else shows how it goes."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next update depends on."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        ...


def run(
    folder: Path,
    facts: Mapping[str, Any],
    agent: Learning,
    updates: int,
    judge: Callable[[], dict[str, Any]],
    watch: Callable[[int, float], None] | None = None,
) -> dict[str, Any]:
    """Runs an agent to its end, or goes on with it; the content of result.json.

    Args:
      folder: made where it is missing; a run of other facts in it is an InputError.
      facts: say what is run, as plain values.
      agent: new; it is brought to where the folder's run was.
      updates: how many in all.
      judge: what is told of the agent at the end, as plain values.
      watch: called after each update with its number and what `update` gave.

    Ctrl-C, SIGTERM and SIGHUP save the state first. Raises InputError where files cannot be written.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror or error})") from None
    with locked(folder):
        check_same(folder, facts)
        if (folder / RESULT).is_file():
            return read_json(folder / RESULT, "the result of a run")
        done, seconds = _restored(folder, agent)
        every = max(1, updates // RECORDS)
        began = saved = time.monotonic()
        total, counted = 0.0, 0
        with delayed_interrupt(*ENDING) as interrupted:
            for number in range(done + 1, updates + 1):
                value = agent.update()
                total, counted = total + value, counted + 1
                if watch is not None:
                    watch(number, value)
                if number % every == 0 or number == updates:
                    took = seconds + time.monotonic() - began
                    append_record(
                        folder / METRICS,
                        {
                            "updates": number,
                            "steps": agent.steps,
                            "mean": total / counted,
                            "seconds": round(took, 3),
                        },
                    )
                    total, counted = 0.0, 0
                    # Only where a record ends: one that goes on would begin its mean anew.
                    if time.monotonic() - saved > SAVE_SECONDS or interrupted() or number == updates:
                        save_state(folder / STATE, number, agent.tensors(), seconds=took)
                        saved = time.monotonic()
                    if interrupted():
                        end_by(interrupted())
        result = {**judge(), "steps": agent.steps, "updates": updates}
        result["seconds"] = round(seconds + time.monotonic() - began, 1)
        write_atomically(folder / RESULT, (json.dumps(result, indent=2) + "\n").encode())
        return result


def check_same(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes run.json, or compares: InputError where the folder's run is another one, with what differs."""
    file = folder / RUN
    if not file.is_file():
        write_atomically(file, (json.dumps(dict(facts), indent=2) + "\n").encode())
        return
    known = read_json(file, "the description of a run")
    for name in (*facts, *known):
        if known.get(name) != facts.get(name):
            raise InputError(
                f"{file}: {name} = {str(known.get(name))[:40]}, asked for was {str(facts.get(name))[:40]}; take another "
                "--out, or the same options"
            )


def _restored(folder: Path, agent: Learning) -> tuple[int, float]:
    """Brings the agent to where the folder's run was: its updates, and the seconds that they took."""
    state = folder / STATE
    if not (state / MANIFEST).is_file():
        (folder / METRICS).unlink(missing_ok=True)
        return 0, 0.0
    manifest, tensors = load_state(state)
    try:
        agent.restore(tensors)
        seconds = float(manifest["seconds"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{state}: does not fit the run's description ({error})") from None
    keep_records(folder / METRICS, manifest["updates"])
    return int(manifest["updates"]), seconds


def records(folder: Path) -> list[dict[str, Any]]:
    """The records of a run's metrics.jsonl; [] where it has none yet."""
    return read_records(folder / METRICS)
