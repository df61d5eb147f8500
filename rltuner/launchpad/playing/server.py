"""The page's server: static files, one websocket, MIDI files in and out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from rltuner.errors import InputError
from rltuner.launchpad.board.midi import midi_bytes, read_bar
from rltuner.launchpad.playing.session import Message, Session
from rltuner.serving.guard import HEADERS, Guard, Limits, RateLimit

SOCKET = "/socket"
LARGEST_FILE = 256 * 1024  # bytes of a MIDI file that is loaded
MOST_PAGES = 64  # sockets at once
MESSAGES = (60.0, 240)  # a second, at once: from a page
MOST_MISTAKES = 8  # messages that are none of ours, before the socket is closed
PAGES = {
    "launchpad.css": "text/css; charset=utf-8",
    "launchpad.js": "text/javascript; charset=utf-8",
    "sound.js": "text/javascript; charset=utf-8",
    "midi.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
EXTRA_HEADERS = {
    "permissions-policy": "camera=(), microphone=(), geolocation=(), interest-cohort=(), midi=(self)",
    "content-security-policy": HEADERS["content-security-policy"],
}
REFUSED, BUSY = 1008, 1013  # websocket's codes: policy violation, try again later


def create_app(
    session: Session, *, hosts: frozenset[str] | None = None, limits: Limits | None = None
) -> FastAPI:
    """The application. `hosts`: names that the server goes by; None takes any."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        clock = asyncio.create_task(session.run())
        try:
            yield
        finally:
            clock.cancel()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.add_api_route("/", _static("launchpad.html", "text/html; charset=utf-8"), methods=["GET", "HEAD"])
    for name, kind in PAGES.items():
        app.add_api_route(f"/{name}", _static(name, kind), methods=["GET", "HEAD"])

    def song() -> Response:
        return _midi(midi_bytes(session.game.board, session.song(), session.game.qpm))

    def bar() -> Response:
        game = session.game
        return _midi(midi_bytes(game.board, game.board.words[game.now.state][None], game.qpm))

    async def load(request: Request) -> Response:
        content = await request.body()
        words = await asyncio.to_thread(_read, session, content)
        session.game.load(words)
        session.changed()
        return PlainTextResponse("Loaded.")

    app.add_api_route("/song.mid", song, methods=["GET"])
    app.add_api_route("/bar.mid", bar, methods=["GET"])
    app.add_api_route("/load", load, methods=["POST"])

    async def socket(websocket: WebSocket) -> None:
        await _serve(session, websocket)

    app.add_api_websocket_route(SOCKET, socket)

    def failed(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, StarletteHTTPException) else 500
        return PlainTextResponse(str(getattr(error, "detail", "")) or "Not found.", status)

    app.add_exception_handler(StarletteHTTPException, failed)
    app.add_middleware(
        Guard,
        limits=limits if limits is not None else Limits(),
        headers=EXTRA_HEADERS,
        largest=LARGEST_FILE,
        sockets_at=SOCKET,
        hosts=hosts,
    )
    return app


async def _serve(session: Session, websocket: WebSocket) -> None:
    """One page's socket, until it closes."""
    await websocket.accept()
    if len(session.queues) >= MOST_PAGES:
        await websocket.close(BUSY, "Too many people play here.")
        return
    queue = session.join()
    await websocket.send_text(json.dumps(session.hello()))
    sending = asyncio.create_task(_send(queue, websocket))
    session.changed()
    try:
        await _receive(session, websocket, queue)
    except (WebSocketDisconnect, RuntimeError, OSError):
        pass
    finally:
        session.queues.discard(queue)
        sending.cancel()
        session.changed()


async def _send(queue: asyncio.Queue[Message | None], websocket: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
        while True:
            message = await queue.get()
            if message is None:
                await websocket.close(BUSY, "This page is too slow.")
                return
            await websocket.send_text(json.dumps(message))


async def _receive(session: Session, websocket: WebSocket, queue: asyncio.Queue[Message | None]) -> None:
    """Takes messages; closes the socket where they come too fast, or are none of ours again and again."""
    rate, mistakes = RateLimit(*MESSAGES), 0
    while True:
        event = await websocket.receive()
        if event["type"] == "websocket.disconnect":
            return
        if not rate.allows("page"):
            await websocket.close(REFUSED, "Too many messages.")
            return
        try:
            message = json.loads(event.get("text") or "")
            if not isinstance(message, dict):
                raise InputError("not a message of the page")
            answer = session.take(message)
        except (ValueError, RecursionError) as error:
            mistakes += 1
            if mistakes >= MOST_MISTAKES:
                await websocket.close(REFUSED, "Not a message of the page.")
                return
            why = str(error) if isinstance(error, InputError) else "not a message of the page"
            answer = {"t": "no", "why": why}
        if answer is not None:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(answer)


def _read(session: Session, content: bytes) -> Any:
    """The first bar of a MIDI file; 400 with the reason where it cannot be read."""
    with tempfile.TemporaryDirectory(prefix="rltuner-") as folder:
        file = Path(folder) / "yours.mid"
        file.write_bytes(content)
        try:
            return read_bar(session.game.board, file)
        except InputError as error:
            raise HTTPException(400, str(error).replace(str(file), "This file")) from None


def _midi(content: bytes) -> Response:
    headers = {"content-disposition": 'attachment; filename="launchpad.mid"'}
    return Response(content, media_type="audio/midi", headers=headers)


def _static(name: str, kind: str) -> Any:
    content = resources.files("rltuner.launchpad.playing").joinpath("pages", name).read_bytes()

    def serve() -> Response:
        return Response(content, media_type=kind)

    return serve
