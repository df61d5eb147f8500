"""Taking part over HTTP: where a session is, what counts, and what the database holds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from small_study import ABOUT, SECONDS, answer, begin, make_study, paths_in, small_plan
from starlette.testclient import TestClient

from rltuner.serving.guard import recruiting_hash
from rltuner.study.database import sqlite_address
from rltuner.study.folder import Study
from rltuner.study.plan import Question, Texts
from rltuner.study.schedule import trials_of
from rltuner.study.server import create_app
from rltuner.study.store import Store, open_store

Browser = Callable[[], TestClient]
BOTH = 2 * SECONDS + 0.01  # a listener who has heard both clips


def test_a_session_goes_from_consent_to_debrief(study: Study, store: Store, browser: Browser) -> None:
    client = browser()
    assert "Taking part" in client.get("/").text
    assert "Set your volume" in client.post("/consent", data={"agree": "yes", "id": ""}).text
    assert "About you" in client.post("/sound", data={}).text
    page = client.post("/about", data=ABOUT).text
    for position in range(1, study.plan.trials + 1):
        assert f"Pair {position} of {study.plan.trials}" in page
        assert len(set(paths_in(page))) == 2
        time.sleep(BOTH)
        page = client.post("/answer", data=answer(position, 1 + position % 5)).text
    assert "Thank you" in page
    sessions, trials = store.rows()
    assert [json.loads(session["about"]) for session in sessions] == [ABOUT]
    assert sessions[0]["finished_at"] >= sessions[0]["consented_at"]
    dealt = trials_of(study.plan, study.items, 0)
    assert [(row["clip_a"], row["clip_b"]) for row in trials] == [(t.left, t.right) for t in dealt]
    assert [json.loads(row["answers"]) for row in trials] == [{"pleasing": 1 + p % 5} for p in range(1, 7)]
    assert all(BOTH <= row["answered_at"] - row["shown_at"] < 60 for row in trials)


def test_coming_back_goes_on_at_the_same_pair_with_the_same_clips(browser: Browser) -> None:
    client = browser()
    first = begin(client)
    time.sleep(BOTH)
    second = client.post("/answer", data=answer(1)).text
    again = browser()
    again.cookies = client.cookies
    assert again.get("/").text == second
    assert paths_in(second) != paths_in(first)


def test_a_second_submission_counts_for_nothing(store: Store, browser: Browser) -> None:
    client = browser()
    begin(client)
    time.sleep(BOTH)
    for value in (5, 1, 2):
        assert "Pair 2 of" in client.post("/answer", data=answer(1, value, plays_a=value)).text
    _, trials = store.rows()
    assert [(json.loads(row["answers"]), row["plays_a"]) for row in trials] == [({"pleasing": 5}, 5)]


def test_nobody_skips_ahead(store: Store, browser: Browser) -> None:
    client = browser()
    client.post("/answer", data=answer(1))
    assert "Set your volume" in client.post("/consent", data={"agree": "yes", "id": ""}).text
    assert "Set your volume" in client.post("/answer", data=answer(1)).text
    assert "Set your volume" in client.post("/about", data=ABOUT).text
    client.post("/sound", data={})
    assert "Please answer every question" in client.post("/about", data={**ABOUT, "age": "107"}).text
    client.post("/about", data=ABOUT)
    time.sleep(BOTH)
    assert "Pair 1 of" in client.post("/answer", data=answer(2)).text
    assert store.rows()[1] == []


def test_an_answer_before_both_clips_can_have_been_heard_is_refused(tmp_path: Path) -> None:
    study = make_study(tmp_path / "long", small_plan(seconds=30.0))
    store = open_store(sqlite_address(tmp_path / "a.sqlite"), study.digest)
    client = TestClient(create_app(study, store))
    begin(client)
    refused = client.post("/answer", data=answer(1))
    assert refused.status_code == 409
    assert "listen to both" in refused.text
    assert store.rows()[1] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"pleasing": 0},
        {"pleasing": 6},
        {"pleasing": "٣"},
        {"pleasing": "1e0"},
        {"pleasing": ""},
        {"plays_a": 0},
        {"plays_b": -1},
        {"plays_a": 10**9},
        {"trial": "1; DROP TABLE answers"},
    ],
)
def test_an_answer_that_no_page_can_send_is_refused(
    changes: dict[str, object], store: Store, browser: Browser
) -> None:
    client = browser()
    begin(client)
    time.sleep(BOTH)
    assert client.post("/answer", data=answer(1, **changes)).status_code == 400
    assert store.rows()[1] == []


def test_consent_is_needed_and_given_once(store: Store, browser: Browser) -> None:
    client = browser()
    assert "Please tick the box" in client.post("/consent", data={"id": "x"}).text
    assert store.rows()[0] == []
    client.post("/consent", data={"agree": "yes", "id": ""})
    client.post("/consent", data={"agree": "yes", "id": ""})
    assert len(store.rows()[0]) == 1


def test_an_id_of_a_recruiting_site_is_kept_as_a_keyed_hash_only(
    study: Study, store: Store, browser: Browser, tmp_path: Path
) -> None:
    page = browser().get("/?id=WORKER-A1B2C3").text
    assert 'value="WORKER-A1B2C3"' in page
    for _ in range(2):
        begin(browser(), "WORKER-A1B2C3")
    begin(browser(), "WORKER-OTHER")
    hashes = [session["recruiting_hash"] for session in store.rows()[0]]
    assert hashes[0] == hashes[1] != hashes[2]
    other = make_study(tmp_path / "other")
    assert recruiting_hash(study.secret, "WORKER-A1B2C3") == hashes[0]
    assert recruiting_hash(other.secret, "WORKER-A1B2C3") != hashes[0]  # nobody links two studies
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("answers.sqlite*"))
    assert hashes[0].encode() in stored
    assert b"WORKER" not in stored


def test_every_question_is_asked_and_stored(tmp_path: Path) -> None:
    plan = replace(
        small_plan(),
        questions=(Question("pleasing", "Which pleases more?"), Question("odd", "Which is odder?")),
        listener_questions=(),
    )
    study = make_study(tmp_path / "two", plan)
    store = open_store(sqlite_address(tmp_path / "a.sqlite"), study.digest)
    client = TestClient(create_app(study, store))
    client.post("/consent", data={"agree": "yes", "id": ""})
    page = client.post("/sound", data={}).text
    assert "Which pleases more?" in page
    assert "Which is odder?" in page
    time.sleep(BOTH)
    assert client.post("/answer", data=answer(1)).status_code == 400
    client.post("/answer", data=answer(1, 2, odd=5))
    assert json.loads(store.rows()[1][0]["answers"]) == {"pleasing": 2, "odd": 5}


def test_a_shared_device_serves_one_listener_after_another(tmp_path: Path) -> None:
    study = make_study(tmp_path / "shared", small_plan(pairs=1, items=1, catch=0, shared_device=True))
    store = open_store(sqlite_address(tmp_path / "a.sqlite"), study.digest)
    client = TestClient(create_app(study, store))
    begin(client)
    assert "Pair 1" in client.post("/again", data={}).text  # not before the end
    time.sleep(BOTH)
    assert "Somebody else" in client.post("/answer", data=answer(1)).text
    assert "Taking part" in client.post("/again", data={}).text
    begin(client)
    assert [session["number"] for session in store.rows()[0]] == [0, 1]


def test_markup_in_a_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    plan = replace(small_plan(), texts=Texts(title="<script>alert(1)</script>"))
    study = make_study(tmp_path / "markup", plan)
    store = open_store(sqlite_address(tmp_path / "a.sqlite"), study.digest)
    page = TestClient(create_app(study, store)).get('/?id="><b>').text
    assert "<script>alert" not in page
    assert "<b>" not in page


def test_two_studies_on_one_host_keep_their_sessions_apart(
    study: Study, store: Store, tmp_path: Path
) -> None:
    other = make_study(tmp_path / "other", small_plan(seed=5))
    kept = open_store(sqlite_address(tmp_path / "other.sqlite"), other.digest)
    one = TestClient(create_app(study, store), follow_redirects=True)
    two = TestClient(create_app(other, kept), follow_redirects=True)
    page = begin(one)
    two.cookies = one.cookies  # a browser sends all cookies of a host to all its ports
    assert "Taking part" in two.get("/").text
    begin(two)
    one.cookies = two.cookies
    assert one.get("/").text == page
    kept.close()


def test_the_next_person_from_a_recruiting_site_begins_anew(study: Study, browser: Browser) -> None:
    client = browser()
    begin(client, "first")
    assert "Pair 1" in client.get("/?id=second").text  # not while somebody is at it
    for position in range(1, study.plan.trials + 1):
        client.get("/")
        time.sleep(BOTH)
        client.post("/answer", data=answer(position))
    assert "Thank you" in client.get("/?id=first").text
    assert "Taking part" in client.get("/?id=second").text
    assert "Pair 1" in begin(client, "second")
