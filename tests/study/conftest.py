"""A small study, its database, and browsers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from small_study import make_study
from starlette.testclient import TestClient

from rltuner.study.database import sqlite_address
from rltuner.study.folder import Study
from rltuner.study.server import create_app
from rltuner.study.store import Store, open_store


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One for tests that change nothing in its folder."""
    return make_study(tmp_path_factory.mktemp("studies") / "pilot")


@pytest.fixture
def store(study: Study, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(sqlite_address(tmp_path / "answers.sqlite"), study.digest)
    yield opened
    opened.close()


@pytest.fixture
def browser(study: Study, store: Store) -> Callable[[], TestClient]:
    """Makes browsers, each with cookies of its own, that see the study."""
    app = create_app(study, store)
    return lambda: TestClient(app, follow_redirects=True)


@pytest.fixture
def pilot(study: Study, tmp_path: Path) -> Path:
    """A copy to change."""
    shutil.copytree(study.folder, tmp_path / "pilot")
    return tmp_path / "pilot"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[FastAPI]:
    """The applications that `serve` would have served; it returns at once, wrongly too."""
    apps: list[FastAPI] = []

    def run(server: uvicorn.Server, sockets: object = None) -> None:
        apps.append(server.config.app)  # type: ignore[arg-type]

    monkeypatch.setattr(uvicorn.Server, "run", run)
    return apps
