"""Application errors, each with a sentence for the person who meets it, and the pages that show them.

ApplicationError
├── NotFound       404  it does not exist, or is not yours: the answers are alike
├── Invalid        422  what was typed cannot be used
├── Conflict       409  it cannot be done in the state that things are in
└── Unavailable    503  a provider or the database did not answer; trying again may work
"""

from __future__ import annotations

import structlog
from flask import Flask, Response, g, jsonify, make_response, render_template, request
from markupsafe import escape
from werkzeug.exceptions import BadRequest, HTTPException

from bookingapp.core.db import DATABASE_DOWN
from bookingapp.core.htmx import is_htmx, vary_on_htmx

log = structlog.get_logger(__name__)


class ApplicationError(Exception):
    """Something that a person has to be told. ``message`` is a whole, plain sentence."""

    status = 500
    title = "Something went wrong"

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class NotFound(ApplicationError):
    """There is no such thing here, or it belongs to somebody else."""

    status = 404
    title = "Not found"

    def __init__(
        self, message: str = "There is nothing at this address. The link may be incomplete."
    ) -> None:
        super().__init__(message)


class Invalid(ApplicationError):
    """What was sent cannot be used."""

    status = 422
    title = "That cannot be used"


class Conflict(ApplicationError):
    """The request is understood, but not possible in this state."""

    status = 409
    title = "That is not possible now"


class Unavailable(ApplicationError):
    """A service that this needs did not answer."""

    status = 503
    title = "Please try again in a moment"


_SENTENCES = {
    400: ("That request could not be read", "Please go back, load the page again and try once more."),
    401: ("Please log in", "This page is for builders who are logged in."),
    403: ("Not allowed", "You may not do this."),
    404: ("Not found", "There is nothing at this address. The link may be incomplete."),
    405: ("Not possible here", "This address cannot be used in that way."),
    413: ("Too large", "What was sent is too large to be accepted."),
    429: (
        "A little too fast",
        "That was asked for many times in a short while. Please wait a minute and try again.",
    ),
    500: (
        "Something went wrong",
        "The fault is ours and has been recorded. Nothing you did is lost; please try again.",
    ),
    503: ("Please try again in a moment", "A part of this site does not answer just now. Nothing is lost."),
}


def _page(status: int, title: str, message: str, retry_after: int | None = None) -> Response:
    if request.path.startswith("/webhooks/"):
        response = make_response(jsonify(error=title, message=message), status)
    elif is_htmx():
        # A whole page has no place inside of one: what is on it stays, and the words go where it shows faults.
        response = vary_on_htmx(make_response(f"<p>{escape(message)}</p>", status))
        response.headers["HX-Retarget"] = "#page-alert"
        response.headers["HX-Reswap"] = "innerHTML"
    else:
        body = render_template(
            "core/error.html", code=status, title=title, message=message, request_id=g.get("request_id")
        )
        response = make_response(body, status)
    response.headers["Cache-Control"] = "no-store"
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


def init_app(app: Flask) -> None:
    """Register the pages. They need no user and no query, so they work when those are what failed."""

    @app.errorhandler(ApplicationError)
    def _application_error(error: ApplicationError) -> Response:
        return _page(error.status, error.title, error.message, error.retry_after)

    @app.errorhandler(HTTPException)
    def _http_error(error: HTTPException) -> Response:
        if error.response is not None:
            return make_response(error.response)
        status = error.code or 500
        title, message = _SENTENCES.get(status, (error.name, error.description or ""))
        if isinstance(error, BadRequest) and error.description and "CSRF" in error.description:
            title = "This page had been open for too long"
            message = (
                "For your safety the form has expired. Go back, load the page again and send it once more."
            )
        response = _page(status, title, message)
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                response.headers[name] = value
        return response

    def _database_error(error: Exception) -> Response:
        log.error("database_unavailable", error=type(error).__name__)
        return _page(503, *_SENTENCES[503], retry_after=5)

    for kind in DATABASE_DOWN:
        app.register_error_handler(kind, _database_error)

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        log.error("unexpected_error", endpoint=request.endpoint, exc_info=error)
        return _page(500, *_SENTENCES[500])
