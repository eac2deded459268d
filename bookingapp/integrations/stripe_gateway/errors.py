"""What can go wrong with Stripe. Which of the SDK's exceptions becomes which error is in ``sdk_errors``.

A retryable call that changes something must be repeated with the *same* idempotency key. ``str()`` of these carries
our name of the operation, Stripe's code and the request id: no key, no e-mail address, none of Stripe's free text
(which repeats what was sent).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bookingapp.integrations.errors import ProviderError
from bookingapp.marking import N_
from bookingapp.outcomes import Failure


@dataclass(eq=False, repr=False)
class StripeGatewayError(ProviderError):
    """Base of all Stripe errors. ``request_id`` is Stripe's name of the request, for their support."""

    request_id: str | None = field(default=None, kw_only=True)


class StripeUnavailable(StripeGatewayError):
    """No answer, a 5xx, or a lock of another request. It may have happened even so: repeat it with the same key."""

    category = Failure.UNAVAILABLE
    retryable = True
    user_message = N_("The payment service is not answering right now. Please try again in a moment.")


class StripeRateLimited(StripeGatewayError):
    """Too many requests (429); the SDK does not repeat these by itself."""

    category = Failure.RATE_LIMITED
    retryable = True
    user_message = N_("The payment service is very busy right now. Please try again in a moment.")


class StripeUnauthorized(StripeGatewayError):
    """The secret key is missing, wrong, revoked, or may not do this (401, 403)."""

    category = Failure.UNAUTHORIZED
    user_message = N_(
        "Payments are not available right now. You have not been charged. Please come back later."
    )


class StripeNotFound(StripeGatewayError):
    """No such object under this key (404 or ``resource_missing``), or a live one asked for with a test key."""

    category = Failure.NOT_FOUND
    user_message = N_("The payment service does not know this payment.")


@dataclass(eq=False, repr=False)
class StripeRejected(StripeGatewayError):
    """Stripe understood and refuses (400, 402). ``code`` and ``param`` are Stripe's, each may be None.

    Known cases: ``payment_intent_unexpected_state``; ``charge_already_refunded``; ``charge_disputed``;
    ``amount_too_small``; no code and param ``amount`` for a refund over what is left. Source: Stripe API reference,
    Error codes.
    """

    category = Failure.REJECTED
    user_message = N_("The payment service did not accept this. You have not been charged.")

    code: str | None = field(default=None, kw_only=True)
    param: str | None = field(default=None, kw_only=True)


class IdempotencyConflict(StripeGatewayError):
    """The idempotency key was already used with other parameters: a new attempt needs a new key."""

    category = Failure.IDEMPOTENCY_CONFLICT
    user_message = N_("This payment was already started with other details. Please reload the page.")


class StripeBadReply(StripeGatewayError):
    """What came is not in Stripe's published format: not JSON, a thin event, an object without its id."""

    category = Failure.BAD_REPLY
    user_message = N_("The payment service gave an answer that we could not read. Please try again later.")
