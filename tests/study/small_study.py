"""Small studies with short clips, and how a client takes part in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from starlette.testclient import TestClient

from rltuner.study.folder import Study, read_study
from rltuner.study.plan import Design, Plan
from rltuner.study.stimuli import new_study

SECONDS = 0.1


def beeps(jobs: Sequence[tuple[Path, Path]], seconds: float) -> None:
    """Stands in for the synthesiser: every clip the same beep."""
    times = np.arange(round(seconds * 8000)) / 8000
    for _, audio in jobs:
        soundfile.write(audio, 0.1 * np.sin(2 * np.pi * 440 * times), 8000)


def small_plan(**changes: object) -> Plan:
    """Three sources, four pairs and two catch trials a listener, clips of a tenth of a second."""
    design = Design(("note_rnn", "psi", "human"), pairs=4, items=3, catch=1, seconds=SECONDS)
    return replace(Plan(design=replace(design, **changes)))  # type: ignore[arg-type]


def make_study(folder: Path, plan: Plan | None = None) -> Study:
    """A study with beeps for melodies."""
    plan = plan if plan is not None else small_plan()
    new_study(folder, plan.design.sources, plan, 16, beeps)
    return read_study(folder)


ABOUT = {"age": "25 to 34", "experience": "None", "device": "Headphones"}


def begin(client: TestClient, identifier: str = "") -> str:
    """From consent to the first pair; that page."""
    client.post("/consent", data={"agree": "yes", "id": identifier})
    client.post("/sound", data={})
    return client.post("/about", data=ABOUT).text


def paths_in(page: str) -> list[str]:
    """The clips of a page."""
    return re.findall(r'src="(clip/[^"]+)"', page)


def answer(position: int, value: int = 4, **changes: object) -> dict[str, object]:
    """The form of a pair."""
    return {"trial": position, "pleasing": value, "plays_a": 1, "plays_b": 1, **changes}
