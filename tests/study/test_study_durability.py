"""Fifty listeners at once, and a server that is killed in the middle: what was acknowledged is there, once."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from small_study import ABOUT, SECONDS, answer, make_study, small_plan

from rltuner.serving.guard import token_hash
from rltuner.study.folder import ANSWERS

LISTENERS = 50
KILL_AFTER = 50  # acknowledged answers
ATTEMPTS = 300  # of one listener at anything, so that no loop goes on for ever

SERVE = """
import sys
from pathlib import Path
from rltuner.serving.guard import Limits
from rltuner.study.serve import serve
serve(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]), None, limits=Limits((1e6, 10**6), (1e6, 10**6)))
"""


def start(folder: Path, port: int) -> tuple[subprocess.Popen[str], int]:
    """A server process, and the port it says it listens at."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
    if found is None:
        process.kill()
        raise AssertionError(line + process.communicate()[1])
    return process, int(found[1])


class Listener:
    """Answers every pair at random, sends some answers again with another value, and notes what was acknowledged."""

    def __init__(self, number: int, address: str, trials: int) -> None:
        self.rng = random.Random(number)
        self.address, self.trials = address, trials
        self.acknowledged: dict[
            tuple[str, int], int
        ] = {}  # (session, position) -> the value acknowledged first
        self.sent: dict[tuple[str, int], list[int]] = {}
        self.finished = False

    async def take_part(self) -> None:
        async with httpx2.AsyncClient(base_url=self.address, timeout=20, verify=False) as client:
            for _ in range(ATTEMPTS):
                try:
                    page = (await client.get("/")).text
                    if "Thank you" in page:
                        self.finished = True
                        return
                    await self.act(client, page)
                except httpx2.TransportError:
                    await asyncio.sleep(0.5)  # the server is down

    async def act(self, client: httpx2.AsyncClient, page: str) -> None:
        if "Taking part" in page:
            await client.post("/consent", data={"agree": "yes", "id": ""})
        elif "Set your volume" in page:
            await client.post("/sound", data={})
        elif "About you" in page:
            await client.post("/about", data=ABOUT)
        else:
            found = re.search(r'name="trial" value="(\d+)"', page)
            assert found, page
            await asyncio.sleep(2 * SECONDS)
            await self.answer(client, int(found[1]))

    async def answer(self, client: httpx2.AsyncClient, position: int) -> None:
        [token] = dict(client.cookies).values()
        key = (token, position)
        for _ in range(self.rng.choice([1, 1, 2, 3])):
            value = self.rng.randint(1, 5)
            self.sent.setdefault(key, []).append(value)
            reply = await client.post("/answer", data=answer(position, value))
            assert reply.status_code == 303, reply.text
            if len(self.sent[key]) == 1:  # else an earlier one may have been stored, its acknowledgement lost
                self.acknowledged[key] = value


async def run(folder: Path, trials: int) -> list[Listener]:
    """All listeners at once; the server is killed without warning after some acknowledged answers, and started again."""
    server, port = start(folder, 0)
    try:
        listeners = [Listener(number, f"http://127.0.0.1:{port}", trials) for number in range(LISTENERS)]
        tasks = [asyncio.create_task(listener.take_part()) for listener in listeners]
        for _ in range(1000):
            await asyncio.sleep(0.02)
            if sum(len(listener.acknowledged) for listener in listeners) >= KILL_AFTER:
                break
        server.send_signal(signal.SIGKILL)
        server.wait()
        before = sum(len(listener.acknowledged) for listener in listeners)
        assert KILL_AFTER <= before < LISTENERS * trials  # in the middle
        server, _ = await asyncio.to_thread(start, folder, port)
        await asyncio.gather(*tasks)
        return listeners
    finally:
        server.kill()
        server.communicate()


@pytest.mark.long
def test_no_acknowledged_answer_is_lost_or_doubled_when_the_server_is_killed(tmp_path: Path) -> None:
    study = make_study(tmp_path / "pilot", small_plan(pairs=2))
    listeners = asyncio.run(run(study.folder, study.plan.trials))
    assert all(listener.finished for listener in listeners)
    with sqlite3.connect(study.folder / ANSWERS) as database:
        rows = database.execute(
            "SELECT token_hash, position, answers FROM answers JOIN sessions ON session = number"
        ).fetchall()
    stored = {(token, position): json.loads(given)["pleasing"] for token, position, given in rows}
    assert len(stored) == len(rows)
    assert len(stored) == LISTENERS * study.plan.trials
    for listener in listeners:
        for (token, position), values in listener.sent.items():
            kept = stored.pop((token_hash(token), position))
            assert kept == listener.acknowledged.get((token, position), kept)
            assert kept in values
    assert not stored  # nothing that no listener sent
