"""The database of a study: sessions, the trials each was dealt, the answers.

SQLite by default, in WAL mode and with every commit synced to the disk, so that an answer whose page has moved on
outlives a kill and a power cut. Any other SQLAlchemy address works too. One row a trial that was answered; its primary
key (session, position) is what makes a second submission count for nothing.

Nothing in it says which clip is whose: that stands in the study's key file. Times are seconds since 1970, UTC.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DatabaseError, IntegrityError, SQLAlchemyError

from rltuner.errors import InputError
from rltuner.study.schedule import Trial

VERSION = 1
SOUND, ABOUT, TRIALS, DONE = "sound", "about", "trials", "done"  # where a session is
Rows = Sequence[Mapping[str, Any]]
ATTEMPTS = 50  # at drawing a listener's number, where several servers share a database

_tables = sa.MetaData()
_meta = sa.Table(
    "meta",
    _tables,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
_sessions = sa.Table(
    "sessions",
    _tables,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("recruiting_hash", sa.String(64)),
    sa.Column("stage", sa.String(10), nullable=False),
    sa.Column("about", sa.Text),
    sa.Column("consented_at", sa.Double, nullable=False),
    sa.Column("finished_at", sa.Double),
)
_trials = sa.Table(
    "trials",
    _tables,
    sa.Column("session", sa.ForeignKey("sessions.number"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("clip_a", sa.String(80), nullable=False),
    sa.Column("clip_b", sa.String(80), nullable=False),
    sa.Column("path_a", sa.String(40), nullable=False),
    sa.Column("path_b", sa.String(40), nullable=False),
    sa.Column("shown_at", sa.Double),
)
_answers = sa.Table(
    "answers",
    _tables,
    sa.Column("session", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("answers", sa.Text, nullable=False),
    sa.Column("plays_a", sa.Integer, nullable=False),
    sa.Column("plays_b", sa.Integer, nullable=False),
    sa.Column("answered_at", sa.Double, nullable=False),
    sa.ForeignKeyConstraint(["session", "position"], ["trials.session", "trials.position"]),
)


@dataclass(frozen=True)
class Session:
    """A listener's session."""

    number: int
    stage: str
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
                    last = connection.scalar(sa.select(sa.func.max(_sessions.c.number)))
                    number = 0 if last is None else last + 1
                    connection.execute(
                        _sessions.insert().values(
                            number=number,
                            token_hash=token_hash,
                            recruiting_hash=recruiting_hash,
                            stage=SOUND,
                            consented_at=time.time(),
                        )
                    )
                    connection.execute(
                        _trials.insert(),
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
                sa.select(_sessions.c.number, _sessions.c.stage, _sessions.c.recruiting_hash).where(
                    _sessions.c.token_hash == token_hash
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
                _sessions.update()
                .where(_sessions.c.number == session.number, _sessions.c.stage == session.stage)
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
                _trials.update()
                .where(
                    _trials.c.session == session.number,
                    _trials.c.position == position,
                    _trials.c.shown_at.is_(None),
                )
                .values(shown_at=time.time())
            )

    def answer(self, session: Session, answer: Answer) -> bool:
        """Stores an answer, on the disk when this returns; False where the trial has one, which is kept."""
        try:
            with self._engine.begin() as connection:
                connection.execute(
                    _answers.insert().values(
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
                        _sessions.update()
                        .where(_sessions.c.number == session.number)
                        .values(stage=DONE, finished_at=time.time())
                    )
        except IntegrityError:
            return False
        return True

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Everything, for the analysis: the sessions, and the trials that were answered, with their answers."""
        with self._engine.connect() as connection:
            sessions = connection.execute(sa.select(_sessions).order_by(_sessions.c.number)).mappings().all()
            together = sa.and_(
                _trials.c.session == _answers.c.session, _trials.c.position == _answers.c.position
            )
            chosen = sa.select(
                _trials.c.session,
                _trials.c.position,
                _trials.c.clip_a,
                _trials.c.clip_b,
                _trials.c.shown_at,
                _answers.c.answers,
                _answers.c.plays_a,
                _answers.c.plays_b,
                _answers.c.answered_at,
            )
            answered = connection.execute(
                chosen.join(_answers, together).order_by(_trials.c.session, _trials.c.position)
            )
            return [dict(row) for row in sessions], [dict(row) for row in answered.mappings().all()]

    def replace(self, note: str, sessions: Rows, trials: Rows, answers: Rows) -> None:
        """Puts simulated listeners in the place of those that are there. `note` says how they were made."""
        with self._engine.begin() as connection:
            for table in (_answers, _trials, _sessions):
                connection.execute(table.delete())
            connection.execute(_meta.delete().where(_meta.c.name == "note"))
            connection.execute(_meta.insert().values(name="note", value=note))
            for table, rows in ((_sessions, sessions), (_trials, trials), (_answers, answers)):
                connection.execute(table.insert(), [dict(row) for row in rows])

    def note(self) -> str:
        """How simulated listeners were made, "" for people."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(_meta.c.value).where(_meta.c.name == "note")) or ""


def _unanswered(number: int) -> sa.Select[Any]:
    """A session's trials without an answer, in order."""
    together = sa.and_(_trials.c.session == _answers.c.session, _trials.c.position == _answers.c.position)
    return (
        sa.select(_trials)
        .outerjoin(_answers, together)
        .where(_trials.c.session == number, _answers.c.session.is_(None))
        .order_by(_trials.c.position)
    )


def sqlite_address(file: Path) -> str:
    """The SQLAlchemy address of a SQLite file."""
    return f"sqlite:///{file.resolve()}"


def open_store(address: str, digest: str, *, simulated: bool = False, create: bool = True) -> Store:
    """The database at a SQLAlchemy address, for one study and one kind of listeners.

    Args:
      address: such as sqlite:////tmp/answers.sqlite.
      digest: of the study that the answers belong to.
      simulated: whether its listeners are. One database never holds both.
      create: make what is missing; else it must be there.

    Raises InputError where it cannot be opened, is of another version, or belongs to another study or kind.
    """
    shown = _without_password(address)
    try:
        url = sa.make_url(address)
        if not create and url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            raise InputError(f"{shown}: no such database; nobody has answered yet")
        if url.get_backend_name() == "sqlite":
            # One connection that threads wait for in turn: SQLite's own waiting polls, and is not fair.
            engine = sa.create_engine(url, poolclass=sa.QueuePool, pool_size=1, max_overflow=0)
            _prepare_sqlite(engine)
        else:
            engine = sa.create_engine(url, pool_pre_ping=True)
        with engine.begin() as connection:
            _check_meta(connection, shown, digest, "simulated" if simulated else "real", create)
    except (SQLAlchemyError, ImportError) as error:
        reason = getattr(error, "orig", None) or error
        if isinstance(reason, ImportError):
            raise InputError(f"{shown}: its driver is not installed ({reason})") from None
        hint = "not a database of a study" if isinstance(error, DatabaseError) else "not a usable address"
        raise InputError(f"{shown}: {hint} ({' '.join(str(reason).split())[:120]})") from None
    return Store(engine)


def _check_meta(connection: Connection, shown: str, digest: str, kind: str, create: bool) -> None:
    """Finds the database to be this study's, or makes the tables in an empty one."""
    names = set(sa.inspect(connection).get_table_names())
    if not names:
        if not create:
            raise InputError(f"{shown}: empty; nobody has answered yet")
        _tables.create_all(connection)
        rows = {"version": str(VERSION), "study": digest, "listeners": kind}
        connection.execute(_meta.insert(), [{"name": name, "value": value} for name, value in rows.items()])
        return
    if "meta" not in names:
        raise InputError(
            f"{shown}: not a database of a study (it has the tables {', '.join(sorted(names)[:4])})"
        )
    found = {str(row.name): str(row.value) for row in connection.execute(sa.select(_meta))}
    if found.get("version") != str(VERSION):
        raise InputError(
            f"{shown}: written by another version (its format is {found.get('version')}, this one's {VERSION}); use "
            "that version, or give another --database"
        )
    if found.get("study") != digest:
        raise InputError(
            f"{shown}: its answers belong to another study, or to this one before it was changed; give another "
            "--database"
        )
    if found.get("listeners") != kind:
        raise InputError(
            f"{shown}: holds {found.get('listeners')} listeners, not {kind} ones; give another --database"
        )


def _prepare_sqlite(engine: Engine) -> None:
    """WAL, full syncs, and transactions that begin where SQLAlchemy says so, with the write lock."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 30000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Reads take the write lock too, for the milliseconds they last: a read that turned into a write could fail.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _without_password(address: str) -> str:
    try:
        return sa.make_url(address).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return address
