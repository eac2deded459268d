"""Wakes idle workers as soon as work is committed, whichever process committed it.

Only speed depends on it: a worker reads the tables by itself every few seconds. On PostgreSQL a transaction that makes
work due notifies a channel. On SQLite, whose processes share a machine, the file's data version changes with any
commit; reading it is one number from shared memory, which twenty times a second is a few thousandths of a core.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import structlog
from sqlalchemy.engine import Connection, Engine

if TYPE_CHECKING:
    import psycopg

log = structlog.get_logger(__name__)

CHANNEL = "bookingapp_work"
# How often SQLite's data version is read: half of it is the usual wait of a delivery.
POLL_SECONDS = 0.05
LISTEN_SECONDS = 1.0
TROUBLE_SECONDS = 2.0


class Bell:
    """Wakes the threads of one process. A ring between a thread's reading of the tables and its wait is not missed: the
    wait is for a ring *since* the number of rings that was read before the tables.
    """

    def __init__(self) -> None:
        self._rings = 0
        self._changed = threading.Condition()

    def ring(self) -> None:
        """Wake every waiting thread."""
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def rings(self) -> int:
        """How often it has rung."""
        with self._changed:
            return self._rings

    def wait(self, since: int, seconds: float) -> None:
        """Wait until it has rung more often than ``since``, or for so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._rings != since, timeout=seconds)


def notify_workers(connection: Connection) -> None:
    """Notify the listeners of due work, with the commit of this transaction. Does nothing on SQLite."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


def listen_for_work(engine: Engine, bell: Bell, stopping: threading.Event) -> None:
    """Ring ``bell`` for work that other processes and threads commit, until ``stopping``. When the database was away
    and is back, it rings once for whatever was missed.
    """
    listener = _LISTENERS.get(engine.dialect.name)
    while listener is not None and not stopping.is_set():
        try:
            listener(engine, bell, stopping)
        except Exception as error:
            # Any error: only speed depends on this thread.
            log.warning("wake_up_lost", error=type(error).__name__)
            stopping.wait(TROUBLE_SECONDS)


def _listen_to_sqlite(engine: Engine, bell: Bell, stopping: threading.Event) -> None:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        seen: object = None
        while not stopping.wait(POLL_SECONDS):
            # It changes when any other connection commits, of this process or of another.
            version = cursor.execute("PRAGMA data_version").fetchone()
            if version != seen:
                seen = version
                bell.ring()
    finally:
        connection.close()


def _listen_to_postgresql(engine: Engine, bell: Bell, stopping: threading.Event) -> None:
    pooled = engine.raw_connection()
    driver = cast("psycopg.Connection", pooled.driver_connection)
    # The pool must not lend a connection that listens.
    pooled.detach()
    with driver:
        driver.rollback()
        driver.autocommit = True
        driver.execute(f"LISTEN {CHANNEL}")
        bell.ring()
        while not stopping.is_set():
            for _ in driver.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                bell.ring()


_LISTENERS: dict[str, Callable[[Engine, Bell, threading.Event], None]] = {
    "sqlite": _listen_to_sqlite,
    "postgresql": _listen_to_postgresql,
}
