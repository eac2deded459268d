"""From the exceptions of Stripe's SDK to our errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import stripe

from bookingapp.integrations.stripe_gateway.errors import (
    IdempotencyConflict,
    StripeBadReply,
    StripeGatewayError,
    StripeNotFound,
    StripeRateLimited,
    StripeRejected,
    StripeUnauthorized,
    StripeUnavailable,
)

_KINDS: Final[tuple[tuple[type[stripe.StripeError], type[StripeGatewayError]], ...]] = (
    (stripe.APIConnectionError, StripeUnavailable),
    (stripe.RateLimitError, StripeRateLimited),
    (stripe.AuthenticationError, StripeUnauthorized),
    (stripe.PermissionError, StripeUnauthorized),
    (stripe.IdempotencyError, IdempotencyConflict),
    (stripe.InvalidRequestError, StripeRejected),
    (stripe.CardError, StripeRejected),
)
# Stripe's codes and parameter names; anything else in their place is free text, which must not reach our logs.
_NAME: Final = re.compile(r"[A-Za-z0-9_.\[\]]{1,80}")


def stripe_error(operation: str, error: stripe.StripeError) -> StripeGatewayError:
    """Our error for the SDK's. ``operation`` is our own name of the call."""
    status: int | None = error.http_status
    code, param = _name(error.code), _name(getattr(error, "param", None))
    known: dict[str, Any] = {"status": status, "request_id": error.request_id}
    text = " ".join(
        part
        for part in (
            f"{operation}:",
            "no answer" if status is None else str(status),
            code and f"code {code}",
            param and f"param {param}",
            error.request_id and f"request {_name(error.request_id)}",
        )
        if part
    )
    kind = next((ours for theirs, ours in _KINDS if isinstance(error, theirs)), None) or _by_status(status)
    if kind is not StripeRejected:
        return kind(text, retry_after=_seconds(error.headers), **known)
    if status == HTTPStatus.NOT_FOUND or code == "resource_missing":
        return StripeNotFound(text, **known)
    return StripeRejected(text, code=code, param=param, **known)


def _by_status(status: int | None) -> type[StripeGatewayError]:
    """For the SDK's general error: a 5xx or a lock that another request holds, else an answer without JSON."""
    broken = status is not None and (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.CONFLICT
    )
    return StripeUnavailable if broken else StripeBadReply


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def _seconds(headers: Mapping[str, Any] | None) -> float | None:
    value = (headers or {}).get("Retry-After")
    return float(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value) else None
