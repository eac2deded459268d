"""Jobs for which Calendly keeps failing: each flags its booking, and stays in the queue to be retried."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode
from bookingapp.core.claims import BACKOFF, PATIENT, Claim, retry_delay
from bookingapp.core.db import transaction
from bookingapp.core.jobs import JobType
from bookingapp.core.queue import Job, enqueue
from bookingapp.integrations.calendly import CalendlyError

PAUSE = timedelta(hours=1)
_AGAIN = "#again-"


def flag_failure(
    session: Session, kind: JobType, job: Job, held: Claim, error: CalendlyError, *, now: datetime
) -> None:
    """Flag the booking of a job after Calendly refused it or failed for hours. The job is retried; after its last try
    the same job is enqueued again an hour later.
    """
    if kind.flag is None or hasattr(error, "awaits"):
        return
    tries = held.attempt - held.waits
    if error.retryable and retry_delay(tries, schedule=BACKOFF) is not None:
        return
    is_last = error.retryable and retry_delay(tries, schedule=PATIENT) is None
    with transaction(session):
        booking = bookings.lock_booking(session, job.args["booking_id"])
        attention.flag(booking, FlagCode(kind.flag), now=now)
        if is_last:
            base, _, number = job.key.partition(_AGAIN)
            key = f"{base}{_AGAIN}{int(number or 0) + 1}"
            enqueue(session, job.name, key=key, args=job.args, run_at=now + PAUSE, now=now)


def resolve_failure(session: Session, kind: JobType, job: Job, claim: Claim, *, now: datetime) -> None:
    """Resolve the flag of a job that succeeded after all."""
    was_flagged = _AGAIN in job.key or claim.attempt - claim.waits > len(BACKOFF)
    # Whether a reschedule is known after its job ran is for that job to say, by what Calendly answered.
    if kind.flag in (None, FlagCode.RESCHEDULED_UNKNOWN) or not was_flagged:
        return
    with transaction(session):
        booking = bookings.lock_booking(session, job.args["booking_id"])
        attention.resolve(booking, FlagCode(kind.flag), now=now)
