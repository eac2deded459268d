"""Calendly API v2: a client with typed results, OAuth, and the reading of webhook deliveries."""

from __future__ import annotations

from bookingapp.integrations.calendly.client import CalendlyClient
from bookingapp.integrations.calendly.deliveries import delivery_key, parse_delivery
from bookingapp.integrations.calendly.errors import (
    CalendlyBadReply,
    CalendlyError,
    CalendlyForbidden,
    CalendlyNotFound,
    CalendlyRateLimited,
    CalendlyRejected,
    CalendlyUnauthorized,
    CalendlyUnavailable,
    InvalidClient,
    InvalidGrant,
)
from bookingapp.integrations.calendly.oauth import SCOPES, Grant, OAuthClient, missing_scopes
from bookingapp.integrations.calendly.ratelimits import Purpose
from bookingapp.integrations.calendly.tokens import (
    PlatformTokens,
    fingerprint,
)
from bookingapp.integrations.calendly.types import (
    MOST_GUESTS,
    Answer,
    AvailableTime,
    Cancellation,
    EventType,
    Fetched,
    Invitee,
    NewInvitee,
    Place,
    PlaceKind,
    Question,
    QuestionType,
    ScheduledEvent,
    User,
    WebhookSubscription,
)

__all__ = [
    "MOST_GUESTS",
    "SCOPES",
    "Answer",
    "AvailableTime",
    "CalendlyBadReply",
    "CalendlyClient",
    "CalendlyError",
    "CalendlyForbidden",
    "CalendlyNotFound",
    "CalendlyRateLimited",
    "CalendlyRejected",
    "CalendlyUnauthorized",
    "CalendlyUnavailable",
    "Cancellation",
    "EventType",
    "Fetched",
    "Grant",
    "InvalidClient",
    "InvalidGrant",
    "Invitee",
    "NewInvitee",
    "OAuthClient",
    "Place",
    "PlaceKind",
    "PlatformTokens",
    "Purpose",
    "Question",
    "QuestionType",
    "ScheduledEvent",
    "User",
    "WebhookSubscription",
    "delivery_key",
    "fingerprint",
    "missing_scopes",
    "parse_delivery",
]
