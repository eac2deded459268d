"""Prepares an engine for PostgreSQL. A server that is stopped, or whose machine hangs, keeps its connections and says
nothing; a table may be locked for hours. Without an end on our side, each wait would hold a thread for as long.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import psycopg
from flask import has_request_context
from psycopg.abc import PQGen
from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine, ExceptionContext
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from bookingapp.core.database_failures import READ_ONLY_SQLSTATE, DatabaseFailure
from bookingapp.core.db import REQUEST_SECONDS

# Workers and commands, whose statements may be longer than a request's.
WORK_SECONDS = 30.0
# An idle connection is asked whether it lives; with the making of another one that is no longer than a request.
PING_SECONDS = 1.0
CONNECT_SECONDS: Final = 4
# The pause before another connection to a server that did not answer: many tries would keep all threads waiting.
PAUSE_SECONDS = 2.0
# Less than a request, so that the server gives up first: a statement of a client that has left goes on waiting.
LOCK_SECONDS = 4.0
# A connection that was idle for longer may have been dropped by a firewall, which reports that to neither side.
IDLE_SECONDS = 1.0

RV = TypeVar("RV")


class ServerSilent(psycopg.OperationalError):
    """PostgreSQL did not answer in time. The connection is closed."""

    failure = DatabaseFailure.SILENT


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
        """A new connection. Raises :class:`ServerSilent`, also soon after the server did not answer another one."""
        now = time.monotonic()
        if now < self._not_before:
            raise ServerSilent("no answer a moment ago")
        if self._not_before:
            self._not_before = now + CONNECT_SECONDS + PAUSE_SECONDS
        try:
            made = PatientConnection.connect(*arguments, **{**parameters, "connect_timeout": CONNECT_SECONDS})
        except psycopg.errors.ConnectionTimeout as error:
            self._not_before = time.monotonic() + PAUSE_SECONDS
            raise ServerSilent(str(error)) from None
        except psycopg.Error:
            self._not_before = 0.0
            raise
        self._not_before = 0.0
        return made


def prepare(engine: Engine, is_writing: Callable[[], bool]) -> None:
    """Set up the connections of ``engine``; ``is_writing`` says whether the transaction that begins may write."""
    _limit_waits(engine)
    _ping_idle_connections(engine)
    _read_without_transactions(engine, is_writing)
    _treat_read_only_as_away(engine)


def _limit_waits(engine: Engine) -> None:
    """Give each wait for this server an end."""
    event.listen(engine, "do_connect", _Connecting().connect)

    @event.listens_for(engine, "connect")
    def _limit_locks(connection: PatientConnection, _entry: ConnectionPoolEntry) -> None:
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'".encode())
        connection.autocommit = False


def _has_unread(socket: int) -> bool:
    """Whether something waits to be read on a connection that expects nothing: its end, or why it ends."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def _ping_idle_connections(engine: Engine) -> None:
    """Look whether a connection has ended before it is used, and test one that was idle for long: its network may be
    gone without a word. Testing each one would cost every transaction a round trip to the server.
    """

    @event.listens_for(engine, "checkin")
    def _note_use(_connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, entry: ConnectionPoolEntry, _proxy: object) -> None:
        is_lost = connection.closed or _has_unread(connection.pgconn.socket)
        if not is_lost and time.monotonic() - entry.info.get("used_at", time.monotonic()) < IDLE_SECONDS:
            return
        connection.patience = PING_SECONDS
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            # The pool discards all connections of that age and makes a new one for this caller.
            raise InvalidatePoolError from None
        finally:
            connection.patience = None


def _read_without_transactions(engine: Engine, is_writing: Callable[[], bool]) -> None:
    """Let what only reads run outside of transactions. Each statement sees the present either way, but two round
    trips less are needed; and psycopg keeps its prepared statements, which it forgets at each ROLLBACK.
    """

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") is None:
            driver: Any = connection.connection.dbapi_connection
            only_reads = not is_writing()
            if driver.autocommit != only_reads:
                driver.autocommit = only_reads


def _treat_read_only_as_away(engine: Engine) -> None:
    """Raise ``OperationalError`` where a server refuses to write, as the old primary does after a failover: psycopg
    calls that an internal error. The pool's connections are dropped, so that the next ones find the new primary.
    """

    @event.listens_for(engine, "handle_error")
    def _on_error(context: ExceptionContext) -> OperationalError | None:
        refusal = context.original_exception
        if getattr(refusal, "sqlstate", None) != READ_ONLY_SQLSTATE:
            return None
        context.is_disconnect = True
        return OperationalError(context.statement, None, refusal, hide_parameters=True)
