"""The inbox."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model
from bookingapp.core.queue import Work


class Provider(enum.StrEnum):
    """Who sends."""

    CALENDLY = "calendly"
    STRIPE = "stripe"


class InboxEvent(Work, Model):
    """One genuine delivery, kept as it came. ``event_key`` is the same for every delivery of one happening."""

    __tablename__ = "inbox_events"
    __table_args__ = (sa.UniqueConstraint("provider", "event_key"), Work.due_index("inbox_events"))

    provider: Mapped[Provider]
    event_key: Mapped[str] = mapped_column(sa.String(400))
    type: Mapped[str] = mapped_column(sa.String(100))
    body: Mapped[bytes] = mapped_column(sa.LargeBinary)
    headers: Mapped[dict[str, Any]]
    signed_at: Mapped[datetime]
    key_index: Mapped[int]  # Which of the configured keys had signed it: tells when an old one can go.
    received_at: Mapped[datetime]
    booking_id: Mapped[int | None] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
