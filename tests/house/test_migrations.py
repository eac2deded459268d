"""The migrations: up, down and up again on both databases, equal to the models, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask_migrate
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.builders.models import is_full_text
from bookingapp.core import postgresql
from bookingapp.core.db import Base, db
from tests.waiting import eventually


def is_in_models(_item: object, name: str | None, *_: object) -> bool:
    """Each database has its own full text, which no model has."""
    return not is_full_text(name)


def tables() -> set[str]:
    """The database's tables, without Alembic's own and those of full text."""
    found = sa.inspect(db.engine).get_table_names()
    return {name for name in found if name != "alembic_version" and is_in_models(None, name)}


def test_up_down_up(empty_app: Flask) -> None:
    """Each migration can be undone completely."""
    flask_migrate.upgrade()
    assert tables() == set(Base.metadata.tables)
    flask_migrate.downgrade(revision="base")
    assert tables() == set()
    flask_migrate.upgrade()
    assert tables() == set(Base.metadata.tables)


@pytest.mark.any_database
def test_a_second_upgrade_changes_nothing(session: Session) -> None:
    """`make run` does it each time."""
    flask_migrate.upgrade()
    assert tables() == set(Base.metadata.tables)


@pytest.mark.any_database
def test_migrations_make_what_the_models_say(session: Session) -> None:
    """Alembic finds no difference in tables, columns, types, indexes and unique constraints."""
    flask_migrate.check()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": is_in_models}
        )
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.any_database
def test_checks_and_foreign_keys_are_those_of_the_models(session: Session) -> None:
    """Which Alembic does not compare by itself."""
    inspector = sa.inspect(db.engine)
    for table in Base.metadata.sorted_tables:
        named = {str(c.name) for c in table.constraints if isinstance(c, sa.CheckConstraint)}
        assert {str(check["name"]) for check in inspector.get_check_constraints(table.name)} == named, (
            table.name
        )
        keys = {(tuple(key.column_keys), key.referred_table.name) for key in table.foreign_key_constraints}
        found: list[Any] = list(inspector.get_foreign_keys(table.name))
        assert {(tuple(key["constrained_columns"]), key["referred_table"]) for key in found} == keys, (
            table.name
        )
        assert {c.name for c in table.columns if not c.nullable} == {
            column["name"] for column in inspector.get_columns(table.name) if not column["nullable"]
        }, table.name


@pytest.mark.parametrize("unmigrated", ["postgresql"], indirect=True)
def test_no_migration_makes_everybody_wait(empty_app: Flask) -> None:
    """One that does not get its table gives up, so that nobody waits behind it, and is started again."""
    flask_migrate.upgrade(revision="0001")
    with db.engine.connect() as opened:
        # In a transaction, whatever an earlier test's page has left this thread with.
        reader = opened.execution_options(isolation_level="READ COMMITTED")
        reader.execute(sa.text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(SystemExit):
            flask_migrate.upgrade(revision="0002", x_arg=["lock_timeout=50ms"])
    flask_migrate.upgrade(revision="0002")
    with db.engine.connect() as connection:
        locks = (
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE locktype = 'advisory' AND datname = current_database()"
        )
        # A server ends what a closed connection held a moment later.
        eventually(lambda: connection.scalar(sa.text(locks)) == 0, "released locks")
        assert connection.scalar(sa.text("SHOW lock_timeout")) == f"{postgresql.LOCK_SECONDS:g}s"


def test_there_is_one_head(app: Flask) -> None:
    """Two would mean that two people have added a migration side by side."""
    directory = app.extensions["migrate"].directory
    script = ScriptDirectory(directory)
    assert len(script.get_heads()) == 1
    names = sorted(Path(directory, "versions").glob("*.py"))
    assert [path.name[:4] for path in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
