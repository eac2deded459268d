"""The inbox."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model
from bookingapp.core.queue import Work

LONGEST_KEY = 400
LONGEST_TYPE = 100


class Provider(enum.StrEnum):
    """Who sends."""

    CALENDLY = "calendly"
    STRIPE = "stripe"


class InboxEvent(Work, Model):
    """One genuine delivery, kept as it came. ``event_key`` is the same for every delivery of one happening."""

    __tablename__ = "inbox_events"
    __table_args__ = (sa.UniqueConstraint("provider", "event_key"), Work.due_index("inbox_events"))

    provider: Mapped[Provider]
    event_key: Mapped[str] = mapped_column(sa.String(LONGEST_KEY))
    type: Mapped[str] = mapped_column(sa.String(LONGEST_TYPE))
    body: Mapped[bytes | None] = mapped_column(sa.LargeBinary)  # None once its retention is over.
    headers: Mapped[dict[str, Any]]
    signed_at: Mapped[datetime]
    key_index: Mapped[int]  # Which of the configured keys had signed it: tells when an old one can go.
    received_at: Mapped[datetime] = mapped_column(index=True)
    booking_id: Mapped[int | None] = mapped_column(sa.ForeignKey("bookings.id"), index=True)


class Found(enum.StrEnum):
    """How a subscription was found. ``unknown`` is one that could not be looked at."""

    ACTIVE = "active"
    RETRYING = "retrying"
    INCOMPLETE = "incomplete"
    DISABLED = "disabled"
    MISSING = "missing"
    UNKNOWN = "unknown"

    @property
    def is_broken(self) -> bool:
        """Whether Calendly does not tell us everything through it."""
        return self in (Found.INCOMPLETE, Found.DISABLED, Found.MISSING)


class SubscriptionCheck(Model):
    """One look at one of our subscriptions: the platform's, or (with ``builder_id``) that of a builder's own
    Calendly account. ``since`` is when it began to fail, ``repaired`` says that we made it anew.
    """

    __tablename__ = "subscription_checks"
    __table_args__ = (sa.Index("ix_subscription_checks_builder_at", "builder_id", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    builder_id: Mapped[int | None] = mapped_column(sa.ForeignKey("builders.id"))
    at: Mapped[datetime]
    found: Mapped[Found]
    since: Mapped[datetime | None]
    repaired: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str | None] = mapped_column(sa.String(300))
