"""What every endpoint of Calendly's API shares: tokens, scopes, errors, lists and rate-limit headers."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, jsonify, request

from bookingapp.sandbox.calendly.objects import PLATFORM_USER_ID
from bookingapp.sandbox.clock import parse_instant, utcnow
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.store import Document

# Of a paid plan, per user and minute (Calendly docs, Rate Limits).
RATE_LIMIT = 500
RATE_WINDOW = 60.0
# Calendly API reference, List Event Types, ``count``.
DEFAULT_COUNT, LARGEST_COUNT = 20, 100
blueprint = Blueprint("calendly_api", __name__, url_prefix="/calendly-api")
_rate_windows: dict[str, tuple[float, int]] = {}


@dataclass(frozen=True, slots=True)
class Caller:
    """The user whose token came with the request; ``scopes`` None means all of them."""

    user: str
    is_owner: bool
    scopes: frozenset[str] | None


class CalendlyApiError(Exception):
    """A refusal in Calendly's error format (Calendly API reference, Errors)."""

    def __init__(
        self, status: int, title: str, message: str, details: list[dict[str, str]] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"title": title, "message": message}
        if details is not None:
            self.body["details"] = details


def invalid(parameter: str, message: str) -> CalendlyApiError:
    """400 for one bad parameter."""
    details = [{"parameter": parameter, "message": message}]
    return CalendlyApiError(400, "Invalid Argument", "The supplied parameters are invalid.", details)


def not_found() -> CalendlyApiError:
    """404."""
    return CalendlyApiError(404, "Resource Not Found", "The server could not find the requested resource.")


def denied(message: str = "You do not have permission to access this resource.") -> CalendlyApiError:
    """403."""
    return CalendlyApiError(403, "Permission Denied", message)


def calendly_fault_response(status: int) -> Response:
    """The 429 or 500 of a fault."""
    limited = status == HTTPStatus.TOO_MANY_REQUESTS
    message = (
        "The rate limit for this token was reached."
        if limited
        else "The server encountered an unexpected condition that prevented it from fulfilling the request."
    )
    response = jsonify(
        {"title": "Too Many Requests" if limited else "Internal Server Error", "message": message}
    )
    response.status_code = status
    _set_rate_limit(response, 0 if limited else RATE_LIMIT - 1, round(RATE_WINDOW))
    return response


@blueprint.errorhandler(CalendlyApiError)
def _render_error(error: CalendlyApiError) -> tuple[Response, int]:
    return jsonify(error.body), error.status


@blueprint.before_request
def _begin_request() -> None:
    sandbox = current_sandbox()
    g.calendly_rate = _count_request(f"{sandbox.config.base_url} {request.headers.get('Authorization', '')}")
    g.calendly_caller = _authenticate(sandbox)


@blueprint.after_request
def _end_request(response: Response) -> Response:
    if "calendly_rate" in g:
        _set_rate_limit(response, *g.calendly_rate)
    return response


def _count_request(token: str) -> tuple[int, int]:
    """Requests left for the token in its minute, and the seconds until the minute ends."""
    now = time.monotonic()
    began, used = _rate_windows.get(token, (now, 0))
    if now - began >= RATE_WINDOW:
        began, used = now, 0
    _rate_windows[token] = (began, used + 1)
    return max(0, RATE_LIMIT - used - 1), max(1, round(RATE_WINDOW - (now - began)))


def _set_rate_limit(response: Response, remaining: int, reset: int) -> None:
    response.headers["X-RateLimit-Limit"] = str(RATE_LIMIT)
    response.headers["X-RateLimit-Remaining"] = str(remaining)
    response.headers["X-RateLimit-Reset"] = str(reset)


def _authenticate(sandbox: Sandbox) -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    # A missing header and an unknown token get the same answer.
    unknown = _unauthenticated("The access token is invalid")
    if scheme.lower() != "bearer" or not token:
        raise unknown
    personal = {
        "primary": sandbox.config.calendly_token,
        "secondary": sandbox.config.calendly_token_secondary,
    }
    for name, known in personal.items():
        if known and hmac.compare_digest(token.encode(), known.encode()):
            if name in sandbox.store.setting("revoked_tokens", []):
                raise _unauthenticated("The access token was revoked")
            return Caller(PLATFORM_USER_ID, is_owner=True, scopes=None)
    grant = sandbox.store.get("oauth_token", token)
    if grant is None or grant["type"] != "access":
        raise unknown
    if grant["revoked"]:
        raise _unauthenticated("The access token was revoked")
    if grant["expires_at"] <= time.time():
        raise _unauthenticated("The access token expired")
    return Caller(grant["user"], grant["user"] == PLATFORM_USER_ID, frozenset(grant["scope"].split()))


def _unauthenticated(message: str) -> CalendlyApiError:
    return CalendlyApiError(401, "Unauthenticated", message)


def caller() -> Caller:
    """The authenticated caller of this request."""
    found: Caller = g.calendly_caller
    return found


