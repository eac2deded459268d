"""Completing bookings whose session has ended: confirmed ones, and those that were paid in Calendly itself. Calendly is
asked first whether the time was canceled or rescheduled without a webhook: otherwise money would be kept for a session
that did not take place.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import COMPLETE_JOB, Cause
from bookingapp.bookings.states import Event, Status
from bookingapp.builders.models import Builder
from bookingapp.checkout import reschedule
from bookingapp.checkout.calendly_invitees import fetch_latest_invitee
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, Invitee, Purpose, ScheduledEvent

log = structlog.get_logger(__name__)


@job(COMPLETE_JOB, label=lazy_gettext("completing the session"), revive=True)
def complete_booking(
    session: Session, calendly: CalendlyClient, *, booking_id: int, timers: Timers, now: datetime
) -> None:
    """Complete a booking whose end has passed, or apply the cancellation or reschedule that Calendly reports.

    Raises retryable Calendly errors; after any other error the booking is completed.
    """
    booking = session.get_one(Booking, booking_id)
    invitee_uri = booking.invitee_uri
    tenant = session.get_one(Builder, booking.builder_id).tenant
    is_due = _is_due(booking, now)
    end_read(session)
    if not is_due or invitee_uri is None:
        return
    found = _fetch_latest(calendly, tenant, invitee_uri, booking_id)
    if found is not None:
        with transaction(session):
            locked = bookings.lock_booking(session, booking_id)
            if locked.invitee_uri == invitee_uri and _is_due(locked, now):
                reschedule.apply_latest_invitee(
                    session, locked, *found, old=invitee_uri, timers=timers, now=now
                )
    _mark_completed(session, booking_id=booking_id, now=now)


def enqueue_missing_completions(session: Session, *, now: datetime) -> None:
    """Enqueue the completion of sessions that were paid in Calendly and ended before such bookings were completed."""
    ended = sa.select(Booking).where(
        Booking.status == Status.SCHEDULED, Booking.paid_in_calendly, Booking.ends_at <= now
    )
    for booking in session.scalars(ended):
        bookings.enqueue_completion(session, booking, now=now)


def _is_due(booking: Booking, now: datetime) -> bool:
    return booking.is_sure and bookings.has_ended(booking, now)


def _fetch_latest(
    calendly: CalendlyClient, tenant: str, invitee_uri: str, booking_id: int
) -> tuple[Invitee, ScheduledEvent] | None:
    try:
        return fetch_latest_invitee(calendly.for_purpose(Purpose.VERIFICATION), tenant, invitee_uri, None)
    except CalendlyError as error:
        if error.retryable:
            raise
        log.warning("completed_without_calendly", booking=booking_id, category=error.category)
        return None


def _mark_completed(session: Session, *, booking_id: int, now: datetime) -> None:
    """Complete the booking, unless it is being rescheduled: its new time ends later."""
    with transaction(session):
        booking = bookings.lock_booking(session, booking_id)
        if _is_due(booking, now) and booking.moving_since is None:
            bookings.transition(
                session, booking, Event.COMPLETE, Cause(Actor.SYSTEM, CauseCode.SESSION_ENDED), now=now
            )
