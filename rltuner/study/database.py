"""The database of a study: its tables, and how it is opened.

SQLite by default, in WAL mode and with every commit synced to the disk, so that an answer whose page has moved on
outlives a kill and a power cut. Any other SQLAlchemy address works too. One row a trial that was answered; its primary
key (session, position) is what makes a second submission count for nothing.

Nothing in it says which clip is whose: that stands in the study's key file. Times are seconds since 1970, UTC.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from rltuner.errors import InputError

VERSION = 1

tables = sa.MetaData()
meta = sa.Table(
    "meta",
    tables,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
sessions = sa.Table(
    "sessions",
    tables,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("recruiting_hash", sa.String(64)),
    sa.Column("stage", sa.String(10), nullable=False),
    sa.Column("about", sa.Text),
    sa.Column("consented_at", sa.Double, nullable=False),
    sa.Column("finished_at", sa.Double),
)
trials = sa.Table(
    "trials",
    tables,
    sa.Column("session", sa.ForeignKey("sessions.number"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("clip_a", sa.String(80), nullable=False),
    sa.Column("clip_b", sa.String(80), nullable=False),
    sa.Column("path_a", sa.String(40), nullable=False),
    sa.Column("path_b", sa.String(40), nullable=False),
    sa.Column("shown_at", sa.Double),
)
answers = sa.Table(
    "answers",
    tables,
    sa.Column("session", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("answers", sa.Text, nullable=False),
    sa.Column("plays_a", sa.Integer, nullable=False),
    sa.Column("plays_b", sa.Integer, nullable=False),
    sa.Column("answered_at", sa.Double, nullable=False),
    sa.ForeignKeyConstraint(["session", "position"], ["trials.session", "trials.position"]),
)


def sqlite_address(file: Path) -> str:
    """The SQLAlchemy address of a SQLite file."""
    return f"sqlite:///{file.resolve()}"


def open_database(address: str, digest: str, *, simulated: bool = False, create: bool = True) -> Engine:
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
    return engine


def _check_meta(connection: Connection, shown: str, digest: str, kind: str, create: bool) -> None:
    """Makes the tables in an empty database; InputError where one with tables is not this study's."""
    names = set(sa.inspect(connection).get_table_names())
    if not names:
        if not create:
            raise InputError(f"{shown}: empty; nobody has answered yet")
        tables.create_all(connection)
        rows = {"version": str(VERSION), "study": digest, "listeners": kind}
        connection.execute(meta.insert(), [{"name": name, "value": value} for name, value in rows.items()])
        return
    if "meta" not in names:
        raise InputError(
            f"{shown}: not a database of a study (it has the tables {', '.join(sorted(names)[:4])})"
        )
    found = {str(row.name): str(row.value) for row in connection.execute(sa.select(meta))}
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
