"""The builder's bookings. Every query starts from the builder, so another builder's bookings are not found.

What the page of one booking shows is in :mod:`bookingapp.dashboard.booking_details`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.checkout.words import STATUS_LABELS, payment_label
from bookingapp.core.errors import NotFound
from bookingapp.dashboard.words.bookings import flag_sentence
from bookingapp.payments import service as payments
from bookingapp.payments.models import PaymentStatus

HOLDING_A_TIME = (Status.SCHEDULED, Status.PAID, Status.CONFIRMED)


@dataclass(frozen=True)
class BookingRow:
    """One booking in a list, with what is shown beside its columns; ``attention`` has a sentence for each flag."""

    booking: Booking
    status_label: str
    payment_status: PaymentStatus
    payment_label: str
    attention: list[str]


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
