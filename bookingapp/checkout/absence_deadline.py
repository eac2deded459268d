"""A builder who was asked whether they came, and did not answer: everything goes back to the client."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.absence_claims import DEADLINE_JOB, answer_by, claim_stamp, enqueue_deadline
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor
from bookingapp.bookings.service import Cause
from bookingapp.checkout import cancellation
from bookingapp.core.db import transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.outcomes import Done

UNANSWERED: Final = Cause(Actor.SYSTEM, CauseCode.ABSENCE_UNANSWERED)
LOOK_AGAIN: Final = timedelta(hours=1)


@job(DEADLINE_JOB, label=lazy_gettext("refunding a session whose builder did not answer"), revive=True)
def refund_unanswered(session: Session, *, booking_id: int, claimed: str, now: datetime) -> Done | None:
    """Refund everything if the builder has not answered the claim ``claimed``. One whose session is being rescheduled
    is looked at again: with a new time the claim is gone.
    """
    with transaction(session):
        booking = bookings.lock_booking(session, booking_id)
        until = answer_by(booking)
        if until is None or claim_stamp(booking) != claimed:
            return Done.NO_LONGER_TRUE
        if until > now or booking.moving_since is not None:
            enqueue_deadline(session, booking, run_at=max(until, now + LOOK_AGAIN), now=now)
            return None
        cancellation.report_absence_locked(session, booking, cause=UNANSWERED, now=now)
    return None
