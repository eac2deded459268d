"""One writer at a time within a process, for SQLite.

SQLite allows one writer, and makes the others wait by asking again and again after longer and longer pauses: under
load some of them are never lucky, and the slowest hundredth of writes takes ten to two hundred times the usual.
The threads of one process can do better: they wait on a lock for exactly as long as a transaction that writes is
open. Between processes (the web server and the worker) SQLite's own waiting remains.
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
    """Let the transactions of ``engine`` that begin while ``is_writing`` have it one after another.

    Whoever has waited ``patience`` seconds goes on without a turn, and SQLite decides. The turn ends where the
    connection goes back to its pool: that is after the commit, whose wait for the disk belongs to it. Has to be
    called before the listener that begins the transaction is added.
    """
    turn = threading.Lock()

    @event.listens_for(engine, "begin")
    def _wait_for_turn(connection: Connection) -> None:
        if is_writing() and _HELD not in connection.info and turn.acquire(timeout=patience):
            connection.info[_HELD] = True

    def give_back(_connection: sqlite3.Connection, entry: ConnectionPoolEntry, *_: object) -> None:
        if entry.info.pop(_HELD, False):
            turn.release()

    event.listen(engine, "checkin", give_back)
    # One that is thrown away takes its notes with it.
    event.listen(engine, "invalidate", give_back)
