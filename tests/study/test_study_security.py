"""What a stranger, a listener and a robot can and cannot get from the server."""

from __future__ import annotations

import asyncio
import io
import re
import time
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from small_study import ABOUT, answer, begin, paths_in
from starlette.testclient import TestClient

from rltuner.serving.guard import HEADERS, MAX_BODY, MAX_CLIENTS, Limits, RateLimit
from rltuner.study.folder import Study
from rltuner.study.server import create_app
from rltuner.study.store import Store

Browser = Callable[[], TestClient]


def test_every_reply_carries_the_protective_headers(browser: Browser) -> None:
    client = browser()
    page = begin(client)
    replies = [client.get(path) for path in ("/", "/study.css", "/study.js", "/nothing", paths_in(page)[0])]
    replies += [client.post("/answer", data={}), client.put("/"), client.get("/" + "x" * 3000)]
    assert {reply.status_code for reply in replies} >= {200, 400, 404, 405, 414}
    for reply in replies:
        for name, value in HEADERS.items():
            static = reply.request.url.path.startswith("/study.")
            assert reply.headers[name] == ("max-age=3600" if static and name == "cache-control" else value)
        assert "server" not in reply.headers
    policy = HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_pages_have_nothing_inline_and_name_no_other_host(browser: Browser) -> None:
    client = browser()
    pages = [client.get("/").text]
    pages.append(client.post("/consent", data={"agree": "yes", "id": ""}).text)
    pages.append(client.post("/sound", data={}).text)
    pages.append(client.post("/about", data=ABOUT).text)
    for page in pages:
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=", page)
        assert "//" not in page.replace("<!doctype html>", "")


def test_the_cookie_is_out_of_scripts_reach_and_unguessable(browser: Browser, store: Store) -> None:
    tokens = set()
    for _ in range(5):
        client = browser()
        reply = client.post("/consent", data={"agree": "yes", "id": ""}, follow_redirects=False)
        assert reply.status_code == 303
        cookie = reply.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        tokens |= set(dict(client.cookies).values())
    assert len(tokens) == 5
    assert all(len(token) >= 43 for token in tokens)  # 32 bytes in base 64
    kept = {session["token_hash"] for session in store.rows()[0]}
    assert not kept & tokens  # only their hashes


def test_the_cookie_is_for_https_only_where_the_page_is(study: Study, store: Store) -> None:
    client = TestClient(create_app(study, store), base_url="https://study.example")
    reply = client.post("/consent", data={"agree": "yes", "id": ""}, follow_redirects=False)
    assert "Secure" in reply.headers["set-cookie"]


@pytest.mark.parametrize("token", ["", "x", "0" * 43, "' OR 1=1 --", "../answers.sqlite"])
def test_an_unknown_token_is_nobody(token: str, browser: Browser) -> None:
    known = browser()
    page = begin(known)
    stranger = browser()
    [name] = dict(known.cookies)
    stranger.cookies.set(name, token)
    assert "Taking part" in stranger.get("/").text
    for path in (*paths_in(page), "clip/sample"):
        assert stranger.get(path).status_code == 404


def test_a_clip_is_served_to_its_session_and_while_its_pair_is_up_only(browser: Browser) -> None:
    first, second = browser(), browser()
    mine, theirs = begin(first), begin(second)
    assert first.get(paths_in(mine)[0]).headers["content-type"] == "audio/flac"
    assert first.get(paths_in(theirs)[0]).status_code == 404
    time.sleep(0.3)
    assert "Pair 2" in first.post("/answer", data=answer(1)).text
    assert first.get(paths_in(mine)[0]).status_code == 404


TRAVERSALS = [
    "/clip/../study.toml",
    "/clip/..%2f..%2fkey.json",
    "/clip/%2e%2e/key.json",
    "/clip/....//key.json",
    "/clip/..\\key.json",
    "/clip/%00",
    "/clip//etc/passwd",
    "/..%2fkey.json",
    "/stimuli/",
    "/stimuli",
    "/clip/",
    "/clip",
    "/key.json",
    "/study.toml",
    "/frozen.json",
    "/answers.sqlite",
    "/simulated.sqlite",
    "/report.html",
    "/analysis/report.html",
    "/trial.html",
    "/layout.html",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/results",
    "/admin",
]


def test_no_path_leads_to_a_file_a_list_or_a_result(browser: Browser) -> None:
    client = browser()
    begin(client)
    assert {path: client.get(path).status_code for path in TRAVERSALS} == dict.fromkeys(TRAVERSALS, 404)


def test_the_names_of_the_clips_open_nothing(study: Study, browser: Browser) -> None:
    client = browser()
    begin(client)
    for clip in list(study.source_of)[::4]:
        for path in (f"/clip/{clip}", f"/clip/{clip.removesuffix('.flac')}", f"/stimuli/{clip}", f"/{clip}"):
            assert client.get(path).status_code == 404


