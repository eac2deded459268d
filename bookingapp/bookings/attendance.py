"""No-shows: a fact beside the status, marked in Calendly or on our pages, and undone by either.

Each function is part of its caller's transaction and commits nothing. Sending our mark to Calendly is in
:mod:`bookingapp.checkout.no_show`.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.attention import flag
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.bookings.service import Cause, has_begun, transition
from bookingapp.bookings.states import Event, Refusal, Status, decide
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import enqueue

NO_SHOW_JOB = "calendly.no_show"


def can_mark_no_show(booking: Booking, *, now: datetime) -> bool:
    """Whether the booking has a session that has begun."""
    return has_begun(booking, now) and isinstance(decide(booking.status, Event.NO_SHOW), Status)


def mark_attendance(session: Session, booking: Booking, cause: Cause, *, came: bool, now: datetime) -> bool:
    """Mark on our pages whether the client came, and enqueue the mark for Calendly. Returns whether it changed.

    Raises :class:`Conflict` where no session has begun.
    """
    if not can_mark_no_show(booking, now=now):
        raise Conflict(gettext("This session has not started yet."))
    if came is (booking.no_show_at is None):
        return False
    _write_attendance(session, booking, None if came else now, cause, now=now)
    args = {"booking_id": booking.id}
    key = f"no-show:{booking.id}:{_changes(session, booking)}"
    enqueue(session, NO_SHOW_JOB, key=key, args=args, run_at=now, now=now)
    return True


def record_no_show(
    session: Session,
    booking: Booking,
    cause: Cause,
    *,
    invitee_uri: str,
    uri: str | None,
    at: datetime,
    now: datetime,
) -> bool:
    """Record Calendly's no-show mark ``uri`` of an invitee. Returns whether it changed anything: the webhook about our
    own mark does not, nor does a mark that was deleted before its webhook arrived, or that a job is about to delete.
    """
    known = (booking.no_show_uri, booking.no_show_undone_uri)
    if booking.invitee_uri != invitee_uri or (uri is not None and uri in known):
        return False
    booking.no_show_uri = uri or booking.no_show_uri
    if booking.no_show_at is not None:
        return False
    decision = decide(booking.status, Event.NO_SHOW)
    if decision is Refusal.LATE:
        flag(booking, FlagCode.NO_SHOW_WITHOUT_TIME, now=now)
    if isinstance(decision, Refusal):
        return False
    _write_attendance(session, booking, at, cause, now=now)
    return True


def record_no_show_undone(
    session: Session, booking: Booking, cause: Cause, *, invitee_uri: str, uri: str | None, now: datetime
) -> bool:
    """Record that Calendly's mark ``uri`` was deleted. Returns whether it changed anything."""
    if booking.invitee_uri != invitee_uri:
        return False
    is_current = uri is None or uri == booking.no_show_uri
    booking.no_show_undone_uri = uri or booking.no_show_uri or booking.no_show_undone_uri
    if not is_current:
        return False
    booking.no_show_uri = None
    if booking.no_show_at is None:
        return False
    _write_attendance(session, booking, None, cause, now=now)
    return True


def _write_attendance(
    session: Session, booking: Booking, at: datetime | None, cause: Cause, *, now: datetime
) -> None:
    booking.no_show_at = at
    transition(session, booking, Event.NO_SHOW if at is not None else Event.NO_SHOW_UNDONE, cause, now=now)


def _changes(session: Session, booking: Booking) -> int:
    """How often it was marked and undone; makes the key of each job unique."""
    session.flush()
    query = sa.select(sa.func.count()).where(
        HistoryEntry.booking_id == booking.id, HistoryEntry.event.in_((Event.NO_SHOW, Event.NO_SHOW_UNDONE))
    )
    return session.scalar(query) or 0
