"""The account that is logged in, and the guard of private pages."""

from __future__ import annotations

from flask import Response, g, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts import service
from bookingapp.accounts.models import Account, LogIn
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.htmx import is_htmx, see_other

COOKIE_KEY = "log_in"


def current_account() -> Account | None:
    """The account that is logged in in this browser, queried at most once a request."""
    log_in = _current_log_in()
    return log_in.account if log_in else None


def _current_log_in() -> LogIn | None:
    if "log_in" not in g:
        g.log_in = service.find_log_in(db.session(), session.get(COOKIE_KEY), now=utcnow())
    log_in: LogIn | None = g.log_in
    return log_in


def refresh_log_in() -> None:
    """Record that the log-in is in use, every few minutes: it ends after two idle hours."""
    now, log_in = utcnow(), _current_log_in()
    if log_in is not None and now - log_in.last_seen_at > service.SEEN_EVERY:
        with transaction(db.session()) as database:
            service.record_seen(database, log_in.id, now=now)


def require_account() -> Response | BaseResponse | None:
    """For ``before_request``: send a browser that is not logged in to the log-in page; htmx by its own header."""
    refresh_log_in()
    if current_account() is not None:
        return None
    if is_htmx():
        return Response(status=401, headers={"HX-Redirect": url_for("accounts.login")})
    return see_other(url_for("accounts.login", next=request.full_path if request.method == "GET" else None))


def require_operator() -> Response | BaseResponse | None:
    """For ``before_request``: like :func:`require_account`, and only for operators. Raises :class:`NotFound` for every
    other account.
    """
    response = require_account()
    account = current_account()
    if account is not None and not account.is_operator:
        raise NotFound
    return response
