"""Calendly API v2: a client with typed results, and the readers of its webhooks."""

from __future__ import annotations

from bookingapp.integrations.calendly.addresses import invitee_ids, scheduled_event_id
from bookingapp.integrations.calendly.client import CalendlyClient
from bookingapp.integrations.calendly.errors import (
    BadReply,
    CalendlyError,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unavailable,
)
from bookingapp.integrations.calendly.tokens import PlatformTokens, ReplacesRefusedTokens, TokenProvider
from bookingapp.integrations.calendly.types import (
    AvailableTime,
    Cancellation,
    EventType,
    Fetched,
    Invitee,
    InviteePayment,
    InviteesCounter,
    Location,
    NoShow,
    ScheduledEvent,
    SingleUseLink,
    Tracking,
    User,
    WebhookDelivery,
    WebhookSubscription,
    delivery_key,
    parse_delivery,
)

__all__ = [
    "AvailableTime",
    "BadReply",
    "CalendlyClient",
    "CalendlyError",
    "Cancellation",
    "EventType",
    "Fetched",
    "Forbidden",
    "Invitee",
    "InviteePayment",
    "InviteesCounter",
    "Location",
    "NoShow",
    "NotFound",
    "PlatformTokens",
    "RateLimited",
    "Rejected",
    "ReplacesRefusedTokens",
    "ScheduledEvent",
    "SingleUseLink",
    "TokenProvider",
    "Tracking",
    "Unauthorized",
    "Unavailable",
    "User",
    "WebhookDelivery",
    "WebhookSubscription",
    "delivery_key",
    "invitee_ids",
    "parse_delivery",
    "scheduled_event_id",
]
