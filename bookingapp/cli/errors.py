"""How a command fails: one line on standard error and a non-zero exit status."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click
from flask import Flask, current_app
from sqlalchemy.exc import ProgrammingError

from bookingapp.core.database_failures import DatabaseFailure, describe, find_cause
from bookingapp.core.db import DATABASE_DOWN
from bookingapp.core.errors import ApplicationError
from bookingapp.core.i18n import gettext
from bookingapp.core.logs import mask
from bookingapp.integrations.calendly import CalendlyError
from bookingapp.integrations.stripe_gateway import StripeGatewayError
from bookingapp.operations.words import describe_failure

P = ParamSpec("P")
R = TypeVar("R")


def this_app() -> Flask:
    """The application itself, not this thread's proxy of it, to be passed to other threads."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Flask has no other way.
    return app


def report_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command: expected errors end it with one line; others keep their traceback, because they are bugs. On
    a terminal only warnings come between its lines.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if sys.stderr.isatty():
            for handler in logging.getLogger().handlers:
                handler.setLevel(logging.WARNING)
        try:
            return command(*args, **kwargs)
        except ApplicationError as error:
            raise click.ClickException(error.message) from error
        except (CalendlyError, StripeGatewayError) as error:
            who = "Calendly" if isinstance(error, CalendlyError) else "Stripe"
            raise click.ClickException(f"{who}: {describe_failure(error)} ({mask(str(error))})") from error
        except (*DATABASE_DOWN, ProgrammingError) as error:
            raise click.ClickException(_describe_database_failure(error)) from error

    return run


def _describe_database_failure(error: Exception) -> str:
    if find_cause(error) is DatabaseFailure.OTHER:
        return gettext(
            "the database cannot do this (%(reason)s); is the schema up to date (flask db upgrade)?",
            reason=describe(error),
        )
    return gettext(
        "the database cannot be used (%(reason)s); docs/operations.md says what to do", reason=describe(error)
    )
