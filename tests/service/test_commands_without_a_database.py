"""Every command, where the database cannot be reached or only reads: one line and an exit status, no traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from bookingapp.core.db import db
from tests import fakes
from tests.factories import event_type_uri, user_uri
from tests.house.commands import all_commands

PASSWORD = "the-database-password"
NOWHERE = f"postgresql://user:{PASSWORD}@127.0.0.1:1/nothing"
# They start processes, write files of ours, or need no database.
OTHERS = {
    *(("serve",), ("worker",), ("sandbox",), ("dev",), ("shell",)),
    ("stripe", "subscribe"),
    *(("db", name) for name in ("init", "revision", "migrate", "edit", "merge", "show", "history", "heads")),
    *(("db", "branches"), ("db", "list-templates"), ("bookings", "states"), ("demo-code",)),
}
VALUES = {
    "email": "olu@example.com",
    "old": "olu@example.com",
    "new": "ola@example.com",
    "price": "60",
    "currency": "GBP",
    "calendly_user": user_uri("ADA0000000000001"),
    "event_type": event_type_uri("PAID"),
}
# Where the arguments are not what click demands of them.
GIVEN: dict[tuple[str, ...], list[str]] = {
    ("webhooks", "replay"): ["1"],
    ("outbox", "retry"): ["1"],
    ("db", "downgrade"): ["0031"],
}


def _walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from _walk(one, (*path, name))
    elif path not in OTHERS:
        yield path


def _arguments(path: tuple[str, ...]) -> list[str]:
    command: click.Command = all_commands()
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    found = list(GIVEN.get(path, []))
    for one in command.params:
        if one.required and path not in GIVEN:
            value = VALUES.get(str(one.name), "1" if one.type.name == "integer" else "ada")
            found += [one.opts[0], value] if isinstance(one, click.Option) else [value]
    return [*path, *found]


COMMANDS = list(_walk(all_commands()))


@pytest.fixture
def nowhere(
    app_with: Callable[..., Flask], calendly_wire: fakes.Calendly, stripe_wire: fakes.Stripe
) -> Flask:
    """The application, while both providers answer."""
    return app_with(database_url=NOWHERE)


def test_commands_are_found() -> None:
    assert {("db", "upgrade"), ("doctor",), ("bookings", "sweep"), ("demo",)} <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_it_fails_in_one_line(
    nowhere: Flask, path: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    done = nowhere.test_cli_runner().invoke(args=_arguments(path))
    assert isinstance(done.exception, SystemExit), done.exc_info
    assert done.exit_code == 1
    # Flask-Migrate logs why it ends.
    said = [*done.output.splitlines(), *(one.msg for one in caplog.records if one.name == "flask_migrate")]
    reasons = [line for line in said if "Connection refused" in line]
    assert len(reasons) == 1
    assert path == ("doctor",) or reasons[0].startswith("Error: the database cannot be used")
    assert PASSWORD not in done.output + caplog.text


def test_a_bug_of_a_migration_keeps_its_traceback(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database answers, and refuses the statement."""

    def fail() -> None:
        db.session().execute(sa.text("SELECT * FROM nothing"))

    monkeypatch.setattr("alembic.context.run_migrations", fail)
    done = app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert isinstance(done.exception, OperationalError)
