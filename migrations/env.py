"""Runs the migrations on the application's own engine: ``flask --app wsgi db upgrade``."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from flask import current_app

import bookingapp.factory  # noqa: F401 - imports every model, so that autogenerate sees the whole schema.
from bookingapp.builders.models import is_full_text
from bookingapp.core.db import Base, UTCDateTime, db


def _render(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """A migration stays what it was however our own types change, so it names the database's types only."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


def _is_in_models(_item: Any, name: str | None, *_: Any) -> bool:
    """Full text is each database's own affair: no model has it, and autogenerate leaves it alone."""
    return not is_full_text(name)


def run() -> None:
    """Migrate online. A transaction for each migration, so that a failure leaves whole steps behind."""
    arguments = current_app.extensions["migrate"].configure_args
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            render_item=_render,
            include_object=_is_in_models,
            **arguments,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
