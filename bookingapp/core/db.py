"""The database: one typed base, UTC times, enums as checked text, and how a transaction begins and ends.

SQLite runs in WAL with ``synchronous=FULL`` (a commit that was answered with 2xx survives a power cut) and
begins its writing transactions with ``BEGIN IMMEDIATE``: a deferred one that reads first and then writes
fails at once when another writer came in between, whatever the busy time-out says.
"""

from __future__ import annotations

import enum
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
import structlog
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import CursorResult, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import (
    DisconnectionError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator

from bookingapp.core.write_turn import serialize_writers

log = structlog.get_logger(__name__)

BUSY_TIMEOUT_MS = 5000
# A connection that nobody used for so long may have died with a server that was started again.
IDLE_SECONDS = 1.0

DATABASE_DOWN = (OperationalError, InterfaceError, DisconnectionError, NoConnection)
"""How it shows that the database does not answer, or has no room: trying again later may work."""

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on both databases; a naive one is refused rather than guessed at."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To the database: in UTC. Raises ``ValueError`` for a naive datetime."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the database")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database: aware, in UTC; SQLite keeps no zone, so it is put back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _values(kind: type[enum.Enum]) -> list[str]:
    return [str(member.value) for member in kind]


def code_column(kind: type[enum.Enum]) -> sa.Enum:
    """An enum kept as text that the database does not check, so that a new code needs no migration."""
    return sa.Enum(kind, native_enum=False, create_constraint=False, length=32, values_callable=_values)


class Base(DeclarativeBase):
    """The declarative base; the type map sits on the registry, where Flask-SQLAlchemy accepts it."""

    registry = registry(
        metadata=sa.MetaData(naming_convention=NAMING_CONVENTION),
        type_annotation_map={
            enum.Enum: sa.Enum(
                enum.Enum, native_enum=False, create_constraint=True, values_callable=_values, length=32
            ),
            datetime: UTCDateTime(),
            dict[str, Any]: sa.JSON(),
            list[str]: sa.JSON(),
        },
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

if TYPE_CHECKING:

    class Model(Base):
        """What every table of ours derives from (the type checker's view of ``db.Model``)."""

        __abstract__ = True
else:
    Model = db.Model

_sqlite_begin: ContextVar[str] = ContextVar("sqlite_begin", default="BEGIN IMMEDIATE")


class UnsavedChanges(RuntimeError):
    """A transaction was opened while the session still held changes that nobody committed."""


class TransactionOpen(RuntimeError):
    """A provider was about to be called while a database transaction was open."""


def init_app(app: Flask) -> None:
    """Bind the database and set up SQLite connections as described at the top of this module."""
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            _prepare_sqlite(db.engine)
        else:
            _look_after_idle_connections(db.engine)
    # Before the extension's own, which would let a page that is made fall with the connection that made it.
    app.teardown_appcontext(lambda _error: close_session())

    @app.before_request
    def _reads_do_not_queue_for_the_write_lock() -> None:
        _sqlite_begin.set("BEGIN" if request.method in ("GET", "HEAD", "OPTIONS") else "BEGIN IMMEDIATE")


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own transaction handling is switched off, so that BEGIN is ours to choose.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=wal",
            "synchronous=full",
            "foreign_keys=on",
        ):
            connection.execute(f"pragma {pragma}")

    serialize_writers(
        engine, lambda: _sqlite_begin.get() == "BEGIN IMMEDIATE", patience=BUSY_TIMEOUT_MS / 1000
    )

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(_sqlite_begin.get())


def _look_after_idle_connections(engine: Engine) -> None:
    """Ask a connection that was idle whether it is still there, before somebody's page depends on it. One that
    was in use a moment ago is not asked: that would cost every transaction a way to the server and back.
    """

    @event.listens_for(engine, "checkin")
    def _note(_connection: object, entry: ConnectionPoolEntry) -> None:
        entry.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ask(connection: Any, entry: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - entry.info.get("used_at", time.monotonic()) < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            # All of the same age are gone; the pool makes a new one for this caller.
            raise InvalidatePoolError from None


def close_session() -> None:
    """End the session of this context and give its connection back. Never raises: a connection that is lost takes
    nothing back, and what was done with it is done.
    """
    try:
        db.session.remove()
    except SQLAlchemyError as error:
        log.warning("database_connection_lost", error=type(error).__name__)
        with suppress(SQLAlchemyError):
            db.session().invalidate()
        db.session.registry.clear()


@contextmanager
def transaction(session: Session) -> Iterator[Session]:
    """One writing transaction: commits at the end of the block, rolls back when it raises.

    Ends whatever reading the session was doing, so that everything inside is seen fresh: rows loaded before
    stay readable, detached, and what is to be changed is loaded inside. Raises :class:`UnsavedChanges` where
    changes would be thrown away. Remote calls belong outside the block.
    """
    end_read(session)
    begin = _sqlite_begin.set("BEGIN IMMEDIATE")
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        _sqlite_begin.reset(begin)


@contextmanager
def reading(session: Session) -> Iterator[Session]:
    """A look that never takes SQLite's write lock, and leaves no transaction behind.

    For what is not a GET request, where SQLite would begin with ``BEGIN IMMEDIATE``. Raises
    :class:`UnsavedChanges` where changes would be thrown away.
    """
    end_read(session)
    begin = _sqlite_begin.set("BEGIN")
    try:
        yield session
    finally:
        _sqlite_begin.reset(begin)
        session.expunge_all()
        session.rollback()


@contextmanager
def rolled_back(session: Session) -> Iterator[Session]:
    """A writing transaction of which nothing is kept: for finding out what one would do.

    It sees the database as it is at its beginning and what it does itself, and nothing that others commit meanwhile.
    What was loaded stays readable, detached. Raises :class:`UnsavedChanges` where changes would be thrown away.
    """
    end_read(session)
    begin = _sqlite_begin.set("BEGIN IMMEDIATE")
    try:
        if session.get_bind().dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session
    finally:
        _sqlite_begin.reset(begin)
        session.expunge_all()
        session.rollback()


def end_request_read() -> None:
    """:func:`release` for the session of the current request."""
    end_read(db.session())


def end_read(session: Session) -> None:
    """End whatever ``session`` was reading, and give its connection back, before something slow.

    Rows that were loaded stay readable, detached, and cost no further query. Raises :class:`UnsavedChanges`
    where changes would be thrown away.
    """
    if session.new or session.dirty or session.deleted:
        raise UnsavedChanges
    session.expunge_all()
    session.rollback()


def assert_no_transaction() -> None:
    """Raise :class:`TransactionOpen` while a transaction is open: nothing remote may happen inside one."""
    if db.session.registry.has() and db.session().in_transaction():
        raise TransactionOpen("end the database transaction before calling a provider")


def changed_rows(
    session: Session, statement: sa.Update | sa.Delete, values: Mapping[str, Any] | None = None
) -> int:
    """Execute a write and say how many rows it found: the ground of every compare-and-set. ``values`` are those of
    its parameters, and columns that it is to set.
    """
    return cast("CursorResult[Any]", session.execute(statement, values)).rowcount


def insert_if_new(
    session: Session, model: type[Base], values: Mapping[str, Any], unique: list[str]
) -> int | None:
    """Insert one row unless its ``unique`` columns are taken. Returns the new row's id, else None.

    Two sessions that insert the same key at once end with one row and no error, on both databases.
    """
    dialect = session.get_bind().dialect.name
    table = cast("sa.Table", sa.inspect(model).local_table)
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(table).values(**values).on_conflict_do_nothing(index_elements=unique)
    return session.execute(statement.returning(table.c.id)).scalar_one_or_none()
