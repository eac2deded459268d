"""How long we wait for PostgreSQL. A server that is stopped, or whose machine hangs, keeps its connections and says
nothing; a table may be locked for hours. Without an end on our side, each would hold a thread for as long.
"""

from __future__ import annotations

import time
from typing import Any, Final, TypeVar

import psycopg
from flask import has_request_context
from psycopg.abc import PQGen
from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.pool import ConnectionPoolEntry

# A request, for an answer and for a free connection: providers wait for us (Calendly: 15 s).
REQUEST_SECONDS = 5.0
# Workers and commands, whose statements may be longer.
WORK_SECONDS = 30.0
# An idle connection is asked whether it lives; with the making of another one that is no longer than a request.
PING_SECONDS = 1.0
CONNECT_SECONDS: Final = 4
# The pause before another connection to a server that did not answer: many tries would keep all threads waiting.
PAUSE_SECONDS = 2.0
# Less than a request, so that the server gives up first: a statement of a client that has left goes on waiting.
LOCK_SECONDS = 4.0

RV = TypeVar("RV")


class ServerSilent(psycopg.OperationalError):
    """PostgreSQL did not answer in time. The connection is closed."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection whose waits end. ``patience`` is in seconds; None stands for those of this module."""

    patience: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for the server. Raises :class:`ServerSilent` where the caller gave no ``timeout`` of its own."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        patience = self.patience or (REQUEST_SECONDS if has_request_context() else WORK_SECONDS)
        try:
            return super().wait(gen, interval, patience)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001 - what wait() is documented to raise.
            self.close()
            raise ServerSilent(f"no answer within {patience:g} seconds") from None


class _Connecting:
    """Makes an engine's connections. While the server is silent, one thread tries; all others are refused at once."""

    def __init__(self) -> None:
        self._not_before = 0.0

    def connect(
        self, _dialect: Dialect, _entry: ConnectionPoolEntry, arguments: list[Any], parameters: dict[str, Any]
    ) -> PatientConnection:
        """A new connection. Raises :class:`ServerSilent` soon after the server did not answer another one."""
        now = time.monotonic()
        if now < self._not_before:
            raise ServerSilent("no answer a moment ago")
        if self._not_before:
            self._not_before = now + CONNECT_SECONDS + PAUSE_SECONDS
        try:
            made = PatientConnection.connect(*arguments, **parameters)
        except psycopg.errors.ConnectionTimeout:
            self._not_before = time.monotonic() + PAUSE_SECONDS
            raise
        except psycopg.Error:
            self._not_before = 0.0
            raise
        self._not_before = 0.0
        return made


def limit_waits(engine: Engine) -> None:
    """Give each wait for this PostgreSQL an end."""
    event.listen(engine, "do_connect", _Connecting().connect)

    @event.listens_for(engine, "connect")
    def _limit_locks(connection: PatientConnection, _entry: ConnectionPoolEntry) -> None:
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'".encode())
        connection.autocommit = False
