"""The ``flask --app wsgi`` commands. Each exits with 0, else with one clear line on standard error."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Final

from flask.cli import AppGroup

from bookingapp.core import migrations

if TYPE_CHECKING:
    import click
    from flask import Flask

_COMMANDS: Final = {
    "accounts": "bookingapp.cli.accounts:accounts",
    "bookings": "bookingapp.cli.bookings:bookings",
    "builders": "bookingapp.cli.builders:builders",
    "calendly": "bookingapp.cli.calendly:calendly",
    "connections": "bookingapp.cli.connections:connections",
    "db": "flask_migrate.cli:db",
    "demo": "bookingapp.cli.demo:demo",
    "demo-code": "bookingapp.cli.demo:demo_code",
    "dev": "bookingapp.cli.servers:dev",
    "doctor": "bookingapp.cli.doctor:doctor",
    "outbox": "bookingapp.cli.outbox:outbox",
    "sandbox": "bookingapp.cli.servers:sandbox",
    "serve": "bookingapp.cli.servers:serve",
    "session-types": "bookingapp.cli.builders:session_types",
    "stripe": "bookingapp.cli.stripe:stripe",
    "webhooks": "bookingapp.cli.inbox:webhooks",
    "worker": "bookingapp.cli.servers:worker",
}


class _Commands(AppGroup):
    """Loads a command when it is called or listed. No page needs one of them, nor Alembic, which ``db`` loads."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self._app = app

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, also of what others have added."""
        return sorted({*_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name."""
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        if cmd_name == "db":
            migrations.init_app(self._app)
        command: click.Command = resolve_name(_COMMANDS[cmd_name])
        return command


def register(app: Flask) -> None:
    """Add the commands to the application."""
    app.cli = _Commands(app)
