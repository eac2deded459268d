"""Mails that the restore of an older backup would send a second time: the lost installation has sent them already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings.mail_triggers import ABOUT_MONEY, ON_ENTERING, ON_MOVING, SEND_MAIL_JOB
from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.bookings.reminders import BEFORE, REMIND_JOB, Step, enqueue_reminder, start_stamp
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.outcomes import Done
from bookingapp.webhooks.models import InboxEvent

log = structlog.get_logger(__name__)

SENT_AFTER = timedelta(minutes=2)
"""How long a delivery and its mail may take. What happened later than that before the end may not have been mailed."""

FROM_PROVIDERS = frozenset(
    (*(mail for mails in (*ON_ENTERING.values(), *ON_MOVING.values()) for mail in mails), *ABOUT_MONEY)
)
"""The mails whose moment the booking's history and its deliveries give."""


def skip_repeated_mails(session: Session, *, served_until: datetime, now: datetime) -> int:
    """End the mails that were due before the lost installation stopped, so that they are not sent. Returns how many.

    To be called after everything was fetched, while no worker runs. A job of the copy was due at its own time. One that
    was enqueued since is about something that was fetched: it was due when that happened at the provider. Where nothing
    says when that was, the mail is sent: one too many is better than none.
    """
    last, skipped = served_until - SENT_AFTER, 0
    is_untouched = (Job.state == WorkState.RECEIVED, Job.attempts == 0)
    with transaction(session):
        jobs = sa.select(Job).where(Job.name.in_((SEND_MAIL_JOB, REMIND_JOB)), *is_untouched)
        for job in session.scalars(jobs.order_by(Job.id)).all():
            due = (
                job.run_at if job.created_at <= served_until else _due_at_provider(session, job, served_until)
            )
            if due is None or due > last:
                continue
            if job.name == REMIND_JOB:
                _enqueue_next_reminder(session, job, last, now=now)
            else:
                skipped += 1
            job.state, job.finished_at, job.outcome = WorkState.DONE, now, Done.REPEATED_BY_RESTORE
    log.info("repeated_mails_skipped", mails=skipped)
    return skipped


def _due_at_provider(session: Session, job: Job, served_until: datetime) -> datetime | None:
    """When a mail about something that was fetched since the restore was first due; None where that is not known. The
    newest of all that was fetched about its booking counts, because that is what the mail was waiting for.
    """
    if job.args.get("mail") not in FROM_PROVIDERS or "again" in job.args:
        return None
    changes = sa.select(HistoryEntry.cause_facts).where(
        HistoryEntry.booking_id == job.booking_id, HistoryEntry.at > served_until
    )
    events = sa.select(InboxEvent.signed_at).where(
        InboxEvent.booking_id == job.booking_id, InboxEvent.received_at > served_until
    )
    moments = list(session.scalars(events))
    for facts in session.scalars(changes):
        if "at" not in facts:
            return None
        moments.append(datetime.fromisoformat(facts["at"]).astimezone(UTC))
    return max(moments) + (job.run_at - job.created_at) if moments else None


def _enqueue_next_reminder(session: Session, job: Job, last: datetime, *, now: datetime) -> None:
    """Enqueue the reminder that follows one that was sent, unless that was sent as well."""
    booking = session.get_one(Booking, job.booking_id)
    if job.args["step"] != Step.DAY or booking.starts_at is None or job.args["start"] != start_stamp(booking):
        return
    run_at = booking.starts_at - BEFORE[Step.HOUR]
    if run_at > last:
        enqueue_reminder(session, booking, Step.HOUR, run_at=run_at, now=now)
