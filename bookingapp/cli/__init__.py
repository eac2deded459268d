"""The ``flask --app wsgi`` commands. Each exits with 0, else with one clear line on standard error."""

from __future__ import annotations

from flask import Flask

from bookingapp.cli import (
    accounts,
    bookings,
    builders,
    calendly,
    connections,
    demo,
    doctor,
    inbox,
    outbox,
    servers,
    stripe,
)


def register(app: Flask) -> None:
    """Add the commands to the application."""
    for group in (
        accounts.accounts,
        builders.builders,
        builders.session_types,
        calendly.calendly,
        connections.connections,
        inbox.webhooks,
        outbox.outbox,
        stripe.stripe,
        bookings.bookings,
    ):
        app.cli.add_command(group)
    for command in (
        servers.serve,
        servers.worker,
        servers.sandbox,
        servers.dev,
        demo.demo,
        demo.demo_code,
        doctor.doctor,
    ):
        app.cli.add_command(command)
