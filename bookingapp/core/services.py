"""The application's collaborators (clients, signers, settings), found by class.

:mod:`bookingapp.wiring` registers them once; views and commands get them here and pass them to services.
"""

from __future__ import annotations

from typing import TypeVar, cast

from flask import Flask, current_app

T = TypeVar("T")

_KEY = "bookingapp-services"


def provide(app: Flask, *services: object) -> None:
    """Register each of ``services`` under its class, in the place of an earlier one of that class."""
    registry = app.extensions.setdefault(_KEY, {})
    for service in services:
        registry[type(service)] = service


def get(kind: type[T]) -> T:
    """The service of that class in the current application. Raises ``KeyError`` where there is none."""
    return cast("T", current_app.extensions[_KEY][kind])