def test_no_served_byte_names_a_source_or_a_file(study: Study, browser: Browser) -> None:
    client = browser()
    replies = [client.get(path) for path in ("/", "/study.css", "/study.js", "/icon.svg")]
    replies.append(client.post("/consent", data={"agree": "yes", "id": ""}))
    replies.append(client.get("/clip/sample"))
    replies += [client.post("/sound", data={}), client.post("/about", data=ABOUT)]
    for position in range(1, study.plan.trials + 1):
        page = client.get("/")
        replies.append(page)
        replies += [client.get(path) for path in paths_in(page.text)]
        time.sleep(0.22)
        replies.append(client.post("/answer", data=answer(position)))
    assert "Thank you" in replies[-1].text
    secrets = [
        b"note_rnn",
        b"psi",
        b"human",
        b"melody-",
        b".mid",
        study.digest.encode(),
    ]
    secrets += [clip.encode() for clip in study.source_of] + [clip[:32].encode() for clip in study.source_of]
    for reply in replies:
        served = reply.content + str(sorted(reply.headers.items())).encode() + str(reply.url).encode()
        served = re.sub(
            rb"(clip/|listener=)[\w-]+", b"", served
        )  # tokens may hold any three letters by chance
        for secret in secrets:
            assert secret not in served.lower()
        assert "last-modified" not in reply.headers  # the order in which files were written
        assert "etag" not in reply.headers


def test_a_clip_comes_in_ranges_too(study: Study, browser: Browser) -> None:
    client = browser()
    path = paths_in(begin(client))[0]
    whole = client.get(path).content
    assert soundfile.info(io.BytesIO(whole)).duration == pytest.approx(study.plan.design.seconds)
    assert np.abs(soundfile.read(io.BytesIO(whole))[0]).max() > 0.05
    for wanted, part in (
        ("bytes=0-1", whole[:2]),
        ("bytes=10-", whole[10:]),
        ("bytes=5-999999999", whole[5:]),
    ):
        reply = client.get(path, headers={"range": wanted})
        assert (reply.status_code, reply.content) == (206, part)
        assert reply.headers["content-range"].endswith(f"/{len(whole)}")
    assert client.get(path, headers={"range": "bytes=99999999-"}).status_code == 416
    for odd in ("bytes=0-1,3-4", "bytes=-5", "lines=1-2", "bytes=b-c", "bytes=5-2" * 100):
        assert client.get(path, headers={"range": odd}).content == whole


def test_a_large_body_is_refused_whatever_its_length_says(browser: Browser, store: Store) -> None:
    client = browser()
    large = "agree=yes&id=" + "x" * MAX_BODY
    assert client.post("/consent", content=large).status_code == 413

    def pieces() -> object:
        for _ in range(40):
            yield b"x" * 1000

    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/consent", content=pieces(), headers=form).status_code == 413  # type: ignore[arg-type]
    assert client.get("/", params={"id": "x" * 1000}).status_code == 400
    assert store.rows()[0] == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ('{"agree": "yes"}', "application/json"),
        ("agree=yes", "text/plain"),
        ("agree=yes&agree=yes", "application/x-www-form-urlencoded"),
        ("&".join(f"f{k}=1" for k in range(100)), "application/x-www-form-urlencoded"),
        (b"agree=\xff\xfe", "application/x-www-form-urlencoded"),
    ],
)
def test_only_forms_are_read(content: str | bytes, kind: str, browser: Browser, store: Store) -> None:
    assert browser().post("/consent", content=content, headers={"content-type": kind}).status_code == 400
    assert store.rows()[0] == []


def test_another_site_cannot_send_a_form(browser: Browser, store: Store) -> None:
    for site in ("cross-site", "same-site", "none"):
        reply = browser().post("/consent", data={"agree": "yes"}, headers={"sec-fetch-site": site})
        assert reply.status_code == 403
    assert store.rows()[0] == []


def test_a_client_that_asks_too_often_is_slowed_down(study: Study, store: Store) -> None:
    client = TestClient(create_app(study, store, limits=Limits(requests=(0.001, 8), sessions=(0.001, 2))))
    kinds = [client.post("/consent", data={"agree": "no"}).status_code for _ in range(3)]
    assert kinds == [400, 400, 429]
    statuses = [client.get("/").status_code for _ in range(7)]
    assert statuses == [200, 200, 200, 200, 200, 429, 429]
    assert client.get("/").headers["retry-after"]


def test_the_rate_recovers_counts_a_network_as_one_and_forgets_the_oldest() -> None:
    now = 0.0
    limit = RateLimit(2.0, 3, lambda: now)
    assert [limit.allows("10.0.0.1") for _ in range(4)] == [True, True, True, False]
    assert limit.allows("10.0.0.2")
    now = 0.5
    assert [limit.allows("10.0.0.1") for _ in range(2)] == [True, False]
    household = [limit.allows(f"2001:db8:0:1::{k}") for k in range(4)]
    assert household == [True, True, True, False]
    for number in range(MAX_CLIENTS + 10):
        limit.allows(f"client {number}")
    assert len(limit._buckets) == MAX_CLIENTS


def test_a_form_from_another_site_is_refused_also_by_its_origin(browser: Browser) -> None:
    client = browser()
    form = {"agree": "yes", "id": ""}
    assert client.post("/consent", data=form, headers={"origin": "http://evil.example"}).status_code == 403
    assert (
        "Set your volume" in client.post("/consent", data=form, headers={"origin": "http://testserver"}).text
    )


def test_a_form_that_never_arrives_is_given_up(
    study: Study, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rltuner.serving.guard.SLOWEST", 0.05)
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        await asyncio.sleep(5)
        raise AssertionError("waited for")

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/consent", "raw_path": b"/consent", "query_string": b"",
        "client": ("1.2.3.4", 5), "headers": [(b"content-length", b"10")], "scheme": "http",
    }  # fmt: skip
    asyncio.run(create_app(study, store)(scope, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 408
