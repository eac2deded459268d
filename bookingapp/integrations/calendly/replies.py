"""From an HTTP answer of Calendly to our error tree, by status first: the titles in bodies are unreliable."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from bookingapp.integrations.calendly.errors import (
    CalendlyBadReply,
    CalendlyError,
    CalendlyForbidden,
    CalendlyNotFound,
    CalendlyRateLimited,
    CalendlyRejected,
    CalendlyUnauthorized,
    CalendlyUnavailable,
    RejectedCode,
)

_BY_STATUS: Final[dict[int, type[CalendlyError]]] = {
    401: CalendlyUnauthorized,
    403: CalendlyForbidden,
    404: CalendlyNotFound,
    408: CalendlyUnavailable,
    410: CalendlyNotFound,
    429: CalendlyRateLimited,
}
# A redirect (and anything else) is no answer that Calendly documents. It is not followed either: it would
# lead our token to an address that somebody else chose.
_BY_CLASS: Final[dict[int, type[CalendlyError]]] = {4: CalendlyRejected, 5: CalendlyUnavailable}
# The scopes of Calendly's catalogue are "<family>:read" and "<family>:write".
_SCOPE: Final = re.compile(r"\b([a-z][a-z_]{2,40}:(?:read|write))\b")
_PARAMETER: Final = re.compile(r"[A-Za-z0-9_.\[\]]{1,60}")
# How Calendly words the refusals of a cancellation. These are answers to decide by, not missing rights.
_CANCELLATION_REFUSALS: Final[tuple[tuple[str, RejectedCode], ...]] = (
    ("already canceled", "already_canceled"),
    ("in the past", "event_in_past"),
    ("not allowed to cancel", "not_allowed"),
)
# A longer wait than this is not a hint but a mistake in a header.
_LONGEST_WAIT: Final = 3600.0


def calendly_error(route: str, status: int, headers: Mapping[str, str], body: bytes) -> CalendlyError:
    """The error that an answer outside 2xx means. ``route`` is our own name of the call, without ids."""
    said = f"{route}: {status}"
    kind = _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, CalendlyBadReply)
    if kind is CalendlyForbidden:
        return _refusal(route, said, body)
    if kind is CalendlyRejected:
        return _rejection(said, status, body)
    # Every answer says when the minute ends; only after a 429 is that a time to wait for.
    wait = retry_after(headers) if kind is CalendlyRateLimited else _seconds(headers.get("Retry-After"))
    return kind(said, status=status, retry_after=wait)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until there is room again: ``Retry-After`` if sent, else ``X-RateLimit-Reset``."""
    wait = _seconds(headers.get("Retry-After"))
    return wait if wait is not None else _seconds(headers.get("X-RateLimit-Reset"))


def json_object(route: str, status: int, body: bytes) -> dict[str, Any]:
    """The JSON object in a successful answer. Raises BadReply."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise CalendlyBadReply(f"{route}: {status} without JSON", status=status) from None
    if not isinstance(data, dict):
        raise CalendlyBadReply(f"{route}: {status} without a JSON object", status=status)
    return data


def _refusal(route: str, said: str, body: bytes) -> CalendlyError:
    error = _error_body(body)
    message = str(error.get("message") or "").lower()
    if route.endswith("/cancellation"):
        for words, code in _CANCELLATION_REFUSALS:
            if words in message:
                return CalendlyRejected(f"{said} ({code})", status=403, code=code)
    scope = _SCOPE.search(f"{error.get('title')} {error.get('message')} {json.dumps(error.get('details'))}")
    if scope is not None:
        return CalendlyForbidden(
            f"{said}, the token lacks the scope {scope[1]}", status=403, missing_scope=scope[1]
        )
    if not error:
        # Calendly's front door refuses some clients with a page of HTML, before the API sees them.
        return CalendlyForbidden(f"{said} without JSON", status=403)
    return CalendlyForbidden(said, status=403)


def _rejection(said: str, status: int, body: bytes) -> CalendlyError:
    parameters = _parameters(body)
    if parameters:
        said = f"{said} ({', '.join(parameters)})"
    code: RejectedCode = "already_exists" if status == HTTPStatus.CONFLICT else "invalid"
    return CalendlyRejected(said, status=status, code=code, parameters=parameters)


def _error_body(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _parameters(body: bytes) -> tuple[str, ...]:
    details = _error_body(body).get("details")
    names = [d.get("parameter") for d in details if isinstance(d, dict)] if isinstance(details, list) else []
    return tuple(name for name in names if isinstance(name, str) and _PARAMETER.fullmatch(name))[:10]


def _seconds(value: str | None) -> float | None:
    """A whole number of seconds. The date form of ``Retry-After`` is not worth a clock comparison here."""
    if value is None or not re.fullmatch(r"[0-9]{1,9}", value.strip(), re.ASCII):
        return None
    return min(float(value), _LONGEST_WAIT)
