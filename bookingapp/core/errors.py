"""The errors that people see: exceptions with a sentence for them, and the pages that show errors.

ApplicationError
├── ForeignOrigin  400  a page of another site sent the form
├── NotFound       404  it does not exist, or is not yours: the answers are alike
├── Invalid        422  what was entered cannot be used
├── Conflict       409  it is not possible in the present state
├── Gone           410  it was here, and is erased
├── TooOften       429  it is possible again later
└── Unavailable    503  a provider or the database did not answer; trying again may work
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from flask import Flask, Response, current_app, g, jsonify, make_response, render_template, request
from flask_limiter import RateLimitExceeded
from markupsafe import escape
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import BadRequest, HTTPException

from bookingapp.core import clock
from bookingapp.core.database_failures import find_cause
from bookingapp.core.db import DATABASE_DOWN
from bookingapp.core.htmx import is_htmx, vary_on_htmx
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.core.languages import hide_query
from bookingapp.core.security import forbid_caching

log = structlog.get_logger(__name__)

_TITLES = {
    400: lazy_gettext("We could not read that request"),
    401: lazy_gettext("Please log in"),
    403: lazy_gettext("Not allowed"),
    404: lazy_gettext("Not found"),
    405: lazy_gettext("Not possible here"),
    408: lazy_gettext("That took too long"),
    409: lazy_gettext("That is not possible now"),
    410: lazy_gettext("This was erased"),
    413: lazy_gettext("Too large"),
    414: lazy_gettext("Too long"),
    422: lazy_gettext("That cannot be used"),
    429: lazy_gettext("Too many requests"),
    500: lazy_gettext("Something went wrong"),
    503: lazy_gettext("Please try again in a moment"),
}
_MESSAGES = {
    400: lazy_gettext("Please go back, load the page again and try once more."),
    401: lazy_gettext("This page is for builders who are logged in."),
    403: lazy_gettext("You are not allowed to do this."),
    404: lazy_gettext("There is nothing at this address. The link may be incomplete."),
    405: lazy_gettext("This address cannot be used in that way."),
    408: lazy_gettext("What you sent did not arrive in time. Please try again."),
    413: lazy_gettext("What you sent is too large."),
    414: lazy_gettext("This address is too long. The link may be damaged."),
    429: lazy_gettext("You sent many requests in a short time. Please try again later."),
    500: lazy_gettext(
        "The fault is ours, and we have recorded it. Nothing you did is lost. Please try again."
    ),
    503: lazy_gettext("A part of this site is not answering right now. Nothing is lost."),
}


class ApplicationError(Exception):
    """An error for the person who made the request. ``message`` is a whole sentence; ``retry_after`` is in seconds."""

    status = 500
    title = ""

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class ForeignOrigin(ApplicationError):
    """Not our own page sent the form. ``ours`` is the origin that we accept forms from."""

    status = 400

    def __init__(self, ours: str) -> None:
        super().__init__(
            gettext(
                "For your security, we accept forms from %(site)s alone. Please open that page and try again there.",
                site=ours,
            )
        )
        self.title = gettext("This form came from another site")


class NotFound(ApplicationError):
    """It does not exist, or belongs to someone else."""

    status = 404

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or str(_MESSAGES[404]))


class Invalid(ApplicationError):
    """What was sent cannot be used."""

    status = 422


class Conflict(ApplicationError):
    """The request is understood, but not possible in the present state."""

    status = 409


@contextmanager
def refusing_twins(message: str) -> Iterator[None]:
    """A block whose end writes a value that has to be unique. Raises :class:`Conflict` with the message where another
    transaction wrote the same one after the block had looked for it.
    """
    try:
        yield
    except IntegrityError as error:
        raise Conflict(message) from error


class Gone(ApplicationError):
    """It was here, and its data was erased."""

    status = 410


class TooOften(ApplicationError):
    """This visitor has done it so often that others would pay for it."""

    status = 429


class Unavailable(ApplicationError):
    """A service that this needs did not answer."""

    status = 503


def _render_error(
    status: int, *, title: str = "", message: str = "", retry_after: int | None = None
) -> Response:
    """JSON for a provider, a fragment for htmx, else a page. Title and message are those of the status by default."""
    title, message = title or str(_TITLES[status]), message or str(_MESSAGES[status])
    if request.path.startswith("/webhooks/"):
        response = make_response(jsonify(error=title, message=message), status)
    elif is_htmx():
        # htmx keeps the page and puts the message where the page shows errors.
        response = vary_on_htmx(make_response(f"<p>{escape(message)}</p>", status))
        response.headers["HX-Retarget"] = "#page-alert"
        response.headers["HX-Reswap"] = "innerHTML"
    else:
        hide_query()
        body = render_template(
            "core/error.html", code=status, title=title, message=message, request_id=g.get("request_id")
        )
        response = make_response(body, status)
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return forbid_caching(response)


def init_app(app: Flask) -> None:
    """Register the error handlers. Their pages need no user and no query, since those may be what failed."""
    app.register_error_handler(ApplicationError, _application_error)
    app.register_error_handler(HTTPException, _http_error)
    for kind in DATABASE_DOWN:
        app.register_error_handler(kind, _database_error)
    app.register_error_handler(Exception, _handle_unexpected)


def _application_error(error: ApplicationError) -> Response:
    return _render_error(
        error.status, title=error.title, message=error.message, retry_after=error.retry_after
    )


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:
        return make_response(error.response)
    status = error.code or 500
    title, message, wait = "", "", None
    if isinstance(error, BadRequest) and error.description and "CSRF" in error.description:
        title = gettext("This page was open for too long")
        message = gettext(
            "For your security, the form has expired. Go back, load the page again and send it once more."
        )
    elif isinstance(error, RateLimitExceeded):
        wait = _seconds_limited()
        message = gettext(
            "You sent many requests in a short time. Please try again in %(wait)s.", wait=clock.wait(wait)
        )
    elif status not in _MESSAGES:
        title, message = error.name, error.description or error.name
    response = _render_error(status, title=title, message=message, retry_after=wait)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _seconds_limited() -> int:
    """Until when the rate limiter refuses; its headers are set after this page is made."""
    for limiter in current_app.extensions["limiter"]:
        if limiter.current_limit is not None:
            return int(limiter.current_limit.reset_at - clock.utcnow().timestamp())
    return clock.MINUTE_SECONDS


def _database_error(error: Exception) -> Response:
    log.error("database_unavailable", kind=find_cause(error), error=type(error).__name__)
    return _render_error(503, retry_after=5)


def _handle_unexpected(error: Exception) -> Response:
    log.error("unexpected_error", endpoint=request.endpoint, exc_info=error)
    return _render_error(500)
