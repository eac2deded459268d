"""SQLite's writers take turns within a process, and every end of a transaction ends the turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from bookingapp.core.db import db
from bookingapp.core.write_turn import serialize_writers
from bookingapp.factory import create_app
from tests.conftest import close, make_settings

LONG = 60
# SQLite's number for synchronous=full.
FULL = 2


def with_turns(tmp_path: Path, patience: float) -> Engine:
    """A database whose writers wait ``patience`` seconds for their turn; SQLite itself refuses a second one at once."""
    made = sa.create_engine(f"sqlite:///{tmp_path / 'turns.sqlite3'}")

    @sa.event.listens_for(made, "connect")
    def _on_connect(connection: object, _record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        connection.execute("pragma journal_mode=wal")  # type: ignore[attr-defined]
        connection.execute("pragma busy_timeout=0")  # type: ignore[attr-defined]

    serialize_writers(made, lambda: True, patience=patience)

    @sa.event.listens_for(made, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return made


def write(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")


def test_many_writers_are_never_in_each_others_way(tmp_path: Path) -> None:
    """Without turns SQLite would refuse nearly all of them: its own time-out is zero here."""
    engine = with_turns(tmp_path, patience=LONG)
    write(engine)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write(engine), range(100)))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 101
    engine.dispose()


def fail(connection: Connection) -> None:
    with pytest.raises(sa.exc.OperationalError):
        connection.exec_driver_sql("no such statement")


@pytest.mark.parametrize(
    "end", [Connection.rollback, fail, Connection.invalidate, Connection.commit, Connection.close]
)
def test_every_end_gives_the_turn_back(tmp_path: Path, end: Callable[[Connection], None]) -> None:
    engine = with_turns(tmp_path, patience=LONG)
    connection = engine.connect()
    connection.exec_driver_sql("SELECT 1")
    end(connection)
    connection.close()
    other = threading.Thread(target=write, args=(engine,))
    other.start()
    other.join(timeout=LONG / 2)
    assert not other.is_alive()
    write(engine)
    engine.dispose()


def test_after_its_patience_a_writer_goes_on_without_the_turn(tmp_path: Path) -> None:
    """A turn that never ends makes one writer after another fail, and blocks none for ever."""
    engine = with_turns(tmp_path, patience=0.2)
    with engine.connect() as held:
        held.exec_driver_sql("SELECT 1")
        with ThreadPoolExecutor(1) as pool, pytest.raises(sa.exc.OperationalError, match="locked"):
            pool.submit(write, engine).result(timeout=LONG)
    write(engine)
    engine.dispose()


def test_a_commit_is_on_the_disk(tmp_path: Path) -> None:
    """The application's own connections: those of other tests do not wait for it."""
    app = create_app(make_settings(tmp_path))
    with app.app_context(), db.engine.connect() as connection:
        assert connection.exec_driver_sql("pragma synchronous").scalar() == FULL
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
    close(app)
