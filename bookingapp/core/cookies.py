"""Cookies that scripts cannot read and that no other site can plant or make a browser send with its forms."""

from __future__ import annotations

from datetime import timedelta

from flask import current_app, request
from werkzeug.wrappers import Response


def read(name: str) -> str | None:
    """The cookie of this request."""
    return request.cookies.get(_prefixed(name))


def keep(response: Response, name: str, value: str, *, lasts: timedelta) -> None:
    """Let the browser keep it for that long."""
    secure = current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(_prefixed(name), value, max_age=lasts, secure=secure, httponly=True, samesite="Lax")


def forget(response: Response, name: str) -> None:
    """Let the browser forget it."""
    # A browser ignores the deletion of a prefixed cookie that does not say Secure.
    response.delete_cookie(_prefixed(name), secure=current_app.config["SESSION_COOKIE_SECURE"])


def _prefixed(name: str) -> str:
    return f"{current_app.config.get('COOKIE_PREFIX', '')}{name}"
