"""What is done with a study's database: sessions begin and move on, trials are shown, answers stored."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from rltuner.study import database as db
from rltuner.study.schedule import Trial

SOUND, ABOUT, TRIALS, DONE = "sound", "about", "trials", "done"  # where a session is
Rows = Sequence[Mapping[str, Any]]
ATTEMPTS = 50  # at drawing a listener's number, where several servers share a database


@dataclass(frozen=True)
class Session:
    """A listener's session."""

    number: int
    stage: str
    """SOUND, ABOUT, TRIALS or DONE."""
    recruiting_hash: str | None
    """Of the id that a recruiting site sent the listener with."""


@dataclass(frozen=True)
class Dealt:
    """The trial that a session is at: its clips, and the paths they are served under."""

    position: int
    trial: Trial
    path_a: str
    path_b: str
    shown_at: float | None
    """When it was shown first, seconds since 1970; None where it was not."""


@dataclass(frozen=True)
class Answer:
    """What a page reports of a trial."""

    position: int
    answers: Mapping[str, int]
    """1 to 5 for each question."""
    plays_a: int
    plays_b: int


class Store:
    """The database, open. Every method is a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Lets go of the database."""
        self._engine.dispose()

    def start(
        self,
        token_hash: str,
        recruiting_hash: str | None,
        deal: Callable[[int], Sequence[tuple[Trial, str, str]]],
    ) -> int:
        """A new session; its number. `deal` gives the trials of a number, each with the paths of its clips."""
        for _ in range(ATTEMPTS):
            try:
                with self._engine.begin() as connection:
                    last = connection.scalar(sa.select(sa.func.max(db.sessions.c.number)))
                    number = 0 if last is None else last + 1
                    connection.execute(
                        db.sessions.insert().values(
                            number=number,
                            token_hash=token_hash,
                            recruiting_hash=recruiting_hash,
                            stage=SOUND,
                            consented_at=time.time(),
                        )
                    )
                    connection.execute(
                        db.trials.insert(),
                        [
                            {
                                "session": number,
                                "position": position,
                                "clip_a": trial.left,
                                "clip_b": trial.right,
                                "path_a": path_a,
                                "path_b": path_b,
                            }
                            for position, (trial, path_a, path_b) in enumerate(deal(number), 1)
                        ],
                    )
                return number
            except IntegrityError:
                continue  # another server took the number
        raise RuntimeError("no number for a new session")

    def session(self, token_hash: str) -> Session | None:
        """The session of a token, None where there is none."""
        with self._engine.connect() as connection:
            row = connection.execute(
                sa.select(db.sessions.c.number, db.sessions.c.stage, db.sessions.c.recruiting_hash).where(
                    db.sessions.c.token_hash == token_hash
                )
            ).first()
        return Session(*row) if row is not None else None

    def move(self, session: Session, stage: str, about: Mapping[str, str] | None = None) -> None:
        """Takes a session from its stage to another; nothing where it is elsewhere by now."""
        values: dict[str, object] = {"stage": stage}
        if about is not None:
            values["about"] = json.dumps(dict(about), ensure_ascii=False)
        with self._engine.begin() as connection:
            connection.execute(
                db.sessions.update()
                .where(db.sessions.c.number == session.number, db.sessions.c.stage == session.stage)
                .values(values)
            )

    def current(self, session: Session) -> Dealt | None:
        """The first trial without an answer; None where all have one."""
        with self._engine.connect() as connection:
            row = connection.execute(_unanswered(session.number).limit(1)).first()
        if row is None:
            return None
        return Dealt(row.position, Trial(row.clip_a, row.clip_b), row.path_a, row.path_b, row.shown_at)

    def shown(self, session: Session, position: int) -> None:
        """Notes when a trial was shown first."""
        with self._engine.begin() as connection:
            connection.execute(
                db.trials.update()
                .where(
                    db.trials.c.session == session.number,
                    db.trials.c.position == position,
                    db.trials.c.shown_at.is_(None),
                )
                .values(shown_at=time.time())
            )

    def answer(self, session: Session, answer: Answer) -> bool:
        """Stores an answer, on the disk when this returns; False where the trial has one, which is kept."""
        try:
            with self._engine.begin() as connection:
                connection.execute(
                    db.answers.insert().values(
                        session=session.number,
                        position=answer.position,
                        answers=json.dumps(dict(answer.answers)),
                        plays_a=answer.plays_a,
                        plays_b=answer.plays_b,
                        answered_at=time.time(),
                    )
                )
                if connection.execute(_unanswered(session.number).limit(1)).first() is None:
                    connection.execute(
                        db.sessions.update()
                        .where(db.sessions.c.number == session.number)
                        .values(stage=DONE, finished_at=time.time())
                    )
        except IntegrityError:
            return False
        return True

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Everything, for the analysis: the sessions, and the trials that were answered, with their answers."""
        with self._engine.connect() as connection:
            sessions = (
                connection.execute(sa.select(db.sessions).order_by(db.sessions.c.number)).mappings().all()
            )
            together = sa.and_(
                db.trials.c.session == db.answers.c.session, db.trials.c.position == db.answers.c.position
            )
            chosen = sa.select(
                db.trials.c.session,
                db.trials.c.position,
                db.trials.c.clip_a,
                db.trials.c.clip_b,
                db.trials.c.shown_at,
                db.answers.c.answers,
                db.answers.c.plays_a,
                db.answers.c.plays_b,
                db.answers.c.answered_at,
            )
            answered = connection.execute(
                chosen.join(db.answers, together).order_by(db.trials.c.session, db.trials.c.position)
            )
            return [dict(row) for row in sessions], [dict(row) for row in answered.mappings().all()]

    def replace(self, note: str, sessions: Rows, trials: Rows, answers: Rows) -> None:
        """Puts simulated listeners in the place of those that are there. `note` says how they were made."""
        with self._engine.begin() as connection:
            for table in (db.answers, db.trials, db.sessions):
                connection.execute(table.delete())
            connection.execute(db.meta.delete().where(db.meta.c.name == "note"))
            connection.execute(db.meta.insert().values(name="note", value=note))
            for table, rows in ((db.sessions, sessions), (db.trials, trials), (db.answers, answers)):
                connection.execute(table.insert(), [dict(row) for row in rows])

    def note(self) -> str:
        """How simulated listeners were made, "" for people."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(db.meta.c.value).where(db.meta.c.name == "note")) or ""


def _unanswered(number: int) -> sa.Select[Any]:
    """A session's trials without an answer, in order."""
    together = sa.and_(
        db.trials.c.session == db.answers.c.session, db.trials.c.position == db.answers.c.position
    )
    return (
        sa.select(db.trials)
        .outerjoin(db.answers, together)
        .where(db.trials.c.session == number, db.answers.c.session.is_(None))
        .order_by(db.trials.c.position)
    )


def open_store(address: str, digest: str, *, simulated: bool = False, create: bool = True) -> Store:
    """The store over a database that `database.open_database` opens; its arguments, its InputError."""
    return Store(db.open_database(address, digest, simulated=simulated, create=create))
