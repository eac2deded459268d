"""Cookies that scripts cannot read and that no other site can plant or make a browser send with its forms."""

from __future__ import annotations

from datetime import timedelta

from flask import request
from werkzeug.wrappers import Response

from bookingapp.core import services
from bookingapp.core.settings import Settings


def read(name: str) -> str | None:
    """The cookie of this request."""
    return request.cookies.get(services.get(Settings).cookie_prefix + name)


def keep(response: Response, name: str, value: str, *, lasts: timedelta) -> None:
    """Let the browser keep it for that long."""
    settings = services.get(Settings)
    response.set_cookie(
        settings.cookie_prefix + name,
        value,
        max_age=lasts,
        secure=settings.public_is_https,
        httponly=True,
        samesite="Lax",
    )


def forget(response: Response, name: str) -> None:
    """Let the browser forget it."""
    settings = services.get(Settings)
    # A browser ignores the deletion of a prefixed cookie that does not say Secure.
    response.delete_cookie(settings.cookie_prefix + name, secure=settings.public_is_https)
