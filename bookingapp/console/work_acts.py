"""What operators do to deliveries, jobs and times without a booking, each with its row of the record. Part of the
caller's transaction; commits nothing.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from bookingapp.bookings import unattached
from bookingapp.bookings.models import Actor
from bookingapp.console.acts import Decision, record_act
from bookingapp.console.models import ActCode, SubjectKind
from bookingapp.core.errors import Conflict, NotFound
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import Job, Restart, restart
from bookingapp.webhooks import replay
from bookingapp.webhooks.models import InboxEvent


def replay_delivery(session: Session, delivery_id: int, decision: Decision) -> None:
    """Let the worker apply a delivery again. Raises :class:`Conflict` where that is not possible."""
    event = session.get(InboxEvent, delivery_id)
    if event is None:
        raise NotFound
    replay.replay_delivery(session, event, now=decision.now)
    record_act(session, ActCode.DELIVERY_REPLAYED, (SubjectKind.DELIVERY, event.id), decision)


def set_delivery_aside(session: Session, delivery_id: int, decision: Decision) -> None:
    """Accept that a dead delivery is never applied: what it was about is settled elsewhere. Raises :class:`Conflict`
    where it is not dead.
    """
    event = session.get(InboxEvent, delivery_id)
    if event is None:
        raise NotFound
    replay.set_aside(session, event)
    subject = SubjectKind.DELIVERY, event.id
    record_act(session, ActCode.DELIVERY_SET_ASIDE, subject, decision, outcome=event.outcome)


def read_body(session: Session, delivery_id: int, decision: Decision) -> None:
    """Record that the operator reads a delivery's body."""
    record_act(session, ActCode.BODY_READ, (SubjectKind.DELIVERY, delivery_id), decision)


def retry_job(session: Session, job_id: int, decision: Decision) -> None:
    """Make a dead job due again with all its tries. Raises :class:`Conflict` where it is not dead."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound
    if not restart(session, Job, job_id, now=decision.now, outcome=Restart.RETRIED):
        raise Conflict(gettext("It has not ended yet: the worker will run it."))
    record_act(session, ActCode.JOB_RETRIED, (SubjectKind.JOB, job.id), decision, name=job.name)


def keep_unattached(session: Session, number: int, decision: Decision) -> None:
    """Accept a time in Calendly that belongs to no booking. Raises :class:`NotFound` where it is settled already."""
    builder_id = unattached.keep_unattached(session, None, number, by=Actor.OPERATOR, now=decision.now)
    subject = SubjectKind.UNATTACHED, number
    record_act(session, ActCode.UNATTACHED_KEPT, subject, decision, builder_id=builder_id)
