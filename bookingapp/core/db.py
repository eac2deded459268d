"""The database: the base of all models, the types of their columns, and how transactions begin and end.

SQLite runs in WAL with ``synchronous=FULL``, so that a commit that was answered with 2xx survives a power cut. Its
writing transactions begin with ``BEGIN IMMEDIATE``: a deferred one that reads first and then writes fails at once
when another writer came in between, whatever the busy time-out is.
"""

from __future__ import annotations

import enum
import sqlite3
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
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import (
    DisconnectionError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.types import TypeDecorator

from bookingapp.core.write_turn import serialize_writers

log = structlog.get_logger(__name__)

BUSY_TIMEOUT_MS = 5000
# How long a request waits, for an answer and for a free connection: providers wait for us (Calendly: 15 s).
REQUEST_SECONDS = 5.0

DATABASE_DOWN = (OperationalError, InterfaceError, DisconnectionError, NoConnection)
"""What is raised while the database does not answer or has no connection free: trying again later may work."""

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on both databases; a naive one is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To the database: in UTC. Raises ``ValueError`` for a naive datetime."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database: aware, in UTC. SQLite stores no zone, so it is added."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """The same in one step for SQLite's texts, of which a list has hundreds."""
        return _read_sqlite if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _read_sqlite(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")


def _enum_values(kind: type[enum.Enum]) -> list[str]:
    return [str(member.value) for member in kind]


def code_column(kind: type[enum.Enum]) -> sa.Enum:
    """An enum kept as text that the database does not check, so that a new code needs no migration."""
    return sa.Enum(kind, native_enum=False, create_constraint=False, length=32, values_callable=_enum_values)


# Twelve digits are allowed in some currencies; SQLite's integers are as long as they need to be.
MINOR_UNITS = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


_BYTES = "ucs_basic"  # PostgreSQL's order of code points, which is that of UTF-8's bytes.


def text_by_bytes(length: int) -> sa.String:
    """Text that sorts and compares by its bytes on both databases, whatever the server's locale."""
    return sa.String(length).with_variant(sa.String(length, collation=_BYTES), "postgresql")


class Base(DeclarativeBase):
    """The declarative base, with the column type of each annotation."""

    registry = registry(
        metadata=sa.MetaData(naming_convention=NAMING_CONVENTION),
        type_annotation_map={
            enum.Enum: sa.Enum(
                enum.Enum, native_enum=False, create_constraint=True, values_callable=_enum_values, length=32
            ),
            datetime: UTCDateTime(),
            dict[str, Any]: sa.JSON(),
            list[str]: sa.JSON(),
            list[dict[str, Any]]: sa.JSON(none_as_null=True),
        },
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

if TYPE_CHECKING:

    class Model(Base):
        """The base class of every table: the type checker's view of ``db.Model``."""

        __abstract__ = True
else:
    Model = db.Model

_sqlite_begin: ContextVar[str] = ContextVar("sqlite_begin", default="BEGIN IMMEDIATE")


class UnsavedChanges(RuntimeError):
    """A transaction was begun while the session still held changes that were not committed."""


class TransactionOpen(RuntimeError):
    """A provider was about to be called inside a database transaction."""


def init_app(app: Flask) -> None:
    """Bind the database to the application and set up its connections."""
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            _prepare_sqlite(db.engine)
        else:
            from bookingapp.core.postgresql import prepare  # noqa: PLC0415 - its driver takes 0.04 s and 9 MB.

            prepare(db.engine, _is_writing)
    # It runs before the extension's own, which would fail a finished page whose connection was lost.
    app.teardown_appcontext(lambda _error: close_session())

    @app.before_request
    def _reads_need_no_write_lock() -> None:
        _sqlite_begin.set("BEGIN" if request.method in ("GET", "HEAD", "OPTIONS") else "BEGIN IMMEDIATE")


class _HintingCompiler(SQLiteCompiler):
    """Writes the hints of ``with_hint``, like ``INDEXED BY``: SQLite has no statistics to choose an index by."""

    def get_from_hint_text(self, table: sa.FromClause, text: str | None) -> str | None:  # noqa: ARG002 - SQLAlchemy's.
        """The hint as it is written behind the table's name."""
        return text


def _is_writing() -> bool:
    """Whether the transaction that begins may write."""
    return _sqlite_begin.get() == "BEGIN IMMEDIATE"


def _lower(value: str | bytes | float | None) -> str | bytes | float | None:
    return value.lower() if isinstance(value, str) else value


def _prepare_sqlite(engine: Engine) -> None:
    engine.dialect.statement_compiler = _HintingCompiler

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # Switch off the driver's own transaction handling: the listener below chooses the BEGIN.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=wal",
            "synchronous=full",
            "foreign_keys=on",
        ):
            connection.execute(f"pragma {pragma}")
        # SQLite's own knows the letters of English alone.
        connection.create_function("lower", 1, _lower, deterministic=True)

    serialize_writers(engine, _is_writing, patience=BUSY_TIMEOUT_MS / 1000)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(_sqlite_begin.get())


def is_read_only(session: Session) -> bool:
    """Whether PostgreSQL refuses every write, for example because it follows another server. False on SQLite."""
    if session.get_bind().dialect.name != "postgresql":
        return False
    return bool(session.scalar(sa.text("SELECT current_setting('transaction_read_only') = 'on'")))


def close_session() -> None:
    """End the session of this context and return its connection to the pool. A lost connection is logged, not raised:
    what was committed on it stays committed.
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
    """One writing transaction: commits at the end of the block, rolls back when the block raises.

    It first ends what the session was reading, so that the block sees the present: rows loaded before stay readable,
    detached; rows to be changed are loaded inside. Raises :class:`UnsavedChanges` where changes would be lost.
    No provider may be called inside the block (:func:`assert_no_transaction`).
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
    """A read outside of GET requests that does not lock SQLite for writing, and ends its transaction.

    Raises :class:`UnsavedChanges` where changes would be lost.
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
    """A writing transaction that is always rolled back, to find out what one would do.

    It sees the database as of its beginning, with its own changes and nothing that others commit meanwhile. What it
    loaded stays readable, detached. Raises :class:`UnsavedChanges` where changes would be lost.
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
    """:func:`end_read` for the session of the current request."""
    end_read(db.session())


def end_read(session: Session) -> None:
    """End the session's reading transaction and return its connection to the pool, before something slow.

    Loaded rows stay readable, detached. Raises :class:`UnsavedChanges` where changes would be lost.
    """
    if session.new or session.dirty or session.deleted:
        raise UnsavedChanges
    session.expunge_all()
    session.rollback()


def assert_no_transaction() -> None:
    """Raise :class:`TransactionOpen` while a transaction is open. Every provider's client calls this first."""
    if db.session.registry.has() and db.session().in_transaction():
        raise TransactionOpen("end the database transaction before calling a provider")


def changed_rows(
    session: Session, statement: sa.Update | sa.Delete, values: Mapping[str, Any] | None = None
) -> int:
    """Execute an update or delete and return how many rows it matched, for a compare-and-set. ``values`` are its
    parameters, or columns to set.
    """
    return cast("CursorResult[Any]", session.execute(statement, values)).rowcount


def insert_if_new(
    session: Session, model: type[Base], values: Mapping[str, Any], unique: list[str]
) -> int | None:
    """Insert one row unless one with the same ``unique`` columns exists. Returns the new row's id, else None.

    Two sessions that insert the same key at once end with one row and no error, on both databases.
    """
    table = table_of(model)
    statement = insert_into(session, table).values(**values).on_conflict_do_nothing(index_elements=unique)
    return session.execute(statement.returning(table.c.id)).scalar_one_or_none()


def insert_or_update(
    session: Session, model: type[Base], values: Mapping[str, Any], unique: list[str]
) -> None:
    """Insert one row, or set its ``values`` where one with the same ``unique`` columns exists."""
    insert = insert_into(session, table_of(model)).values(**values)
    changes = {name: value for name, value in values.items() if name not in unique}
    session.execute(insert.on_conflict_do_update(index_elements=unique, set_=changes))


def insert_into(session: Session, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """The INSERT of the session's own kind of database, which knows what to do on a conflict."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def table_of(model: type[object]) -> sa.Table:
    """The table of a model: statements on it load no objects, and are cheaper to build and execute."""
    return cast("sa.Table", sa.inspect(model).local_table)
