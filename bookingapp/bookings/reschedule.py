"""A time on the move. Calendly tells of a reschedule by two deliveries, in any order and any time apart; here is the
one that says that the old time is over. The other is a time like any (:func:`bookingapp.bookings.slot.record_slot`).

Every function is part of its caller's transaction and commits nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking, Slot
from bookingapp.bookings.service import Cause, transition
from bookingapp.bookings.slot import record_source
from bookingapp.bookings.states import Event, Status, decide
from bookingapp.core.queue import enqueue

FOLLOW_MOVE_JOB = "calendly.follow_move"
GRACE = timedelta(minutes=5)
"""How long the second half of a reschedule gets before we ask Calendly for it ourselves."""


def record_reschedule_started(
    session: Session, booking: Booking, *, old: str, new: str | None, cause: Cause, now: datetime
) -> bool:
    """The invitee ``old`` was moved, to ``new`` where Calendly says so. Returns whether that was news.

    Nothing is canceled or refunded for it. Where the new half does not come, Calendly is asked for it, also for a
    booking that has ended: then its new time has to be given back. So is it where the old one was never heard of: the
    new one need not carry our reference, and then nothing else leads to it.
    """
    is_its = booking.invitee_uri == old
    has_another = booking.invitee_uri is not None and not is_its
    if has_another and new in (None, booking.invitee_uri):
        return False
    key = f"{FOLLOW_MOVE_JOB}:{booking.id}:{old.rpartition('/')[2]}"
    args = {"booking_id": booking.id, "old": old, "new": new}
    enqueue(session, FOLLOW_MOVE_JOB, key=key, args=args, run_at=now + GRACE, now=now)
    holds = (
        is_its
        and booking.slot is Slot.ACTIVE
        and isinstance(decide(booking.status, Event.MOVE_BEGUN), Status)
    )
    if not holds or booking.moving_since is not None:
        return False
    booking.moving_since, booking.moving_to = now, new
    record_source(booking, told=cause.is_told, now=now)
    return transition(session, booking, Event.MOVE_BEGUN, cause, now=now)


def clear_reschedule(booking: Booking, cause: Cause, *, now: datetime) -> None:
    """Calendly says that the old time stands after all."""
    booking.moving_since = booking.moving_to = None
    record_source(booking, told=cause.is_told, now=now)
