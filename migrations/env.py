"""Runs the migrations on the application's own engine: ``flask --app wsgi db upgrade``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError
from flask import current_app
from psycopg.errors import LockNotAvailable

import bookingapp.factory  # noqa: F401 - imports every model, so that autogenerate sees the whole schema.
from bookingapp.builders.models import is_full_text
from bookingapp.core.database_failures import DatabaseFailure, describe, find_cause
from bookingapp.core.db import DATABASE_DOWN, Base, UTCDateTime, db
from bookingapp.core.postgresql import PatientConnection

# Any number that no other program uses in this database.
TURN = 8_141_002
# `flask db upgrade -x lock_timeout=30s` waits longer.
LOCK_TIMEOUT = "5s"
BUSY = "lock timeout: somebody uses a table that has to change. That migration changed nothing; please start it again."


def _render(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """A migration stays what it was however our own types change, so it names the database's types only."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


def _is_in_models(_item: Any, name: str | None, *_: Any) -> bool:
    """Full text is each database's own affair: no model has it, and autogenerate leaves it alone."""
    return not is_full_text(name)


def _take_turn(connection: sa.Connection) -> None:
    """One migration at a time, whoever starts them; and none keeps everybody waiting behind it for a table."""
    if connection.dialect.name == "postgresql":
        # A turn may take long to come, and a statement of a migration long to end.
        cast("PatientConnection", connection.connection.driver_connection).patience = math.inf
        connection.execute(sa.text("SET lock_timeout = 0"))
        connection.execute(sa.select(sa.func.pg_advisory_lock(TURN)))
        patience = context.get_x_argument(as_dictionary=True).get("lock_timeout", LOCK_TIMEOUT)
        connection.execute(sa.select(sa.func.set_config("lock_timeout", patience, False)))  # noqa: FBT003
        connection.commit()


@contextmanager
def _plain_words() -> Iterator[None]:
    """Whoever starts a migration gets one line where the database is away, and a traceback for a migration's bug."""
    try:
        yield
    except DATABASE_DOWN as error:
        if isinstance(getattr(error, "orig", None), LockNotAvailable):
            raise CommandError(BUSY) from None
        if find_cause(error) is DatabaseFailure.OTHER:
            raise
        raise CommandError(f"the database cannot be used ({describe(error)})") from None


def run() -> None:
    """Migrate online. A transaction for each migration, so that a failure leaves whole steps behind."""
    arguments = current_app.extensions["migrate"].configure_args
    with _plain_words(), db.engine.connect() as connection:
        _take_turn(connection)
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            render_item=_render,
            include_object=_is_in_models,
            **arguments,
        )
        try:
            with context.begin_transaction():
                context.run_migrations()
        finally:
            # What `_take_turn` has set ends with the connection, which is not for anybody else.
            connection.invalidate()


run()