def require_scope(*any_of: str) -> None:
    """Refuse a token without one of the scopes; a write scope includes its read scope (Calendly docs, Scopes).

    Raises:
        CalendlyApiError: 403.
    """
    scopes, revoked = caller().scopes, set(current_sandbox().store.setting("revoked_scopes", []))
    asked = scopes if scopes is not None else frozenset(any_of)
    held = asked | {scope.replace(":write", ":read") for scope in asked}
    if not (held - revoked).intersection(any_of):
        refusal = denied("InsufficientScopeError")
        refusal.body["required_scopes"] = list(any_of)
        raise refusal


def require_access(user: str | None, message: str | None = None) -> None:
    """Refuse a caller who is neither that user nor the organization's owner; None means the owner alone.

    Raises:
        CalendlyApiError: 403.
    """
    if not caller().is_owner and caller().user != user:
        raise denied(message) if message else denied()


def get_stored(kind: str, identifier: str) -> Document:
    """A document of the state.

    Raises:
        CalendlyApiError: 404.
    """
    found = current_sandbox().store.get(kind, identifier)
    if found is None:
        raise not_found()
    return found


def parse_uri(uri: str, collection: str, parameter: str) -> str:
    """The identifier at the end of a resource URI.

    Raises:
        CalendlyApiError: 400 for anything that is not such a URI.
    """
    prefix = f"{current_sandbox().config.calendly_api}/{collection}/"
    identifier = uri.removeprefix(prefix)
    if not uri.startswith(prefix) or not identifier or "/" in identifier:
        raise invalid(parameter, "is not a valid URI")
    return identifier


def parse_time(value: Any, parameter: str) -> datetime:
    """A time parameter.

    Raises:
        CalendlyApiError: 400 for anything that is not an ISO 8601 time.
    """
    try:
        return parse_instant(str(value or ""))
    except ValueError:
        raise invalid(parameter, "is missing or not an ISO 8601 time") from None


def parse_future_window(days: int, too_long: str) -> tuple[datetime, datetime]:
    """The query's ``start_time`` and ``end_time``: in the future, and at most so many days apart.

    Raises:
        CalendlyApiError: 400.
    """
    start, end = (parse_time(request.args.get(name), name) for name in ("start_time", "end_time"))
    if start <= utcnow():
        raise invalid("start_time", "start_time must be in the future")
    if end <= start:
        raise invalid("end_time", "end_time must be after start_time")
    if end - start > timedelta(days=days):
        raise invalid("end_time", too_long)
    return start, end


def parse_body() -> Document:
    """The request's JSON object.

    Raises:
        CalendlyApiError: 400 for anything else.
    """
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise invalid("body", "must be a JSON object")
    return body


def resource_response(document: Document, status: int = 200) -> Response:
    """One object."""
    response = jsonify({"resource": document})
    response.status_code = status
    return response


def page_response(
    rows: list[Document],
    render: Callable[[Sandbox, Document], Document],
    *,
    sort: str,
    sortable: set[str],
) -> Response:
    """One page of a list, by ``sort``, ``count`` and ``page_token`` (Calendly docs, API Conventions, Pagination).

    The token names a row, so rows that come in between move no page. ``sort`` is the default order.

    Raises:
        CalendlyApiError: 400 for a bad parameter.
    """
    rows = _sorted_rows(rows, request.args.get("sort", sort), sortable)
    try:
        count = int(request.args.get("count", DEFAULT_COUNT))
    except ValueError:
        raise invalid("count", "must be an integer") from None
    if not 1 <= count <= LARGEST_COUNT:
        raise invalid("count", f"must be between 1 and {LARGEST_COUNT}")
    begin = _first_of_page(rows)
    page = rows[begin : begin + count]
    following = _page_token("after", page[-1]) if page and begin + count < len(rows) else None
    preceding = _page_token("from", rows[max(0, begin - count)]) if begin > 0 else None
    return jsonify(
        {
            "collection": [render(current_sandbox(), row) for row in page],
            "pagination": {
                "count": len(page),
                "next_page": _page_url(following),
                "previous_page": _page_url(preceding),
                "next_page_token": following,
                "previous_page_token": preceding,
            },
        }
    )


def _first_of_page(rows: list[Document]) -> int:
    token = request.args.get("page_token")
    if not token:
        return 0
    try:
        side, _, marker = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
    except ValueError:
        raise invalid("page_token", "is invalid") from None
    for index, row in enumerate(rows):
        if row["id"] == marker:
            return index + 1 if side == "after" else index
    raise invalid("page_token", "is invalid")


def _page_token(side: str, row: Document) -> str:
    return base64.urlsafe_b64encode(f"{side}:{row['id']}".encode()).decode()


def _page_url(token: str | None) -> str | None:
    if token is None:
        return None
    query = {**request.args.to_dict(), "page_token": token}
    path = request.path.removeprefix("/calendly-api")
    return f"{current_sandbox().config.calendly_api}{path}?{urlencode(query)}"


def _sorted_rows(rows: list[Document], order: str, sortable: set[str]) -> list[Document]:
    for part in reversed(order.split(",")):
        name, _, direction = part.partition(":")
        if name not in sortable or direction not in {"", "asc", "desc"}:
            raise invalid("sort", "is invalid")
        rows = sorted(rows, key=_sort_key(name), reverse=direction == "desc")
    return rows


def _sort_key(name: str) -> Callable[[Document], Any]:
    # A name may be null; null sorts first.
    return lambda row: str(row[name] or "").casefold() if name == "name" else row[name]
