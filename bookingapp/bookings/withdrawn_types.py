"""Bookings whose session type Calendly no longer offers: without a time they are canceled, with one they are flagged.

Each function is part of its caller's transaction. Asking Calendly is in :mod:`bookingapp.sync.calendly_events`.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.attention import flag, is_flagged, resolve
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.bookings.service import Cause, lock_booking, transition
from bookingapp.bookings.states import Event, Status
from bookingapp.core.queue import enqueue

CHECK_TYPE_JOB = "session_types.look"
_HELD = (Status.SCHEDULED, Status.PAID, Status.CONFIRMED)


def has_open_bookings(session: Session, event_type_uri: str) -> bool:
    """Whether any booking of that type is pending or still ahead."""
    query = sa.select(Booking.id).where(
        Booking.event_type_uri == event_type_uri, Booking.status.in_((Status.PENDING, *_HELD))
    )
    return session.scalar(query.limit(1)) is not None


def enqueue_type_check(session: Session, event_type_uri: str, *, occasion: str, now: datetime) -> None:
    """Enqueue a check whether Calendly still offers that type; once for each ``occasion``."""
    key = f"{CHECK_TYPE_JOB}:{event_type_uri.rpartition('/')[2]}:{occasion}"
    args = {"event_type_uri": event_type_uri}
    enqueue(session, CHECK_TYPE_JOB, key=key, args=args, run_at=now, now=now)


def withdraw_type(session: Session, event_type_uri: str, cause: Cause, *, now: datetime) -> tuple[int, int]:
    """Cancel the bookings without a time and flag the others. Returns how many were canceled and flagged."""
    released = flagged = 0
    for booking in _locked(session, event_type_uri, (Status.PENDING,)):
        because = Cause(cause.actor, CauseCode.TYPE_WITHDRAWN, cause.inbox_id)
        released += transition(session, booking, Event.CANCEL, because, now=now)
    for booking in _locked(session, event_type_uri, _HELD):
        is_over = booking.ends_at is not None and booking.ends_at <= now
        # Any other open flag is more urgent than this one, which needs no action.
        if not booking.open_flags and not is_over:
            flag(booking, FlagCode.TYPE_WITHDRAWN, now=now)
            flagged += 1
    return released, flagged


def restore_type(session: Session, event_type_uri: str, *, now: datetime) -> int:
    """Resolve the flags of a type that is offered again. Returns how many there were."""
    found = [b for b in _locked(session, event_type_uri, _HELD) if is_flagged(b, FlagCode.TYPE_WITHDRAWN)]
    for booking in found:
        resolve(booking, FlagCode.TYPE_WITHDRAWN, now=now)
    return len(found)


def was_withdrawn(session: Session, booking: Booking) -> bool:
    """Whether this booking was canceled because its type was withdrawn."""
    if booking.status is not Status.CANCELED or booking.starts_at is not None:
        return False
    query = sa.select(HistoryEntry.id).where(
        HistoryEntry.booking_id == booking.id, HistoryEntry.cause == CauseCode.TYPE_WITHDRAWN
    )
    return session.scalar(query.limit(1)) is not None


def _locked(session: Session, event_type_uri: str, statuses: tuple[Status, ...]) -> list[Booking]:
    """The bookings of a type in these states, locked; those that changed before the lock are left out."""
    query = sa.select(Booking.id).where(
        Booking.event_type_uri == event_type_uri, Booking.status.in_(statuses)
    )
    found = [
        lock_booking(session, booking_id) for booking_id in session.scalars(query.order_by(Booking.id)).all()
    ]
    return [booking for booking in found if booking.status in statuses]
