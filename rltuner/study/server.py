"""The pages that people listen in: FastAPI over the study and its database.

One address, `/`, shows whatever a session is at, so that closing the tab and coming back goes on there; forms are sent
to a path each and answered by a redirect to it. Nothing from a client is ever used as a path: clips are looked up by
the random path that the session's present trial was dealt.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any
from urllib.parse import parse_qsl

import jinja2
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from rltuner.serving import guard
from rltuner.serving.guard import Guard, Limits
from rltuner.study.folder import Study
from rltuner.study.plan import POINTS
from rltuner.study.schedule import Trial, trials_of
from rltuner.study.store import ABOUT, DONE, SOUND, TRIALS, Answer, Dealt, Session, Store
from rltuner.study.watch import Watch

COOKIE_SECONDS = 30 * 24 * 3600
MAX_PLAYS = 1000
MAX_FIELDS = 64
MAX_ID = 200
STATIC = {
    "study.css": "text/css; charset=utf-8",
    "study.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
MEDIA = {".flac": "audio/flac", ".wav": "audio/wav"}
REFUSALS = {409: ("Not yet", "Back to the melodies"), 503: ("Stopped for now", "Try again")}
STOPPED = "The study has been stopped for now. All answers so far are kept. Please try again later."
EARLY = 0.9  # share of two clips' duration before an answer counts: clocks and browsers are not exact

Form = dict[str, str]


async def read_form(request: Request) -> Form:
    """The fields of a form that was sent; 400 for anything else. A form without fields is empty."""
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if body and kind != "application/x-www-form-urlencoded":
        raise HTTPException(400, "This is not a form.")
    try:
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise HTTPException(400, "This form cannot be read.") from None
    if len(dict(fields)) < len(fields):
        raise HTTPException(400, "This form has a field twice.")
    return dict(fields)


Fields = Annotated[Form, Depends(read_form)]


@dataclass(frozen=True)
class Pages:
    """The handlers. They run in threads: the database's calls may wait."""

    study: Study
    store: Store
    templates: jinja2.Environment
    watch: Watch
    preview: bool

    @property
    def cookie(self) -> str:
        """Name of the session's cookie, this study's own: all ports and paths of a host share their cookies."""
        return f"listener_{self.study.digest[:12]}" + ("_preview" if self.preview else "")

    def check_unchanged(self) -> None:
        """503 where a file of the study is no longer what it was: nothing is shown, and no answer is taken."""
        if not self.watch.is_unchanged():
            raise HTTPException(503, STOPPED)

    def home(self, request: Request) -> Response:
        """The page that the session is at."""
        session = self._session(request)
        identifier = _identifier(request.query_params.get("id", ""))
        if session is None or self._is_another(session, identifier):
            return self._page("welcome", identifier=identifier)
        if session.stage == SOUND:
            return self._page("sound")
        if session.stage == ABOUT:
            return self._page("about", questions=self.study.plan.listener_questions)
        dealt = self.store.current(session) if session.stage == TRIALS else None
        if dealt is None:
            return self._page("debrief")
        if dealt.shown_at is None:
            self.store.shown(session, dealt.position)
        return self._trial(dealt)

    def consent(self, request: Request, form: Fields) -> Response:
        """Begins a session, unless the browser has one."""
        session = self._session(request)
        if session is not None and not self._is_another(session, form.get("id", "")):
            return to_home()
        if form.get("agree") != "yes":
            return self._page("welcome", 400, identifier=_identifier(form.get("id", "")), missing=True)
        identifier = _identifier(form.get("id", ""))
        token = guard.new_token()
        hashed = guard.recruiting_hash(self.study.secret, identifier) if identifier else None
        self.store.start(guard.token_hash(token), hashed, self._deal)
        answer = to_home()
        answer.set_cookie(
            self.cookie,
            token,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="lax",  # strict would lose listeners who come back through the recruiting site's link
            secure=request.url.scheme == "https",
        )
        return answer

    def _is_another(self, session: Session, identifier: str) -> bool:
        """Whether the session in this browser is finished and somebody else comes from the recruiting site."""
        if not identifier or session.stage != DONE:
            return False
        return session.recruiting_hash != guard.recruiting_hash(self.study.secret, identifier)

    def _deal(self, number: int) -> list[tuple[Trial, str, str]]:
        """The trials of listener `number`, each with new random paths for its clips A and B."""
        trials = trials_of(self.study.plan, self.study.items, number)
        return [(trial, guard.new_path(), guard.new_path()) for trial in trials]

    def sound(self, request: Request, form: Fields) -> Response:
        """Moves the session on from the sound check: the listener has set the volume."""
        session = self._session(request)
        if session is not None and session.stage == SOUND:
            self.store.move(session, ABOUT if self.study.plan.listener_questions else TRIALS)
        return to_home()

    def about(self, request: Request, form: Fields) -> Response:
        """The listener's answers about themselves: one of the choices each."""
        session = self._session(request)
        if session is None or session.stage != ABOUT:
            return to_home()
        questions = self.study.plan.listener_questions
        if any(form.get(question.id) not in question.choices for question in questions):
            return self._page("about", 400, questions=questions, missing=True)
        self.store.move(session, TRIALS, {question.id: form[question.id] for question in questions})
        return to_home()

    def answer(self, request: Request, form: Fields) -> Response:
        """Stores an answer. What was answered before, or is not up yet, changes nothing."""
        session = self._session(request)
        if session is None or session.stage != TRIALS:
            return to_home()
        dealt = self.store.current(session)
        position = number_of(form, "trial", self.study.plan.trials)
        if dealt is None or position != dealt.position:
            return to_home()
        answer = Answer(
            position,
            {question.id: number_of(form, question.id, POINTS) for question in self.study.plan.questions},
            number_of(form, "plays_a", MAX_PLAYS),
            number_of(form, "plays_b", MAX_PLAYS),
        )
        least = EARLY * 2 * self.study.plan.design.seconds
        if dealt.shown_at is None or time.time() - dealt.shown_at < least:
            raise HTTPException(409, "Please listen to both melodies to the end first.")
        self.store.answer(session, answer)
        return to_home()

    def again(self, request: Request, form: Fields) -> Response:
        """Forgets a finished session, so that somebody else can begin on this device."""
        session = self._session(request)
        answer = to_home()
        if self.study.plan.design.shared_device and session is not None and session.stage == DONE:
            answer.delete_cookie(self.cookie)
        return answer

    def clip(self, request: Request, path: str) -> Response:
        """A clip of the session's present trial, or the sound check's."""
        session = self._session(request)
        if session is None:
            raise HTTPException(404)
        if path == "sample":
            return self._audio(self.study.sound_check, request)
        dealt = self.store.current(session) if session.stage == TRIALS else None
        if dealt is not None:
            for known, clip in ((dealt.path_a, dealt.trial.left), (dealt.path_b, dealt.trial.right)):
                if secrets.compare_digest(known.encode(), path.encode()):
                    return self._audio(clip, request)
        raise HTTPException(404)

    def _audio(self, clip: str, request: Request) -> Response:
        content = self.watch.clip(clip)
        if content is None:
            raise HTTPException(503, STOPPED)
        return ranged(content, MEDIA[self.study.clip_file(clip).suffix], request)

    def _session(self, request: Request) -> Session | None:
        token = request.cookies.get(self.cookie, "")
        return self.store.session(guard.token_hash(token)) if token else None

    def _trial(self, dealt: Dealt) -> Response:
        plan = self.study.plan
        return self._page(
            "trial", dealt=dealt, questions=plan.questions, total=plan.trials, done=dealt.position - 1
        )

    def _page(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        shared = {"texts": self.study.plan.texts, "design": self.study.plan.design, "preview": self.preview}
        text = self.templates.get_template(f"{name}.html").render(**shared, **values)
        return HTMLResponse(text, status)


def create_app(study: Study, store: Store, *, limits: Limits | None = None, preview: bool = False) -> FastAPI:
    """The application. `preview` says on every page that answers are not kept."""
    pages = Pages(study, store, _templates(), Watch(study, preview=preview), preview)
    unchanged = [Depends(pages.check_unchanged)]
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    app.add_api_route("/", pages.home, methods=["GET", "HEAD"], dependencies=unchanged)
    for name in ("consent", "sound", "about", "answer", "again"):
        app.add_api_route(f"/{name}", getattr(pages, name), methods=["POST"], dependencies=unchanged)
    app.add_api_route("/clip/{path}", pages.clip, methods=["GET", "HEAD"], dependencies=unchanged)
    for name, kind in STATIC.items():
        app.add_api_route(f"/{name}", static(name, kind), methods=["GET", "HEAD"])

    def failed(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, StarletteHTTPException) else 500
        sentence = str(error.detail) if isinstance(error, HTTPException) and error.detail else "Not found."
        if status not in REFUSALS:
            return PlainTextResponse(sentence, status, headers=getattr(error, "headers", None))
        heading, back = REFUSALS[status]
        return pages._page("refused", status, heading=heading, sentence=sentence, back=back)

    app.add_exception_handler(StarletteHTTPException, failed)
    app.add_middleware(Guard, limits=limits if limits is not None else Limits())
    return app


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rltuner.study", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["paragraphs"] = lambda text: [p for p in (q.strip() for q in text.split("\n\n")) if p]
    return environment


def static(name: str, kind: str) -> Any:
    content = resources.files("rltuner.study").joinpath("pages", name).read_bytes()

    def serve() -> Response:
        return Response(content, media_type=kind, headers={"cache-control": "max-age=3600"})

    return serve


def ranged(content: bytes, kind: str, request: Request) -> Response:
    """A clip, whole or the one range of bytes that was asked for (Safari plays nothing without)."""
    headers = {"accept-ranges": "bytes"}
    wanted = request.headers.get("range", "")
    first, dash, last = wanted.removeprefix("bytes=").partition("-")
    digits = all(part.isascii() and part.isdigit() and len(part) < 12 for part in (first, last) if part)
    if not (wanted.startswith("bytes=") and dash and first and digits):
        return Response(content, media_type=kind, headers=headers)
    start, end = int(first), min(int(last) if last else len(content), len(content) - 1)
    if start > end:
        raise HTTPException(416, headers={"content-range": f"bytes */{len(content)}"})
    headers["content-range"] = f"bytes {start}-{end}/{len(content)}"
    return Response(content[start : end + 1], 206, media_type=kind, headers=headers)


def to_home() -> RedirectResponse:
    return RedirectResponse("./", 303)  # relative: the study may live below a path of a reverse proxy


def _identifier(text: str) -> str:
    """A recruiting site's id, "" for none; 400 where it is too long or not printable."""
    if len(text) > MAX_ID or not text.isprintable():
        raise HTTPException(400, "The id in this address is not usable.")
    return text


def number_of(form: Form, name: str, most: int) -> int:
    """A field's whole number from 1 to `most`; 400 for anything else."""
    text = form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= most):
        raise HTTPException(400, "An answer is missing.")
    return int(text)
