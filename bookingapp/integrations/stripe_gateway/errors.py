"""What can go wrong with Stripe, in the words a caller decides by.

    StripeGatewayError
    │                         category               retryable   what it means
    ├── Unavailable           unavailable            yes         no answer, a 5xx, or a lock that stayed taken
    ├── RateLimited           rate_limited           yes         429
    ├── Unauthorized          unauthorized           no          401, 403, or no secret key at all
    ├── NotFound              not_found              no          404 or ``resource_missing``
    ├── Rejected              rejected               no          400, 402: ``code`` and ``param`` say what
    ├── IdempotencyConflict   idempotency_conflict   no          this key was used with other parameters
    └── BadReply              bad_reply              no          an answer or event not in Stripe's format

A retryable call that changes something must be repeated with the *same* idempotency key.

``str()`` of these carries our name of the operation, Stripe's code and the request id: no key, no e-mail
address, no free text of Stripe's (which repeats what was sent).
"""

from __future__ import annotations

from typing import ClassVar, Literal

Category = Literal[
    "unavailable",
    "rate_limited",
    "unauthorized",
    "not_found",
    "rejected",
    "idempotency_conflict",
    "bad_reply",
]


class StripeGatewayError(Exception):
    """Base of all Stripe errors.

    ``category`` and ``retryable`` are for decisions, ``user_message`` is a sentence for the person in front
    of the page, ``str()`` is for the log. ``status`` is the HTTP status and ``request_id`` Stripe's name of
    the request (for their support), where there was an answer; ``retry_after`` is in seconds, a hint.
    """

    category: ClassVar[Category]
    retryable: ClassVar[bool] = False
    user_message: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.request_id = request_id


class StripeUnavailable(StripeGatewayError):
    """Stripe did not answer, or not usefully. What was asked may have happened: repeat with the same key."""

    category = "unavailable"
    retryable = True
    user_message = "The payment service is not answering right now. Please try again in a moment."


class StripeRateLimited(StripeGatewayError):
    """Too many requests; the SDK does not repeat these by itself."""

    category = "rate_limited"
    retryable = True
    user_message = "The payment service is very busy right now. Please try again in a moment."


class StripeUnauthorized(StripeGatewayError):
    """The secret key is missing, wrong, revoked, or may not do this."""

    category = "unauthorized"
    user_message = "Payments are not available right now. You have not been charged. Please come back later."


class StripeNotFound(StripeGatewayError):
    """No such object under this key (a live object asked for with a test key looks the same)."""

    category = "not_found"
    user_message = "The payment service does not know this payment."


class StripeRejected(StripeGatewayError):
    """Stripe understood and refuses. ``code`` and ``param`` are Stripe's own words, each may be None.

    Known cases: ``charge_already_refunded``; ``charge_disputed``; ``amount_too_small``; no code and param
    ``amount`` for a refund over what is left.
    """

    category = "rejected"
    user_message = "The payment service did not accept this. You have not been charged."

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, status=status, retry_after=retry_after, request_id=request_id)
        self.code = code
        self.param = param


class IdempotencyConflict(StripeGatewayError):
    """The idempotency key was already used with other parameters: a new attempt needs a new key."""

    category = "idempotency_conflict"
    user_message = "This payment was already started with other details. Please reload the page."


class StripeBadReply(StripeGatewayError):
    """What came is not in Stripe's published format: not JSON, a thin event, an object without its id."""

    category = "bad_reply"
    user_message = "The payment service gave an answer that we could not read. Please try again later."
