"""What operators do to deliveries, jobs and times without a booking, each with its row of the record. Part of the
caller's transaction; commits nothing.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import unattached
from bookingapp.bookings.models import Actor
from bookingapp.console.acts import record_act
from bookingapp.console.models import ActCode, SubjectKind
from bookingapp.core.errors import Conflict, NotFound
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import Job, Restart, restart
from bookingapp.webhooks import replay
from bookingapp.webhooks.models import InboxEvent


def replay_delivery(
    session: Session, delivery_id: int, *, operator_id: int, reason: str, now: datetime
) -> None:
    """Let the worker apply a delivery again. Raises :class:`Conflict` where that is not possible."""
    event = session.get(InboxEvent, delivery_id)
    if event is None:
        raise NotFound
    replay.replay_delivery(session, event, now=now)
    subject = SubjectKind.DELIVERY, event.id
    record_act(session, ActCode.DELIVERY_REPLAYED, subject, operator_id=operator_id, reason=reason, now=now)


def read_body(session: Session, delivery_id: int, *, operator_id: int, reason: str, now: datetime) -> None:
    """Record that the operator reads a delivery's body."""
    subject = SubjectKind.DELIVERY, delivery_id
    record_act(session, ActCode.BODY_READ, subject, operator_id=operator_id, reason=reason, now=now)


def retry_job(session: Session, job_id: int, *, operator_id: int, reason: str, now: datetime) -> None:
    """Make a dead job due again with all its tries. Raises :class:`Conflict` where it is not dead."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound
    if not restart(session, Job, job_id, now=now, outcome=Restart.RETRIED):
        raise Conflict(gettext("It has not ended yet: the worker will run it."))
    subject = SubjectKind.JOB, job.id
    record_act(
        session,
        ActCode.JOB_RETRIED,
        subject,
        operator_id=operator_id,
        reason=reason,
        now=now,
        name=job.name,
    )


def keep_unattached(session: Session, number: int, *, operator_id: int, reason: str, now: datetime) -> None:
    """Accept a time in Calendly that belongs to no booking. Raises :class:`NotFound` where it is settled already."""
    builder_id = unattached.keep_unattached(session, None, number, by=Actor.OPERATOR, now=now)
    record_act(
        session,
        ActCode.UNATTACHED_KEPT,
        (SubjectKind.UNATTACHED, number),
        operator_id=operator_id,
        builder_id=builder_id,
        reason=reason,
        now=now,
    )
