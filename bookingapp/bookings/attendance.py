"""No-shows: a fact beside the status, marked in Calendly or on our pages, and undone by either. The client can say once
that they were there; then a person of the platform decides.

Each function is part of its caller's transaction and commits nothing. Sending our mark to Calendly is in
:mod:`bookingapp.checkout.no_show`.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.absence_claims import answer_by, deny_claim
from bookingapp.bookings.attention import flag, is_flagged, resolve
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.mail_triggers import Mail, enqueue_mail
from bookingapp.bookings.models import Actor, Booking, HistoryEntry
from bookingapp.bookings.service import Cause, has_begun, record_act, transition
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
    if at is None and booking.no_show_denied_at is not None:
        enqueue_mail(session, booking, Mail.NO_SHOW_REMOVED, about=no_show_stamp(booking), now=now)
        resolve(booking, FlagCode.NO_SHOW_DENIED, now=now, by=cause.actor)
    booking.no_show_at, booking.no_show_denied_at = at, None
    transition(session, booking, Event.NO_SHOW if at is not None else Event.NO_SHOW_UNDONE, cause, now=now)
    if at is not None:
        enqueue_mail(session, booking, Mail.NO_SHOW, about=no_show_stamp(booking), now=now)
        until = answer_by(booking)
        if until is not None and at < until:
            # Who waited for the client was there.
            deny_claim(session, booking, by=cause.actor, said_at=at, now=now)


def no_show_stamp(booking: Booking) -> str:
    """The mark as the keys of its mails name it."""
    return str(int(booking.no_show_at.timestamp())) if booking.no_show_at is not None else ""


def can_deny_no_show(booking: Booking) -> bool:
    """Whether the client can say that they were there: once for a mark."""
    is_marked = booking.no_show_at is not None and booking.no_show_denied_at is None
    return is_marked and isinstance(decide(booking.status, Event.NO_SHOW), Status)


def deny_no_show(session: Session, booking: Booking, *, now: datetime) -> bool:
    """Record that the client says that they were there, so that a person of the platform decides. Returns False where
    they have said so before. Raises :class:`Conflict` where they are not marked.
    """
    if booking.no_show_at is not None and booking.no_show_denied_at is not None:
        return False
    if not can_deny_no_show(booking):
        raise Conflict(gettext("You are not marked as a no-show."))
    booking.no_show_denied_at = now
    flag(booking, FlagCode.NO_SHOW_DENIED, now=now)
    record_act(session, booking, Cause(Actor.CLIENT, CauseCode.NO_SHOW_DENIED), now=now)
    enqueue_mail(session, booking, Mail.NO_SHOW_DENIED_BUILDER, about=no_show_stamp(booking), now=now)
    return True


def keep_no_show(session: Session, booking: Booking, *, now: datetime) -> None:
    """Record that an operator decided that the mark stays; both sides get a mail. Raises :class:`Conflict` where there
    is nothing to decide.
    """
    if not is_flagged(booking, FlagCode.NO_SHOW_DENIED):
        raise Conflict(gettext("There is nothing to decide about this booking."))
    resolve(booking, FlagCode.NO_SHOW_DENIED, now=now, by=Actor.OPERATOR)
    record_act(session, booking, Cause(Actor.OPERATOR, CauseCode.NO_SHOW_KEPT), now=now)
    for mail in (Mail.NO_SHOW_KEPT, Mail.NO_SHOW_KEPT_BUILDER):
        enqueue_mail(session, booking, mail, about=no_show_stamp(booking), now=now)


def _changes(session: Session, booking: Booking) -> int:
    """How often it was marked and undone; makes the key of each job unique."""
    session.flush()
    query = sa.select(sa.func.count()).where(
        HistoryEntry.booking_id == booking.id, HistoryEntry.event.in_((Event.NO_SHOW, Event.NO_SHOW_UNDONE))
    )
    return session.scalar(query) or 0
