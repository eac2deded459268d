"""From HTTP answers of Calendly to JSON or an error. The status decides which: the titles in bodies are unreliable."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
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
from bookingapp.integrations.calendly.http_client import HttpAnswer

_BY_STATUS: Final[dict[int, type[CalendlyError]]] = {
    401: CalendlyUnauthorized,
    403: CalendlyForbidden,
    404: CalendlyNotFound,
    408: CalendlyUnavailable,
    410: CalendlyNotFound,
    429: CalendlyRateLimited,
}
# A redirect (and anything else) is no answer that Calendly documents. It is not followed either: it would send our
# token to an address of unknown origin.
_BY_CLASS: Final[dict[int, type[CalendlyError]]] = {4: CalendlyRejected, 5: CalendlyUnavailable}
# The scopes of Calendly's catalogue are "<family>:read" and "<family>:write".
_SCOPE: Final = re.compile(r"\b([a-z][a-z_]{2,40}:(?:read|write))\b")
_PARAMETER: Final = re.compile(r"[A-Za-z0-9_.\[\]]{1,60}")
# How Calendly words the refusals of a cancellation: answers to decide by, not missing rights.
# Source: Calendly API reference, Cancel Event.
_CANCELLATION_REFUSALS: Final[tuple[tuple[str, RejectedCode], ...]] = (
    ("already canceled", "already_canceled"),
    ("in the past", "event_in_past"),
    ("not allowed to cancel", "not_allowed"),
)
# How Calendly says that the start of a new invitee is not free, where it does not name ``start_time``. Its reference
# has neither code nor words; the code is seen in public clients of this endpoint.
_TAKEN_CODES: Final = frozenset(("already_filled",))
_TAKEN_WORDS: Final = re.compile(
    r"\b(?:time|slot|spot)\b.*(?:no longer|not |un)\s*available|already (?:been )?(?:booked|filled|taken)\b",
    re.IGNORECASE | re.DOTALL,
)
# A longer wait than this is not a hint but a mistake in a header (seconds).
_LONGEST_WAIT: Final = 3600.0


def calendly_error(route: str, answer: HttpAnswer, *, creates_invitee: bool = False) -> CalendlyError:
    """The error that an answer outside 2xx means. ``route`` is our own name of the call, without ids.
    ``creates_invitee``: it was ``POST /invitees``, whose refusals and limits differ from those of other calls.
    """
    status = answer.status
    kind = _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, CalendlyBadReply)
    if kind in (CalendlyForbidden, CalendlyRejected):
        try:
            error = json_object(route, status, answer.body)
        except CalendlyBadReply:
            error = {}
        if kind is CalendlyForbidden:
            return _forbidden_error(route, status, error)
        return _rejected_error(route, status, error, creates_invitee=creates_invitee)
    # Every answer says when the minute ends; only after a 429 is that a time to wait for.
    limited = kind is CalendlyRateLimited and not (creates_invitee and _requests_remain(answer.headers))
    wait = retry_after(answer.headers) if limited else _seconds(answer.headers.get("Retry-After"))
    return kind(f"{route}: {status}", status=status, retry_after=wait)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until requests are accepted again: ``Retry-After`` if sent, else ``X-RateLimit-Reset``."""
    wait = _seconds(headers.get("Retry-After"))
    return wait if wait is not None else _seconds(headers.get("X-RateLimit-Reset"))


def json_object(route: str, status: int, body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises CalendlyBadReply."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise CalendlyBadReply(f"{route}: {status} without JSON", status=status) from None
    if not isinstance(data, dict):
        raise CalendlyBadReply(f"{route}: {status} without a JSON object", status=status)
    return data


def _forbidden_error(route: str, status: int, error: Mapping[str, Any]) -> CalendlyError:
    text, message = f"{route}: {status}", str(error.get("message") or "").lower()
    if route.endswith("/cancellation"):
        for words, code in _CANCELLATION_REFUSALS:
            if words in message:
                return CalendlyRejected(f"{text} ({code})", status=status, code=code)
    # Newer answers list the scopes; older ones name them in a sentence.
    said = [error.get(name) for name in ("required_scopes", "title", "message", "details")]
    scopes = tuple(dict.fromkeys(next(filter(None, (_SCOPE.findall(json.dumps(part)) for part in said)), ())))
    if scopes:
        names = ", ".join(scopes)
        return CalendlyForbidden(
            f"{text}, the token lacks the scope {names}", status=status, missing_scopes=scopes
        )
    # Calendly's front door refuses some clients with a page of HTML, before the API sees them.
    return CalendlyForbidden(text if error else f"{text} without JSON", status=status)


def _rejected_error(
    route: str, status: int, error: Mapping[str, Any], *, creates_invitee: bool
) -> CalendlyError:
    listed = error.get("details")
    details = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    names = [one.get("parameter") for one in details]
    parameters = tuple(name for name in names if isinstance(name, str) and _PARAMETER.fullmatch(name))[:10]
    text = f"{route}: {status} ({', '.join(parameters)})" if parameters else f"{route}: {status}"
    code: RejectedCode = "invalid"
    if creates_invitee:
        if status == HTTPStatus.CONFLICT or _names_the_start(error, details):
            code = "slot_taken"
    elif status == HTTPStatus.CONFLICT:
        code = "already_exists"
    return CalendlyRejected(text, status=status, code=code, parameters=parameters)


def _names_the_start(error: Mapping[str, Any], details: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the refusal of a new invitee is about its start: by parameter, by code, or by words about no other
    parameter.
    """
    if any(one.get("parameter") == "start_time" or one.get("code") in _TAKEN_CODES for one in details):
        return True
    said = [error.get("message"), *(one.get("message") for one in details if not one.get("parameter"))]
    return any(isinstance(words, str) and _TAKEN_WORDS.search(words) for words in said)


def _requests_remain(headers: Mapping[str, str]) -> bool:
    """Whether the general limit has requests left: then its end says nothing about the limit that was reached."""
    return headers.get("X-RateLimit-Remaining", "0").strip() not in {"", "0"}


def _seconds(value: str | None) -> float | None:
    """A whole number of seconds. The date form of ``Retry-After`` is ignored: it would need a clock comparison."""
    if value is None or not re.fullmatch(r"[0-9]{1,9}", value.strip(), re.ASCII):
        return None
    return min(float(value), _LONGEST_WAIT)
