"""Stripe over its official SDK: a client with typed results, and the reading of webhook events."""

from __future__ import annotations

from bookingapp.integrations.stripe_gateway.delayed_methods import methods_slower_than
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
from bookingapp.integrations.stripe_gateway.gateway import StripeGateway, is_live_key
from bookingapp.integrations.stripe_gateway.reading import (
    find_thin_event,
    parse_event,
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
    FraudWarning,
    PaymentIntent,
    Refund,
    StripeEvent,
    ThinEvent,
    WebhookEndpoint,
)

__all__ = [
    "BalanceTransaction",
    "CheckoutRequest",
    "CheckoutSession",
    "Dispute",
    "FraudWarning",
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
    "ThinEvent",
    "WebhookEndpoint",
    "find_thin_event",
    "is_live_key",
    "methods_slower_than",
    "parse_event",
    "read_checkout_session",
    "read_dispute",
    "read_event",
    "read_payment_intent",
    "read_refund",
]
