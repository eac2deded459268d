"""The inbox: the rows of genuine deliveries, and codes for what each did."""

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
    """Who sent a delivery."""

    CALENDLY = "calendly"
    STRIPE = "stripe"


class DeliveryOutcome(enum.StrEnum):
    """What a delivery did, with the facts that its words need. The fact ``fetched`` says that the event was never
    delivered: the reconciliation fetched it.
    """

    SLOT_RECORDED = "slot_recorded"
    RESCHEDULED = "rescheduled"
    SLOT_CANCELED = "slot_canceled"
    NO_SHOW_RECORDED = "no_show_recorded"
    NO_SHOW_UNDONE = "no_show_undone"
    EVENT_TYPES_INVALIDATED = "event_types_invalidated"
    CHECKOUT_SESSION_RECORDED = "checkout_session_recorded"  # status, payment_status
    REFUNDS_RECORDED = "refunds_recorded"
    DISPUTE_RECORDED = "dispute_recorded"  # status
    FRAUD_WARNING_RECORDED = "fraud_warning_recorded"
    FAILED_TRY_RECORDED = "failed_try_recorded"
    FEE_RECORDED = "fee_recorded"
    NOTHING_NEW = "nothing_new"
    NOT_OURS = "not_ours"
    UNATTACHED = "unattached"  # Of a priced session type, and of no booking.
    BOOKING_UNKNOWN = "booking_unknown"
    PAYMENT_UNKNOWN = "payment_unknown"
    ATTEMPT_UNKNOWN = "attempt_unknown"
    BOOKING_LOST = (
        "booking_lost"  # payment_intent; amount_minor, currency: paid here, for a booking that is gone
    )
    TEST_EVENT = "test_event"  # Of Stripe's test mode, and our key is live.
    LIVE_EVENT = "live_event"  # The other way round.
    OTHER_ACCOUNT = "other_account"  # account: Stripe's id of the connected account
    THIN_EVENT = "thin_event"  # type
    UNKNOWN_TO_STRIPE = "unknown_to_stripe"  # The event is genuine, and its object is not there with our key.
    NO_HANDLER = "no_handler"  # type
    UNREADABLE = "unreadable"  # Genuine, and not in the provider's published format.
    BODY_DELETED = "body_deleted"


class InboxEvent(Work, Model):
    """One genuine delivery, kept byte for byte. ``event_key`` is the same for every delivery of one event."""

    __tablename__ = "inbox_events"
    __table_args__ = (sa.UniqueConstraint("provider", "event_key"), *Work.indexes("inbox_events"))

    provider: Mapped[Provider]
    event_key: Mapped[str] = mapped_column(sa.String(LONGEST_KEY))
    type: Mapped[str] = mapped_column(sa.String(LONGEST_TYPE))
    body: Mapped[bytes | None] = mapped_column(sa.LargeBinary)  # None once its retention is over.
    headers: Mapped[dict[str, Any]]
    signed_at: Mapped[datetime]
    key_index: Mapped[int]  # The position, in the settings, of the key that signed it.
    received_at: Mapped[datetime] = mapped_column(index=True)
    booking_id: Mapped[int | None] = mapped_column(sa.ForeignKey("bookings.id"), index=True)

    @property
    def log_context(self) -> dict[str, str | int]:
        """The kind of work, and the booking's number where it is known."""
        about: dict[str, str | int] = {} if self.booking_id is None else {"booking": self.booking_id}
        return {"inbox": self.id, **about}
