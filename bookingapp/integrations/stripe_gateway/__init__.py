"""Stripe: Checkout Sessions, refunds and events, in our own types over the official SDK."""

from __future__ import annotations

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
from bookingapp.integrations.stripe_gateway.gateway import StripeGateway, checkout_expiry
from bookingapp.integrations.stripe_gateway.reading import (
    parse_event,
    read_balance_transaction,
    read_checkout_session,
    read_dispute,
    read_event,
    read_payment_intent,
    read_refund,
)
from bookingapp.integrations.stripe_gateway.types import (
    BalanceTransaction,
    CheckoutRequest,
    CheckoutSession,
    Dispute,
    PaymentIntent,
    Refund,
    StripeEvent,
)

__all__ = [
    "BalanceTransaction",
    "CheckoutRequest",
    "CheckoutSession",
    "Dispute",
    "IdempotencyConflict",
    "PaymentIntent",
    "Refund",
    "StripeBadReply",
    "StripeEvent",
    "StripeGateway",
    "StripeGatewayError",
    "StripeNotFound",
    "StripeRateLimited",
    "StripeRejected",
    "StripeUnauthorized",
    "StripeUnavailable",
    "checkout_expiry",
    "parse_event",
    "read_balance_transaction",
    "read_checkout_session",
    "read_dispute",
    "read_event",
    "read_payment_intent",
    "read_refund",
]
