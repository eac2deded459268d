"""Lists jobs of the outbox, with the bookings that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.core.errors import NotFound
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.queue import DEAD, OPEN, Job, WorkState

STATE_LABELS: Final[Mapping[WorkState, str]] = {
    WorkState.DEAD: lazy_gettext("Given up"),
    WorkState.FAILED: lazy_gettext("Will be retried"),
    WorkState.RECEIVED: lazy_gettext("Waiting"),
    WorkState.PROCESSING: lazy_gettext("Being run"),
}


class ListedJob(NamedTuple):
    """A job, and the booking that it is about, if there is one: its tracking id and title."""

    job: Job
    tracking_id: str | None
    title: str | None


def list_jobs(
    session: Session, *, is_open: bool, after: tuple[datetime, int] | None, limit: int
) -> Sequence[ListedJob]:
    """At most ``limit`` dead jobs, the newest first, or open ones, the next due first, behind the place ``after``."""
    query = sa.select(Job, Booking.tracking_id, Booking.title).where(sa.text(OPEN if is_open else DEAD))
    query = query.outerjoin(Booking, Booking.id == Job.booking_id)
    if is_open:
        query = query.order_by(Job.run_at, Job.id)
        query = query if after is None else query.where(sa.tuple_(Job.run_at, Job.id) > sa.tuple_(*after))
    else:
        query = query.order_by(Job.id.desc())
        query = query if after is None else query.where(Job.id < after[1])
    return [ListedJob(*row) for row in session.execute(query.limit(limit))]


def list_jobs_about(session: Session, booking_id: int, *, limit: int) -> Sequence[Job]:
    """At most ``limit`` of the newest jobs about a booking, the oldest first."""
    query = sa.select(Job).where(Job.booking_id == booking_id)
    return session.scalars(query.order_by(Job.id.desc()).limit(limit)).all()[::-1]


def get_job(session: Session, job_id: int) -> Job:
    """One job. Raises :class:`NotFound`."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound
    return job
