"""Two sessions of one builder at the same time, whichever way they came: flagged before the second one is paid."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.attention import flag, resolve
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking, Slot
from bookingapp.bookings.states import Status
from bookingapp.builders.service import lock_builder

_ON = (Status.SCHEDULED, Status.PAID, Status.CONFIRMED)


def flag_overlap(session: Session, booking: Booking, *, now: datetime) -> None:
    """Flag a booking whose time overlaps another session of its builder, or resolve the flag, in the caller's
    transaction. People in one group event share a session.
    """
    # Of two that are recorded at the same moment, the second sees the first.
    lock_builder(session, booking.builder_id)
    other = _find_other(session, booking)
    if other is None:
        resolve(booking, FlagCode.OVERLAP, now=now)
    else:
        flag(booking, FlagCode.OVERLAP, now=now, other=other)


def resolve_overlap(session: Session, booking: Booking, *, now: datetime) -> None:
    """Resolve the flag where the other session was canceled or moved, in the caller's transaction."""
    if _find_other(session, booking) is None:
        resolve(booking, FlagCode.OVERLAP, now=now)


def _find_other(session: Session, booking: Booking) -> str | None:
    """The tracking id of the first session of the builder at the same time; None without one."""
    query = sa.select(Booking.tracking_id).where(
        Booking.builder_id == booking.builder_id,
        Booking.id != booking.id,
        Booking.slot == Slot.ACTIVE,
        Booking.status.in_(_ON),
        Booking.event_uri != booking.event_uri,
        Booking.starts_at < booking.ends_at,
        Booking.ends_at > booking.starts_at,
    )
    return session.scalar(query.order_by(Booking.id).limit(1)) if booking.slot is Slot.ACTIVE else None
