"""The builder's bookings as lists. Every query starts from the builder, so another builder's bookings are not found.

What the page of one booking shows is in :mod:`bookingapp.dashboard.booking_details`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from bookingapp.bookings.models import AttentionFlag, Booking, UnattachedInvitee
from bookingapp.bookings.states import Status
from bookingapp.bookings.unattached import list_unattached
from bookingapp.builders.models import Builder
from bookingapp.checkout.words import STATUS_LABELS, payment_label
from bookingapp.core.clock import zone
from bookingapp.core.errors import NotFound
from bookingapp.dashboard.words.bookings import flag_sentence
from bookingapp.payments import service as payments
from bookingapp.payments.models import LedgerEntry, PaymentStatus

PER_PAGE = 25
MOST_ON_OVERVIEW = 50
HOLDING_A_TIME = (Status.SCHEDULED, Status.PAID, Status.CONFIRMED)


@dataclass(frozen=True)
class BookingRow:
    """One booking in a list, with what is shown beside its columns; ``attention`` has a sentence for each flag."""

    booking: Booking
    status_label: str
    payment_status: PaymentStatus
    payment_label: str
    attention: list[str]


@dataclass(frozen=True)
class Overview:
    """The dashboard's first page. ``confirmed`` and ``unpaid`` count sessions; ``earned_minor`` is what came in this
    month less what went back, as pairs of currency and minor units. ``unattached`` are invitees in Calendly without a
    booking.
    """

    upcoming: list[BookingRow]
    needs_attention: list[BookingRow]
    unattached: Sequence[UnattachedInvitee]
    confirmed: int
    unpaid: int
    earned_minor: list[tuple[str, int]]


def load_overview(session: Session, builder: Builder, *, now: datetime) -> Overview:
    """What the builder sees first: at most 50 bookings of each kind."""
    mine = sa.select(Booking).where(Booking.builder_id == builder.id).limit(MOST_ON_OVERVIEW)
    coming = mine.where(Booking.status.in_(HOLDING_A_TIME), Booking.ends_at > now).order_by(Booking.starts_at)
    flagged = mine.where(Booking.flags.any(AttentionFlag.resolved_at.is_(None))).order_by(
        Booking.updated_at.desc()
    )
    count = sa.select(sa.func.count()).select_from(Booking).where(Booking.builder_id == builder.id)
    confirmed = count.where(Booking.status == Status.CONFIRMED, Booking.ends_at > now)
    return Overview(
        upcoming=list_rows(session, session.scalars(coming).all()),
        needs_attention=list_rows(session, session.scalars(flagged).all()),
        unattached=list_unattached(session, builder, now=now),
        confirmed=session.scalar(confirmed) or 0,
        unpaid=session.scalar(count.where(Booking.status == Status.SCHEDULED)) or 0,
        earned_minor=_earned_this_month(session, builder, now),
    )


def get_booking(session: Session, builder: Builder, tracking_id: str) -> Booking:
    """One of the builder's own bookings, with its builder. Raises :class:`NotFound`, also for another builder's."""
    query = sa.select(Booking).where(Booking.tracking_id == tracking_id, Booking.builder_id == builder.id)
    found = session.scalar(query.options(joinedload(Booking.builder)))
    if found is None:
        raise NotFound
    return found


def list_rows(session: Session, found: Sequence[Booking]) -> list[BookingRow]:
    """Bookings as rows; their payment statuses take three or four queries, however many bookings there are."""
    statuses = payments.payment_statuses(session, [booking.id for booking in found]) if found else {}
    released = payments.find_released(session, statuses)
    return [
        _row(booking, statuses.get(booking.id, PaymentStatus.NONE), was_released=booking.id in released)
        for booking in found
    ]


def _row(booking: Booking, payment_status: PaymentStatus, *, was_released: bool) -> BookingRow:
    return BookingRow(
        booking,
        str(STATUS_LABELS[booking.status]),
        payment_status,
        payment_label(payment_status, is_free=booking.is_free, was_released=was_released),
        [flag_sentence(flag.code, flag.facts) for flag in booking.open_flags],
    )


def _earned_this_month(session: Session, builder: Builder, now: datetime) -> list[tuple[str, int]]:
    """The sum of the ledger in each currency since the month began in the builder's zone."""
    local = now.astimezone(zone(builder.timezone))
    began = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    query = (
        sa.select(LedgerEntry.currency, sa.func.sum(LedgerEntry.amount_minor))
        .join(Booking, Booking.id == LedgerEntry.booking_id)
        .where(Booking.builder_id == builder.id, LedgerEntry.at >= began)
        .group_by(LedgerEntry.currency)
        .order_by(LedgerEntry.currency)
    )
    return [(currency, int(minor)) for currency, minor in session.execute(query)]
