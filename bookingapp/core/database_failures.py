"""Why the database could not be used, as a code for log lines and ``/readyz``."""

from __future__ import annotations

import enum
import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from bookingapp.core.logs import mask


class DatabaseFailure(enum.StrEnum):
    """What an operator has to look at."""

    DISK_FULL = "disk_full"
    NO_CONNECTION_FREE = "no_connection_free"  # In our pool, or in PostgreSQL's max_connections.
    SILENT = "silent"  # It did not answer in time.
    LOCKED = "locked"
    READ_ONLY = "read_only"
    UNREACHABLE = "unreachable"  # It refuses connections, has ended ours, or its file cannot be opened.
    OTHER = "other"  # It answers and refuses the statement: a table is missing, for example.


READ_ONLY_SQLSTATE: Final = "25006"
_BY_SQLSTATE: Final = {
    "53100": DatabaseFailure.DISK_FULL,
    "53300": DatabaseFailure.NO_CONNECTION_FREE,
    "57014": DatabaseFailure.SILENT,
    "55P03": DatabaseFailure.LOCKED,
    "40P01": DatabaseFailure.LOCKED,
    READ_ONLY_SQLSTATE: DatabaseFailure.READ_ONLY,
    "57P01": DatabaseFailure.UNREACHABLE,
    "57P02": DatabaseFailure.UNREACHABLE,
    "57P03": DatabaseFailure.UNREACHABLE,
}
_PRIMARY_CODE: Final = 0xFF  # SQLite's extended codes carry the primary one in their lowest byte.
_BY_SQLITE_CODE: Final = {
    sqlite3.SQLITE_FULL: DatabaseFailure.DISK_FULL,
    sqlite3.SQLITE_BUSY: DatabaseFailure.LOCKED,
    sqlite3.SQLITE_LOCKED: DatabaseFailure.LOCKED,
    sqlite3.SQLITE_READONLY: DatabaseFailure.READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: DatabaseFailure.UNREACHABLE,
    sqlite3.SQLITE_IOERR: DatabaseFailure.UNREACHABLE,
}


def find_cause(error: BaseException) -> DatabaseFailure:
    """The kind of a failure that SQLAlchemy raised."""
    if isinstance(error, NoConnection):
        return DatabaseFailure.NO_CONNECTION_FREE
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & _PRIMARY_CODE
        return _BY_SQLITE_CODE.get(code, DatabaseFailure.OTHER)
    failure = getattr(cause, "failure", None)
    if isinstance(failure, DatabaseFailure):
        return failure
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate is not None:
        return _BY_SQLSTATE.get(sqlstate, DatabaseFailure.OTHER)
    return DatabaseFailure.UNREACHABLE if isinstance(error, OperationalError) else DatabaseFailure.OTHER


def describe(error: BaseException) -> str:
    """The kind of a failure and the database's own words, in one line without secrets, for who runs a command."""
    return f"{find_cause(error)}: {quote(error)}"


def quote(error: BaseException) -> str:
    """The database's own words, in one line without secrets."""
    words = mask(str(getattr(error, "orig", None) or error)).splitlines()
    return words[0] if words else type(error).__name__
