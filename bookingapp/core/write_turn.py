"""Lets the threads of one process write to SQLite one after another.

SQLite allows one writer; the others poll with growing pauses, so that under load the slowest hundredth of writes
takes ten to two hundred times the usual. Threads that wait on a lock go on at once. Between processes (the web
server and the worker) SQLite's own polling remains.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import ConnectionPoolEntry

_HELD = "holds-the-write-turn"


def serialize_writers(engine: Engine, is_writing: Callable[[], bool], *, patience: float) -> None:
    """Make the transactions of ``engine`` that begin while ``is_writing`` wait for each other.

    After ``patience`` seconds a transaction goes on without the turn, and SQLite decides. The turn ends when the
    connection returns to its pool, which is after the commit and its wait for the disk. Call this before adding the
    listener that begins the transaction.
    """
    turn = threading.Lock()

    @event.listens_for(engine, "begin")
    def _wait_for_turn(connection: Connection) -> None:
        if is_writing() and _HELD not in connection.info and turn.acquire(timeout=patience):
            connection.info[_HELD] = True

    def end_turn(_connection: sqlite3.Connection, entry: ConnectionPoolEntry, *_: object) -> None:
        if entry.info.pop(_HELD, False):
            turn.release()

    event.listen(engine, "checkin", end_turn)
    # An invalidated connection loses its info before it is checked in.
    event.listen(engine, "invalidate", end_turn)
