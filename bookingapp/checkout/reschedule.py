"""Following a reschedule whose new invitee was not reported: asks Calendly for it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import attention, reschedule
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.reschedule import FOLLOW_MOVE_JOB
from bookingapp.bookings.service import Cause
from bookingapp.builders.models import Builder
from bookingapp.checkout import cancellation
from bookingapp.checkout.calendly_invitees import canceled_by_host, fetch_latest_invitee, slot_facts
from bookingapp.checkout.calendly_slot import Timers, record_invitee
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import CalendlyClient, Invitee, Purpose, ScheduledEvent

FETCHED = Cause(Actor.CALENDLY, CauseCode.RESCHEDULE_FETCHED)


@job(
    FOLLOW_MOVE_JOB,
    label=lazy_gettext("asking Calendly for the new time"),
    flag=FlagCode.RESCHEDULED_UNKNOWN,
)
def follow_reschedule(
    session: Session,
    calendly: CalendlyClient,
    *,
    booking_id: int,
    old: str,
    new: str | None,
    timers: Timers,
    now: datetime,
) -> None:
    """Find the invitee that replaced ``old``, unless a webhook was faster. A booking whose new time Calendly does not
    know is flagged. Raises the client's errors; the job is then retried.
    """
    booking = session.get(Booking, booking_id)
    tenant = session.get_one(Builder, booking.builder_id).tenant if booking is not None else ""
    end_read(session)
    if booking is None or _is_recorded(booking, old, new):
        return
    found = fetch_latest_invitee(calendly.for_purpose(Purpose.VERIFICATION), tenant, old, new)
    with transaction(session):
        locked = bookings.lock_booking(session, booking_id)
        if _is_recorded(locked, old, new):
            return
        if found is None:
            if locked.invitee_uri == old and locked.moving_since is not None:
                attention.flag(locked, FlagCode.RESCHEDULED_UNKNOWN, now=now)
            return
        apply_latest_invitee(session, locked, *found, old=old, timers=timers, now=now)


def _is_recorded(booking: Booking, old: str, new: str | None) -> bool:
    """Whether the new invitee was recorded meanwhile."""
    return booking.invitee_uri not in (old, None) if new is None else booking.invitee_uri == new


def apply_latest_invitee(
    session: Session,
    booking: Booking,
    invitee: Invitee,
    event: ScheduledEvent,
    *,
    old: str,
    timers: Timers,
    now: datetime,
) -> None:
    """Apply the last invitee of a chain of reschedules, which begins at ``old``, in the caller's transaction."""
    is_active = invitee.status == "active"
    if invitee.uri == booking.invitee_uri:
        if is_active:
            reschedule.clear_reschedule(booking, FETCHED, now=now)
        elif booking.moving_since is not None:
            attention.flag(booking, FlagCode.RESCHEDULED_UNKNOWN, now=now)
        else:
            _record_cancellation(session, booking, invitee, now=now)
        return
    if not is_active and booking.moving_since is None and booking.invitee_uri != old:
        return  # Scheduled, rescheduled and canceled before any of it was reported.
    if not is_active:
        # Rescheduled and then canceled: both are recorded, in this order.
        booking.canceled_invitees = [uri for uri in booking.canceled_invitees if uri != invitee.uri]
    record_invitee(session, booking, slot_facts(invitee, event), FETCHED, hold=timers.hold, now=now)
    if not is_active and booking.invitee_uri == invitee.uri:
        _record_cancellation(session, booking, invitee, now=now)


def _record_cancellation(session: Session, booking: Booking, invitee: Invitee, *, now: datetime) -> None:
    by_host, at = canceled_by_host(invitee)
    cancellation.record_calendly_cancellation(
        session, booking, invitee.uri, FETCHED, by_host=by_host, at=min(at, now), now=now
    )
