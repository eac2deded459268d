"""Stripe: Checkout Sessions, refunds and events, in our own types over the official SDK."""

from __future__ import annotations

from bookingapp.integrations.stripe_gateway.errors import (
    BadReply,
    IdempotencyConflict,
    NotFound,
    RateLimited,
    Rejected,
    StripeGatewayError,
    Unauthorized,
    Unavailable,
)
from bookingapp.integrations.stripe_gateway.gateway import StripeGateway, checkout_expiry
from bookingapp.integrations.stripe_gateway.reading import (
    parse_event,
    read_checkout_session,
    read_event,
    read_payment_intent,
    read_refund,
)
from bookingapp.integrations.stripe_gateway.types import (
    CheckoutRequest,
    CheckoutSession,
    PaymentIntent,
    Refund,
    StripeEvent,
)

__all__ = [
    "BadReply",
    "CheckoutRequest",
    "CheckoutSession",
    "IdempotencyConflict",
    "NotFound",
    "PaymentIntent",
    "RateLimited",
    "Refund",
    "Rejected",
    "StripeEvent",
    "StripeGateway",
    "StripeGatewayError",
    "Unauthorized",
    "Unavailable",
    "checkout_expiry",
    "parse_event",
    "read_checkout_session",
    "read_event",
    "read_payment_intent",
    "read_refund",
]
