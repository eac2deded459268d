"""Stripe's refusals (Stripe API reference, Errors)."""

from __future__ import annotations

from typing import Any


class StripeApiError(Exception):
    """A refusal in Stripe's error format.

    ``kept`` marks refusals while the request is executed: an idempotency key keeps those, and not refusals
    of parameters (Stripe API reference, Idempotent requests).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        kept: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kept = kept
        self.error: dict[str, Any] = {"type": kind, "message": message}
        if code is not None:
            self.error["code"] = code
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param is not None:
            self.error["param"] = param


def unknown_parameter(name: str) -> StripeApiError:
    """400 for a parameter that Stripe does not know, or removed."""
    return StripeApiError(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def missing_parameter(name: str) -> StripeApiError:
    """400 for a required parameter."""
    return StripeApiError(f"Missing required param: {name}.", code="parameter_missing", param=name)


def no_such(noun: str, identifier: str, param: str = "id") -> StripeApiError:
    """404."""
    return StripeApiError(f"No such {noun}: '{identifier}'", status=404, code="resource_missing", param=param)
