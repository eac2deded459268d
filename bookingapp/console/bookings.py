"""The list of the bookings of all builders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import AttentionFlag, Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.payments.models import PaymentStatus
from bookingapp.webhooks.lookup import find_bookings


class ListedBooking(NamedTuple):
    """A booking in a list. ``attention`` has the codes of its open flags, separated by spaces."""

    id: int
    tracking_id: str
    title: str
    client_name: str
    builder: str
    status: Status
    payment_status: PaymentStatus
    in_calendly: bool
    price_minor: int
    currency: str
    starts_at: datetime | None
    ends_at: datetime | None
    created_at: datetime
    attention: str | None


def list_bookings(
    session: Session, anything: str, *, before: int | None, limit: int
) -> Sequence[ListedBooking]:
    """At most ``limit`` bookings that ``anything`` finds (all, where it is empty), the newest first, with smaller ids
    than ``before``.
    """
    query = sa.select(
        Booking.id,
        Booking.tracking_id,
        Booking.title,
        Booking.client_name,
        Builder.display_name,
        Booking.status,
        Booking.payment_status,
        sa.and_(Booking.paid_in_calendly, Booking.paid_at.is_(None)),
        Booking.price_minor,
        Booking.currency,
        Booking.starts_at,
        Booking.ends_at,
        Booking.created_at,
    ).join(Builder, Builder.id == Booking.builder_id)
    if anything:
        query = query.where(Booking.id.in_(find_bookings(session, anything, before=before, limit=limit)))
    elif before is not None:
        query = query.where(Booking.id < before)
    rows = session.execute(query.order_by(Booking.id.desc()).limit(limit)).all()
    codes: dict[int, list[str]] = {}
    flags = sa.select(AttentionFlag.booking_id, AttentionFlag.code).where(AttentionFlag.resolved_at.is_(None))
    for booking_id, code in session.execute(
        flags.where(AttentionFlag.booking_id.in_([row.id for row in rows])).order_by(AttentionFlag.id)
    ):
        codes.setdefault(booking_id, []).append(code)
    return [ListedBooking._make((*row, " ".join(codes.get(row.id, ())) or None)) for row in rows]
