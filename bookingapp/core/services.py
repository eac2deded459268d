"""Where the edge (a view, a command) finds the collaborators that services take as arguments.

Services are put here once, by :mod:`bookingapp.wiring`, under their own class, and asked for by it.
"""

from __future__ import annotations

from typing import TypeVar, cast

from flask import Flask, current_app

T = TypeVar("T")

_KEY = "bookingapp-services"


def provide(app: Flask, *services: object) -> None:
    """Make each service available under its class; a later one of the same class replaces the earlier."""
    registry = app.extensions.setdefault(_KEY, {})
    for service in services:
        registry[type(service)] = service


def get(kind: type[T]) -> T:
    """The service of that class in the current application. Raises ``KeyError`` where there is none."""
    return cast("T", current_app.extensions[_KEY][kind])
