"""Asks both providers about one booking, at the press of a button: a job, because it may take long, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.core.db import end_read
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import OPEN, Job, enqueue
from bookingapp.sync.models import Reconciliation
from bookingapp.sync.reconciliation import reconcile_booking
from bookingapp.webhooks.handlers import Context

CHECK_JOB = "providers.check_booking"


@dataclass(frozen=True)
class Check:
    """The newest check of a booking: its job, and its report once it is done."""

    job: Job
    report: Reconciliation | None


@job(CHECK_JOB, label=lazy_gettext("a check with Stripe and Calendly"))
def check_booking(session: Session, context: Context, *, booking_id: int, now: datetime) -> None:
    """Compare one booking with both providers, repair it, and store the report."""
    booking = session.get(Booking, booking_id)
    name = booking.tracking_id if booking is not None else None
    end_read(session)
    if name is not None:
        reconcile_booking(session, context, name=name, now=now)


def request_check(session: Session, booking: Booking, *, actor: Actor, now: datetime) -> bool:
    """Enqueue a check of a booking that the caller has locked, in the caller's transaction. Returns False where one is
    under way.
    """
    mine = sa.select(Job.id).where(Job.booking_id == booking.id, Job.name == CHECK_JOB)
    if session.scalar(mine.where(sa.text(OPEN)).limit(1)) is not None:
        return False
    key = f"{CHECK_JOB}:{booking.id}:{now.timestamp():.6f}"
    args = {"booking_id": booking.id}
    bookings.record_act(session, booking, Cause(actor, CauseCode.CHECK_REQUESTED), now=now)
    return enqueue(session, CHECK_JOB, key=key, args=args, run_at=now, now=now)


def find_check(session: Session, booking: Booking) -> Check | None:
    """The newest check that a person asked for, or None."""
    mine = sa.select(Job).where(Job.booking_id == booking.id, Job.name == CHECK_JOB)
    newest = session.scalar(mine.order_by(Job.id.desc()).limit(1))
    if newest is None:
        return None
    if newest.state.is_open:
        return Check(newest, None)
    reports = sa.select(Reconciliation).where(
        Reconciliation.booking_id == booking.id, Reconciliation.at >= newest.created_at
    )
    return Check(newest, session.scalar(reports.order_by(Reconciliation.id.desc()).limit(1)))
