"""Fetches from Calendly the time of a booking that is paid and has none, and flags the booking after ten minutes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking, Slot
from bookingapp.bookings.service import FIND_TIME_JOB
from bookingapp.bookings.states import Status
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import CalendlyError, Purpose
from bookingapp.sync.calendly_events import fetch_missed_invitees
from bookingapp.webhooks.handlers import Context


@job(FIND_TIME_JOB, label=lazy_gettext("a question to Calendly for the time"))
def find_missing_time(
    session: Session, context: Context, *, booking_id: int, last: bool, now: datetime
) -> None:
    """Fetch the time of a booking that is paid and has none; if there is one, it confirms the booking.

    If there is none after the ``last`` try, or Calendly did not answer, flag the booking. Raises the client's errors.
    """
    booking = session.get(Booking, booking_id)
    end_read(session)
    if booking is None or not _lacks_time(booking):
        return
    try:
        fetch_missed_invitees(
            session,
            context,
            builder_id=booking.builder_id,
            since=booking.created_at,
            purpose=Purpose.VERIFICATION,
            now=now,
        )
    except CalendlyError:
        _flag_paid_without_time(session, booking_id, is_last=last, now=now)
        raise
    _flag_paid_without_time(session, booking_id, is_last=last, now=now)


def _flag_paid_without_time(session: Session, booking_id: int, *, is_last: bool, now: datetime) -> None:
    if not is_last:
        return
    with transaction(session):
        locked = bookings.lock_booking(session, booking_id)
        if _lacks_time(locked):
            attention.flag(locked, FlagCode.PAID_WITHOUT_TIME, now=now)


def _lacks_time(booking: Booking) -> bool:
    return booking.status is Status.PAID and booking.slot is not Slot.ACTIVE
