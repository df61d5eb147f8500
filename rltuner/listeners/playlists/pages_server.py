"""The pages of a search, with the listening study's layout, style, script and guard."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import jinja2
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from rltuner.generating.audio import render
from rltuner.listeners.playlists.search import Search
from rltuner.melody import Melodies
from rltuner.serving.guard import Guard, Limits, new_path
from rltuner.study.server import STATIC, Form, number_of, ranged, read_form, static, to_home

SECONDS, QPM = 8.0, 120.0  # of a clip, as in the thesis
CLOSER = ("Farther, or the same", "Closer")
RATINGS = ("Not at all", "Hardly", "Somewhat", "Very much", "This is it")
TEXTS = {"title": "Find a tune"}
IN_MIND = (
    "Have a tune in mind, and keep it there. Say of each tune that is played how much it is like yours, and whether "
    "it is closer to it than the one before."
)


class Pages:
    """The handlers, and the clips, each rendered once under a random path."""

    def __init__(self, search: Search, target: Melodies | None, folder: Path) -> None:
        self.search, self.folder = search, folder
        loaders = [
            jinja2.PackageLoader(f"rltuner.{room}", "pages") for room in ("listeners.playlists", "study")
        ]
        self.templates = jinja2.Environment(
            loader=jinja2.ChoiceLoader(loaders),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.clips: dict[str, bytes] = {}
        self.target_path = self._render(target) if target is not None else ""
        self.path = self._render(search.catalogue.melody(search.tune))

    def _render(self, melody: Melodies) -> str:
        path = new_path()
        midi, audio = self.folder / f"{path}.mid", self.folder / f"{path}.flac"
        melody.to_midi(midi, 0, QPM)
        render([(midi, audio)], seconds=SECONDS)
        self.clips[path] = audio.read_bytes()
        return path

    def home(self, request: Request) -> Response:
        """The tune to be rated, or the end."""
        if self.search.is_over:
            return self._page("found", heading="Thank you", sentences=self.search.summary())
        said = len(self.search.said)
        questions = [
            {"id": "rating", "text": "How much is it like the tune in your mind?", "answers": RATINGS}
        ]
        if said:
            questions.append({"id": "closer", "text": "Than the one before, it is", "answers": CLOSER})
        return self._page(
            "rate",
            step=said + 1,
            total=22,
            first="" if said else IN_MIND,
            title=f"Tune {said + 1}",
            path=self.path,
            target=self.target_path,
            questions=questions,
        )

    def answer(self, request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
        """Keeps an answer. One to another tune than is up, such as a form that is sent twice, changes nothing."""
        search = self.search
        if search.is_over or form.get("trial") != str(len(search.said) + 1):
            return to_home()
        rating = number_of(form, "rating", len(RATINGS)) - 1
        closer = bool(search.said) and number_of(form, "closer", len(CLOSER)) == 2
        search.answer(rating, closer)
        if not search.is_over:
            self.path = self._render(search.catalogue.melody(search.tune))
        return to_home()

    def clip(self, request: Request, path: str) -> Response:
        """The clip that is up, or the target's."""
        for known in (self.path, self.target_path):
            if known and secrets.compare_digest(known.encode(), path.encode()):
                return ranged(self.clips[known], "audio/flac", request)
        raise HTTPException(404)

    def _page(self, name: str, **values: Any) -> HTMLResponse:
        text = self.templates.get_template(f"{name}.html").render(texts=TEXTS, preview=False, **values)
        return HTMLResponse(text)


def create_app(
    search: Search, target: Melodies | None, folder: Path, limits: Limits | None = None
) -> FastAPI:
    """The application of one search; clips are written to `folder`."""
    pages = Pages(search, target, folder)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    app.add_api_route("/", pages.home, methods=["GET", "HEAD"])
    app.add_api_route("/answer", pages.answer, methods=["POST"])
    app.add_api_route("/clip/{path}", pages.clip, methods=["GET", "HEAD"])
    for name, kind in STATIC.items():
        app.add_api_route(f"/{name}", static(name, kind), methods=["GET", "HEAD"])

    def failed(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, StarletteHTTPException) else 500
        sentence = str(error.detail) if isinstance(error, HTTPException) and error.detail else "Not found."
        return PlainTextResponse(sentence, status)

    handler: Callable[[Request, Exception], Response] = failed
    app.add_exception_handler(StarletteHTTPException, handler)
    app.add_middleware(Guard, limits=limits if limits is not None else Limits())
    return app
