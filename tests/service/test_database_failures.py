"""The kind of a database's failure, by failures that really happened."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from bookingapp.core import postgresql
from bookingapp.core.database_failures import DatabaseFailure, find_cause


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A SQLite file with one table."""
    found = tmp_path / "one.sqlite3"
    with sqlite3.connect(found) as connection:
        connection.execute("CREATE TABLE words (word TEXT)")
    connection.close()
    return found


@pytest.fixture
def engine(path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(
        f"sqlite:///{path}", connect_args={"timeout": 0}, pool_size=1, max_overflow=0, pool_timeout=0
    )
    yield engine
    engine.dispose()


def _cause(connection: sa.Connection, *statements: str) -> DatabaseFailure:
    for statement in statements[:-1]:
        connection.exec_driver_sql(statement)
    with pytest.raises(SQLAlchemyError) as raised:
        connection.exec_driver_sql(statements[-1])
    return find_cause(raised.value)


WRITE = "INSERT INTO words VALUES (hex(zeroblob(100000)))"
KINDS = {
    DatabaseFailure.DISK_FULL: ("PRAGMA max_page_count = 3", WRITE),
    DatabaseFailure.READ_ONLY: ("PRAGMA query_only = 1", WRITE),
    DatabaseFailure.OTHER: ("SELECT * FROM nothing",),
}


@pytest.mark.parametrize("kind", KINDS)
def test_by_statement(engine: sa.Engine, kind: DatabaseFailure) -> None:
    with engine.connect() as connection:
        assert _cause(connection, *KINDS[kind]) is kind


def test_locked(engine: sa.Engine, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with engine.connect() as connection:
        assert _cause(connection, WRITE) is DatabaseFailure.LOCKED
    other.close()


def test_no_connection_free(engine: sa.Engine) -> None:
    with engine.connect(), pytest.raises(SQLAlchemyError) as raised:
        engine.connect()
    assert find_cause(raised.value) is DatabaseFailure.NO_CONNECTION_FREE


@pytest.mark.parametrize(
    ("setting", "statement", "kind"),
    [
        ("statement_timeout = '10ms'", "SELECT pg_sleep(60)", DatabaseFailure.SILENT),
        ("default_transaction_read_only = on", "CREATE TABLE words (word TEXT)", DatabaseFailure.READ_ONLY),
        (
            "statement_timeout = 0",
            "SELECT pg_terminate_backend(pg_backend_pid())",
            DatabaseFailure.UNREACHABLE,
        ),
    ],
)
def test_postgresql(postgresql_url: str, setting: str, statement: str, kind: DatabaseFailure) -> None:
    engine = sa.create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        assert _cause(connection, f"SET {setting}", statement) is kind
    engine.dispose()


def test_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts the connection and says nothing."""
    monkeypatch.setattr(postgresql, "CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"postgresql+psycopg://user@127.0.0.1:{server.getsockname()[1]}/nothing"
        engine = sa.create_engine(address)
        postgresql.prepare(engine, lambda: False)
        with pytest.raises(SQLAlchemyError) as raised:
            engine.connect()
        assert find_cause(raised.value) is DatabaseFailure.SILENT
