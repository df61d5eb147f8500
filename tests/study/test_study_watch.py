"""A study that changes while it is served: nothing else than the study is ever shown, heard or answered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from small_study import answer, begin, paths_in
from starlette.testclient import TestClient

from rltuner.study.folder import KEY, PLAN, STIMULI, read_study
from rltuner.study.server import STOPPED, create_app
from rltuner.study.store import Store

FORMS = ("consent", "sound", "about", "answer", "again")


def statuses(client: TestClient, clips: list[str]) -> set[int]:
    """Of everything but style, script and icon."""
    replies = [client.get(path) for path in ("/", "/clip/sample", *clips)]
    return {reply.status_code for reply in replies + [client.post(f"/{name}", data={}) for name in FORMS]}


@pytest.mark.parametrize("change", ["text", "key", "clip", "same length", "no clip", "another clip"])
def test_a_change_under_a_running_server_stops_the_study_until_it_is_put_back(
    change: str, pilot: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    client = TestClient(create_app(read_study(pilot), store))
    clips = paths_in(begin(client))
    assert [client.get(path).status_code for path in clips] == [200, 200]
    before = store.rows()
    clip = sorted((pilot / STIMULI).iterdir())[0]
    file = {"text": pilot / PLAN, "key": pilot / KEY}.get(change, clip)
    if change == "another clip":
        file = pilot / STIMULI / "more.flac"
    kept = file.read_bytes() if file.exists() else None
    capsys.readouterr()
    if change == "no clip":
        file.unlink()
    elif change == "same length":
        assert kept is not None
        times = file.stat()
        file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # as rsync or cp -p leave it
    else:
        file.write_bytes((kept or b"") + b"\n")

    assert statuses(client, clips) == {503}
    page = client.get("/").text
    assert STOPPED in page
    assert "Not yet" not in page  # that is for those who answer too early
    assert client.post("/answer", data=answer(1)).status_code == 503
    assert store.rows() == before
    said = capsys.readouterr().err
    assert said.count("\n") == 1  # once, however many ask
    assert str(file) in said
    assert "since the study was started" in said

    if kept is None:
        file.unlink()
    else:
        file.write_bytes(kept)
    assert paths_in(client.get("/").text) == clips
    assert [client.get(path).status_code for path in clips] == [200, 200]
    assert "the study goes on" in capsys.readouterr().err


def test_a_clip_is_compared_with_its_hash_whenever_it_is_sent(
    pilot: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the system's notes say nothing, as on some network drives."""
    monkeypatch.setattr("rltuner.study.watch.Watch.is_unchanged", lambda self: True)
    study = read_study(pilot)
    client = TestClient(create_app(study, store))
    paths = paths_in(begin(client))
    for clip in study.source_of:
        study.clip_file(clip).write_bytes(b"something else")
    assert {client.get(path).status_code for path in paths} == {503}
    for clip in study.source_of:
        study.clip_file(clip).unlink()
    assert {client.get(path).status_code for path in ("/clip/sample", *paths)} == {503}


def test_a_preview_goes_on_while_study_toml_is_edited_and_stops_for_a_clip(pilot: Path, store: Store) -> None:
    client = TestClient(create_app(read_study(pilot), store, preview=True))
    (pilot / PLAN).write_text("half written")
    assert paths_in(begin(client))
    sorted((pilot / STIMULI).iterdir())[0].unlink()
    assert client.get("/").status_code == 503
