"""Attempts to pay, refunds, disputes and the ledger."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.codes import PaymentStatus as PaymentStatus  # noqa: PLC0414 - stored with the booking.
from bookingapp.bookings.codes import RefundReason as RefundReason  # noqa: PLC0414 - mails name it.
from bookingapp.core.db import MINOR_UNITS, Model, code_column


class PaymentState(enum.StrEnum):
    """The state of one attempt to pay (one Checkout Session)."""

    STARTING = "starting"  # Stored before Stripe is called.
    OPEN = "open"  # The Checkout page is open.
    PROCESSING = "processing"  # The client is done: a delayed method, or authorized and not captured.
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_live(self) -> bool:
        """Whether it can still be paid."""
        return self in (PaymentState.STARTING, PaymentState.OPEN, PaymentState.PROCESSING)


class Payment(Model):
    """One attempt to pay for a booking: at most one of them is live at a time."""

    __tablename__ = "payments"
    __table_args__ = (
        sa.UniqueConstraint("booking_id", "attempt"),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        sa.Index(
            "uq_payments_live",
            "booking_id",
            unique=True,
            sqlite_where=sa.text("state IN ('starting', 'open', 'processing')"),
            postgresql_where=sa.text("state IN ('starting', 'open', 'processing')"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
    attempt: Mapped[int]
    state: Mapped[PaymentState] = mapped_column(default=PaymentState.STARTING)
    amount_minor: Mapped[int] = mapped_column(MINOR_UNITS)
    currency: Mapped[str] = mapped_column(sa.String(3))
    checkout_session_id: Mapped[str | None] = mapped_column(sa.String(255), unique=True)
    checkout_url: Mapped[str | None] = mapped_column(sa.String(2000))
    # Stripe's page with a voucher or a transfer that the client still has to pay.
    voucher_url: Mapped[str | None] = mapped_column(sa.String(2000))
    # Stripe's own receipt of the charge, which follows its refunds.
    receipt_url: Mapped[str | None] = mapped_column(sa.String(2000))
    payment_intent_id: Mapped[str | None] = mapped_column(sa.String(255), index=True)
    expires_at: Mapped[datetime]  # When the Checkout Session ends by itself; sent to Stripe.
    # Paying first: Stripe authorizes the money, and we capture it once the client has the time.
    captures_later: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    authorized_at: Mapped[datetime | None]
    for_start: Mapped[datetime | None]  # The start that its page names.
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    # What brought it to ``state``, and when Stripe last confirmed it.
    cause: Mapped[CauseCode | None] = mapped_column(code_column(CauseCode))
    cause_facts: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    checked_at: Mapped[datetime | None]

    @property
    def is_authorized(self) -> bool:
        """Whether its money is authorized and neither captured nor released."""
        return self.state is PaymentState.PROCESSING and self.authorized_at is not None


class RefundState(enum.StrEnum):
    """The state of a refund. ``enqueued`` and ``dropped`` are ours, the others follow Stripe's."""

    ENQUEUED = "enqueued"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DROPPED = "dropped"  # Not needed any more: the money was refunded in Stripe's dashboard.

    @property
    def counts(self) -> bool:
        """Whether the client has the money, or will have it."""
        return self not in (RefundState.FAILED, RefundState.DROPPED)


class Refund(Model):
    """A refund, decided here or made in Stripe's dashboard."""

    __tablename__ = "refunds"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        sa.Index("uq_refunds_request_key", "request_key", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
    payment_id: Mapped[int] = mapped_column(sa.ForeignKey("payments.id"))
    # Sent in the metadata and the idempotency key, so that one decision makes one refund.
    token: Mapped[str] = mapped_column(sa.String(32), unique=True)
    # Of an amount that a person gives back: one form makes one refund, however often it is sent.
    request_key: Mapped[str | None] = mapped_column(sa.String(64))
    state: Mapped[RefundState] = mapped_column(default=RefundState.ENQUEUED)
    amount_minor: Mapped[int] = mapped_column(MINOR_UNITS)
    currency: Mapped[str] = mapped_column(sa.String(3))
    reason: Mapped[RefundReason] = mapped_column(code_column(RefundReason))
    stripe_id: Mapped[str | None] = mapped_column(sa.String(255), unique=True)
    tries: Mapped[int] = mapped_column(default=0, server_default="0")  # Tries that Stripe did not accept.
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    cause: Mapped[CauseCode | None] = mapped_column(code_column(CauseCode))
    cause_facts: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    checked_at: Mapped[datetime | None]


class Dispute(Model):
    """A charge that the client disputes with their bank. ``status`` is Stripe's (Stripe API, The Dispute object)."""

    __tablename__ = "disputes"

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
    payment_id: Mapped[int] = mapped_column(sa.ForeignKey("payments.id"))
    stripe_id: Mapped[str] = mapped_column(sa.String(255), unique=True)
    status: Mapped[str] = mapped_column(sa.String(40))
    reason: Mapped[str] = mapped_column(sa.String(100))
    amount_minor: Mapped[int] = mapped_column(MINOR_UNITS)
    currency: Mapped[str] = mapped_column(sa.String(3))
    due_by: Mapped[datetime | None]  # The last day for evidence.
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    cause: Mapped[CauseCode | None] = mapped_column(code_column(CauseCode))
    cause_facts: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    checked_at: Mapped[datetime | None]

    @property
    def is_open(self) -> bool:
        """Whether the bank has not decided yet."""
        return self.status not in DISPUTES_ENDED

    @property
    def holds_money(self) -> bool:
        """Whether the bank keeps the money until it decides; an inquiry takes none."""
        return self.is_open and not only_asks(self.status)

    @property
    def is_lost(self) -> bool:
        """Whether the bank has decided for the client."""
        return not self.is_open and self.status not in DISPUTES_HARMLESS


def only_asks(status: str) -> bool:
    """Whether a dispute of that status is an inquiry, which takes no money."""
    return status.startswith("warning_")


DISPUTES_ENDED = ("won", "lost", "warning_closed", "prevented")
DISPUTES_HARMLESS = ("won", "warning_closed", "prevented")
"""Stripe's statuses of a dispute that ended without a loss."""


class EntryKind(enum.StrEnum):
    """Why money moved."""

    CHARGE = "charge"
    REFUND = "refund"
    DISPUTE = "dispute"
    FEE = "fee"


class LedgerEntry(Model):
    """One movement of money as Stripe reports it: positive came in, negative went out. A rejected refund and a won
    dispute come back as positive entries of the same kind. A fee is in the currency of the Stripe balance.
    """

    __tablename__ = "ledger_entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
    payment_id: Mapped[int] = mapped_column(sa.ForeignKey("payments.id"))
    kind: Mapped[EntryKind]
    amount_minor: Mapped[int] = mapped_column(MINOR_UNITS)
    currency: Mapped[str] = mapped_column(sa.String(3))
    stripe_id: Mapped[str] = mapped_column(
        sa.String(255), unique=True
    )  # Payment intent, refund or balance transaction: each is entered once.
    at: Mapped[datetime] = mapped_column(index=True)
