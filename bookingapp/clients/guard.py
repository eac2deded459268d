"""The sign-in of the browser that sent this request."""

from __future__ import annotations

from flask import g, session

from bookingapp.clients import service
from bookingapp.clients.models import SignIn
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db

COOKIE_KEY = "client"


def current_sign_in() -> SignIn | None:
    """This browser's valid sign-in, queried at most once a request."""
    if "client_sign_in" not in g:
        g.client_sign_in = service.find_sign_in(db.session(), session.get(COOKIE_KEY), now=utcnow())
    sign_in: SignIn | None = g.client_sign_in
    return sign_in


def verified_address() -> str | None:
    """The e-mail address that is verified in this browser."""
    sign_in = current_sign_in()
    return sign_in.email if sign_in else None
