"""The first half of a reschedule: Calendly reports the old invitee as rescheduled, and the new one separately.

The new invitee is recorded like any other (:func:`bookingapp.bookings.slot.record_slot`). Both may arrive in any order.
Each function is part of its caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.moves import record_move
from bookingapp.bookings.service import Cause, transition
from bookingapp.bookings.slot import record_source
from bookingapp.bookings.states import Event, Status, decide
from bookingapp.core.queue import enqueue

FOLLOW_MOVE_JOB = "calendly.follow_move"
GRACE = timedelta(minutes=5)
"""How long we wait for the new invitee's webhook before we ask Calendly for it."""


@dataclass(frozen=True)
class OldHalf:
    """What Calendly reports of a rescheduled invitee ``old``: when it was, and, where Calendly says so, the ``new`` one
    and by whom.
    """

    old: str
    new: str | None
    by: Actor | None
    at: datetime


def record_reschedule_started(
    session: Session, booking: Booking, half: OldHalf, cause: Cause, *, now: datetime
) -> bool:
    """Record that an invitee was rescheduled. Returns whether that changed the booking. Nothing is canceled or
    refunded.

    A job asks Calendly for the new invitee if its webhook does not arrive: also for a booking that has ended, whose new
    time has to be released, and for an unknown one, because the new invitee need not carry our reference.
    """
    old, new = half.old, half.new
    record_move(session, booking, old, at=half.at, by=half.by)
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
    record_source(booking, from_webhook=cause.is_from_webhook, now=now)
    return transition(session, booking, Event.MOVE_BEGUN, cause, now=now)


def clear_reschedule(booking: Booking, cause: Cause, *, now: datetime) -> None:
    """Record that Calendly has no reschedule: the old time is still valid."""
    booking.moving_since = booking.moving_to = None
    record_source(booking, from_webhook=cause.is_from_webhook, now=now)
