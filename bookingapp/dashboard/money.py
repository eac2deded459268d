"""What a builder's page of one booking says of its money: what moved, who said so, and what is disputed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.dashboard.booking_words import cause_words
from bookingapp.payments import service as payments
from bookingapp.payments.models import Dispute, EntryKind, LedgerEntry

_KINDS = {
    (EntryKind.CHARGE, True): "Paid",
    (EntryKind.CHARGE, False): "Paid",
    (EntryKind.REFUND, False): "Refunded",
    (EntryKind.REFUND, True): "A refund came back",
    (EntryKind.DISPUTE, False): "Taken back by the client's bank",
    (EntryKind.DISPUTE, True): "Given again by the client's bank",
    (EntryKind.FEE, False): "Kept by Stripe",
    (EntryKind.FEE, True): "Given again by Stripe",
}
_DISPUTES = {
    "needs_response": "has to be answered",
    "warning_needs_response": "is a question of the bank's, to be answered",
    "under_review": "is with the bank",
    "warning_under_review": "is with the bank",
    "won": "is won",
    "lost": "is lost",
    "warning_closed": "is closed, and nothing was taken",
    "prevented": "was prevented",
}


@dataclass(frozen=True)
class Movement:
    """One line of the ledger in words; minor units with their sign."""

    words: str
    amount_minor: int
    currency: str
    at: datetime


@dataclass(frozen=True)
class DisputeLine:
    """One dispute: how it is in words, and until when it has to be answered, where it has to."""

    words: str
    amount_minor: int
    currency: str
    answer_by: datetime | None


@dataclass(frozen=True)
class MoneyDetails:
    """Everything about one booking's money. ``said_by`` and ``checked_at`` are of the newest payment."""

    movements: Sequence[Movement]
    disputes: Sequence[DisputeLine]
    said_by: str | None
    checked_at: datetime | None


def list_money(session: Session, booking: Booking) -> MoneyDetails:
    """The booking's ledger and its disputes, oldest first."""
    query = sa.select(LedgerEntry).where(LedgerEntry.booking_id == booking.id).order_by(LedgerEntry.id)
    newest = payments.find_latest_payment(session, booking.id)
    return MoneyDetails(
        movements=[
            Movement(_KINDS[entry.kind, entry.amount_minor > 0], entry.amount_minor, entry.currency, entry.at)
            for entry in session.scalars(query)
        ],
        disputes=[_disputed(one) for one in payments.list_disputes(session, booking.id)],
        said_by=cause_words(newest.cause, newest.cause_facts) if newest and newest.cause else None,
        checked_at=newest.checked_at if newest else None,
    )


def _disputed(one: Dispute) -> DisputeLine:
    words = f"A dispute over {{}} {_DISPUTES.get(one.status, one.status.replace('_', ' '))}"
    return DisputeLine(words, one.amount_minor, one.currency, one.due_by if one.is_open else None)
