"""What the providers were asked and what was found: reconciliations, and checks of the webhook subscriptions."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model


class Missing(enum.StrEnum):
    """What no webhook had delivered, with its facts; of a booking's money, see ``checkout.stripe_check``."""

    STRIPE_EVENT = "stripe_event_undelivered"  # type, at: ISO 8601, booking_id
    BOOKING_LOST = "stripe_booking_lost"  # payment_intent, amount_minor, currency
    BOOKING_STATUS = "calendly_booking_status"  # booking_id, before, after
    TIME_CANCELED = "calendly_time_canceled"  # booking_id
    TIME_CHANGED = "calendly_time_changed"  # booking_id


class NotFetched(enum.StrEnum):
    """What could not be fetched, with its facts; ``category`` is that of the provider's error."""

    EVENTS = "stripe_events_not_listed"  # category
    EVENT = "stripe_event_not_applied"  # type, category
    MORE_EVENTS = "stripe_events_left"  # most, found: the rest comes with the next reconciliation
    BOOKING = "stripe_booking_not_fetched"  # booking_id, category
    BUILDER = "calendly_builder_not_fetched"  # builder_id, category


class Reconciliation(Model):
    """One comparison with both providers, of everything or (with ``booking_id``) of one booking. ``missing`` and
    ``failed`` are lists of codes with facts (:class:`Missing`, :class:`NotFetched`) that name no person.
    """

    __tablename__ = "reconciliations"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    since: Mapped[datetime]  # Where the period of events that it asked for began.
    booking_id: Mapped[int | None] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
    with_events: Mapped[bool] = mapped_column(default=False)  # Whether Stripe's events were fetched.
    missing: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON, default=list)
    failed: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON, default=list)


class Found(enum.StrEnum):
    """The state in which a subscription was found; ``unknown`` where Calendly could not be asked."""

    ACTIVE = "active"
    RETRYING = "retrying"
    INCOMPLETE = "incomplete"
    DISABLED = "disabled"
    MISSING = "missing"
    UNKNOWN = "unknown"

    @property
    def is_broken(self) -> bool:
        """Whether it does not deliver everything that we subscribe to."""
        return self in (Found.INCOMPLETE, Found.DISABLED, Found.MISSING)


class SubscriptionCheck(Model):
    """One check of a subscription: the platform's, or (with ``builder_id``) that of a builder's own Calendly account.
    ``since`` is when it began to fail, ``repaired`` whether we created it anew, ``failure`` the category of Calendly's
    error where it could not be checked.
    """

    __tablename__ = "subscription_checks"
    __table_args__ = (sa.Index("ix_subscription_checks_builder_at", "builder_id", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    builder_id: Mapped[int | None] = mapped_column(sa.ForeignKey("builders.id"))
    at: Mapped[datetime]
    found: Mapped[Found]
    since: Mapped[datetime | None]
    repaired: Mapped[bool] = mapped_column(default=False)
    failure: Mapped[str | None] = mapped_column(sa.String(64))
