"""What every Calendly endpoint has in common: bearer tokens, scopes, errors, pages, rate-limit headers."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Response, g, jsonify, request

from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.seed import PLATFORM_USER_ID
from bookingapp.sandbox.store import Document

RATE_LIMIT = 500
RATE_WINDOW = 60.0
DEFAULT_COUNT, LARGEST_COUNT = 20, 100


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token came with the request; ``scopes`` None means all of them."""

    user: str
    is_owner: bool
    scopes: frozenset[str] | None


class CalendlyApiError(Exception):
    """An answer in Calendly's documented error shape."""

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


def error_response(error: CalendlyApiError) -> Response:
    """The error as JSON."""
    response = jsonify(error.body)
    response.status_code = error.status
    return response


def authenticate(sandbox: Sandbox) -> Caller:
    """The caller by the bearer token.

    Raises:
        CalendlyApiError: 401; a missing header and an unknown token are answered alike.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    unknown = CalendlyApiError(401, "Unauthenticated", "The access token is invalid")
    if scheme.lower() != "bearer" or not token:
        raise unknown
    for name, known in _personal_tokens(sandbox).items():
        if hmac.compare_digest(token.encode(), known.encode()):
            if name in sandbox.store.setting("revoked_tokens", []):
                raise CalendlyApiError(401, "Unauthenticated", "The access token was revoked")
            return Caller(PLATFORM_USER_ID, is_owner=True, scopes=None)
    grant = sandbox.store.get("oauth_token", token)
    if grant is None or grant["type"] != "access":
        raise unknown
    if grant["revoked"]:
        raise CalendlyApiError(401, "Unauthenticated", "The access token was revoked")
    if grant["expires_at"] <= time.time():
        raise CalendlyApiError(401, "Unauthenticated", "The access token expired")
    return Caller(grant["user"], grant["user"] == PLATFORM_USER_ID, frozenset(grant["scope"].split()))


def _personal_tokens(sandbox: Sandbox) -> dict[str, str]:
    tokens = {"primary": sandbox.config.calendly_token}
    if sandbox.config.calendly_token_secondary:
        tokens["secondary"] = sandbox.config.calendly_token_secondary
    return tokens


def caller() -> Caller:
    """The authenticated caller of this request."""
    found: Caller = g.calendly_caller
    return found


def require_scope(*any_of: str) -> None:
    """Refuse a token without one of the scopes; a write scope includes its read scope.

    Raises:
        CalendlyApiError: 403.
    """
    scopes = caller().scopes
    if scopes is None:
        return
    held = scopes | {scope.replace(":write", ":read") for scope in scopes}
    if not held.intersection(any_of):
        message = f"InsufficientScopeError: this request needs the scope {' or '.join(any_of)}"
        raise denied(message)


def last_segment(reference: str, collection: str, parameter: str) -> str:
    """The identifier at the end of a resource URI of ours.

    Raises:
        CalendlyApiError: 400 for anything that is not such a URI.
    """
    prefix = f"{current_sandbox().config.calendly_api}/{collection}/"
    identifier = reference.removeprefix(prefix)
    if not reference.startswith(prefix) or not identifier or "/" in identifier:
        raise invalid(parameter, "is not a valid URI")
    return identifier


def json_body() -> Document:
    """The request's JSON object.

    Raises:
        CalendlyApiError: 400 for anything else.
    """
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise invalid("body", "must be a JSON object")
    return body


def resource(document: Document, status: int = 200) -> Response:
    """One object."""
    response = jsonify({"resource": document})
    response.status_code = status
    return response


def collection(
    rows: list[Document], render: Callable[[Document], Document], key: Callable[[Document], str]
) -> Response:
    """One page of a list, keyset style: a token names the last row that was seen, whatever came since.

    Raises:
        CalendlyApiError: 400 for a bad ``count`` or ``page_token``.
    """
    try:
        count = int(request.args.get("count", DEFAULT_COUNT))
    except ValueError:
        raise invalid("count", "must be an integer") from None
    if not 1 <= count <= LARGEST_COUNT:
        raise invalid("count", f"must be between 1 and {LARGEST_COUNT}")
    begin = _position_after(rows, key)
    page = rows[begin : begin + count]
    following = _token("after", key(page[-1])) if page and begin + count < len(rows) else None
    preceding = _token("from", key(rows[max(0, begin - count)])) if begin > 0 else None
    return jsonify(
        {
            "collection": [render(row) for row in page],
            "pagination": {
                "count": len(page),
                "next_page": _page_url(following),
                "previous_page": _page_url(preceding),
                "next_page_token": following,
                "previous_page_token": preceding,
            },
        }
    )


def _position_after(rows: list[Document], key: Callable[[Document], str]) -> int:
    token = request.args.get("page_token")
    if not token:
        return 0
    try:
        side, _, marker = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
    except ValueError:
        raise invalid("page_token", "is invalid") from None
    for index, row in enumerate(rows):
        if key(row) == marker:
            return index + 1 if side == "after" else index
    raise invalid("page_token", "is invalid")


def _token(side: str, marker: str) -> str:
    return base64.urlsafe_b64encode(f"{side}:{marker}".encode()).decode()


def _page_url(token: str | None) -> str | None:
    if token is None:
        return None
    query = {**request.args.to_dict(), "page_token": token}
    path = request.path.removeprefix("/calendly-api")
    return f"{current_sandbox().config.calendly_api}{path}?{urlencode(query)}"


def sorted_rows(rows: list[Document], order: str, allowed: set[str]) -> list[Document]:
    """Rows in the order of ``field:asc|desc``, several separated by commas.

    Raises:
        CalendlyApiError: 400 for a field or direction that is not offered.
    """
    for part in reversed(order.split(",")):
        name, _, direction = part.partition(":")
        if name not in allowed or direction not in {"", "asc", "desc"}:
            raise invalid("sort", "is invalid")
        rows = sorted(rows, key=_sort_key(name), reverse=direction == "desc")
    return rows


def _sort_key(name: str) -> Callable[[Document], Any]:
    # A name may be null; it stands in front of all others.
    return lambda row: str(row[name] or "").casefold() if name == "name" else row[name]


class RateLimiter:
    """Counts requests per caller and minute for the X-RateLimit headers."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}

    def count(self, who: str) -> tuple[int, int]:
        """One more request; how many are left in the window, and the seconds until it ends."""
        now = time.monotonic()
        began, used = self._windows.get(who, (now, 0))
        if now - began >= RATE_WINDOW:
            began, used = now, 0
        self._windows[who] = (began, used + 1)
        return max(0, RATE_LIMIT - used - 1), max(1, round(RATE_WINDOW - (now - began)))
