"""How an idle worker hears at once that there is work, whichever process wrote it.

The tables are the truth and a worker looks at them by itself every few seconds; everything here is speed alone. On
PostgreSQL a transaction that leaves due work behind notifies a channel, and listeners hear of it with its commit. On
SQLite, whose processes share a machine, a look at the file's data version tells of any commit; it reads one number
from shared memory, which twenty times a second is a few thousandths of a core.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import psycopg
import structlog
from sqlalchemy.engine import Connection, Engine

log = structlog.get_logger(__name__)

CHANNEL = "bookingapp_work"
# How often SQLite's file is looked at: half of it is the usual wait of a delivery.
LOOK_SECONDS = 0.05
LISTEN_SECONDS = 1.0
TROUBLE_SECONDS = 2.0


class Bell:
    """Rings in one process. A ring between a look at the tables and the wait for the next one is not missed: the
    wait is for a ring *since* the number that was heard before the look.
    """

    def __init__(self) -> None:
        self._rings = 0
        self._changed = threading.Condition()

    def ring(self) -> None:
        """Wake everybody who waits."""
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def heard(self) -> int:
        """How often it has rung."""
        with self._changed:
            return self._rings

    def wait(self, since: int, seconds: float) -> None:
        """Until it has rung more often than ``since``, or for so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._rings != since, timeout=seconds)


def notify_workers(connection: Connection) -> None:
    """Tell listeners, with the commit of this transaction, that work is due. Costs nothing where nobody can listen."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


def listen_for_work(engine: Engine, bell: Bell, stopping: threading.Event) -> None:
    """Ring ``bell`` for work that other processes and threads commit, until ``stopping``. Survives a database that
    goes away and comes back; whatever was missed meanwhile is rung for.
    """
    listener = _LISTENERS.get(engine.dialect.name)
    while listener is not None and not stopping.is_set():
        try:
            listener(engine, bell, stopping)
        except Exception as error:
            # Whatever it is: nothing but speed depends on this thread.
            log.warning("wake_up_lost", error=type(error).__name__)
            stopping.wait(TROUBLE_SECONDS)


def _listen_to_sqlite(engine: Engine, bell: Bell, stopping: threading.Event) -> None:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        seen: object = None
        while not stopping.wait(LOOK_SECONDS):
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
    # A connection that listens is never given to anybody else.
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
