"""Jobs and deliveries: created, read back, run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.bookings.slot import SlotFacts
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.core import claims, queue, services
from bookingapp.core.claims import Batch, Claim
from bookingapp.core.db import db, end_read, transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.integrations.signatures import Verified
from bookingapp.outcomes import Failure
from bookingapp.webhooks import service
from bookingapp.webhooks.intake import Intake
from bookingapp.webhooks.models import InboxEvent, Provider
from tests.factories import NOW, facts, invitee_delivery, number

Do = Callable[[Job, Claim], None]
T = TypeVar("T")


def enqueue(session: Session, key: str | None = None, *, run_at: datetime = NOW) -> bool:
    """Enqueue one more job. Commits."""
    with transaction(session):
        return queue.enqueue(session, "test", key=key or f"key-{number()}", args={}, run_at=run_at, now=NOW)


def jobs(session: Session) -> list[Job]:
    """All of them, as the database has them, by key."""
    session.expunge_all()
    session.rollback()
    found = list(session.scalars(sa.select(Job).order_by(Job.key)))
    end_read(session)
    return found


def the_job(session: Session) -> Job:
    """The only one."""
    (job,) = jobs(session)
    return job


def work(session: Session, do: Do, *, now: datetime = NOW) -> bool:
    """Let ``do`` work on the next job at ``now``."""
    return claims.work_next(session, Batch(Job), do, clock=lambda: now)


def finish(session: Session) -> Do:
    """Does nothing but end the job."""

    def do(_job: Job, held: Claim) -> None:
        with transaction(session):
            claims.finish(session, Job, held, state=WorkState.DONE, now=NOW)

    return do


def fail(error: Exception) -> Do:
    """Raises ``error``."""

    def do(_job: Job, _held: Claim) -> None:
        raise error

    return do


def at_once(app: Flask, count: int, do: Callable[[Session], T]) -> list[T]:
    """What ``do`` returns in so many threads that begin together, each with a session of its own."""
    barrier = threading.Barrier(count)

    def run(_number: int) -> T:
        with app.app_context(), Session(db.engine) as own:
            barrier.wait()
            return do(own)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count), timeout=60))


def store(provider: Provider, body: bytes, *, now: datetime = NOW, age: timedelta = timedelta()) -> None:
    """Store a delivery that was signed ``age`` ago, by the second key."""
    verified = Verified(key_index=1, signed_at=now - age)
    service.store_delivery(services.get(Intake), provider, body=body, headers={}, verified=verified, now=now)


def keep(
    session: Session,
    provider: Provider,
    body: bytes,
    *,
    state: WorkState = WorkState.DEAD,
    now: datetime = NOW,
) -> InboxEvent:
    """Store a delivery that has come to this state. Commits."""
    store(provider, body, now=now, age=timedelta(seconds=3))
    with transaction(session):
        row = newest_delivery(session)
        row.state, row.attempts = state, 8 if state is WorkState.DEAD else 0
        row.finished_at = None if state.is_open else now
        row.outcome = Failure.UNAVAILABLE if state is WorkState.DEAD else None
    end_read(session)
    return row


def invitee_created(session: Session, booking: Booking, **how: Any) -> tuple[bytes, SlotFacts]:
    """The delivery of a new invitee of this booking, and the facts in it."""
    slot = facts(booking, **how)
    content = services.get(TrackingSigner).sign(booking.tracking_id)
    return invitee_delivery("invitee.created", slot, utm_content=content, status="active"), slot


def newest_delivery(session: Session) -> InboxEvent:
    """As the database has it, attached to the session."""
    session.expunge_all()
    return session.scalars(sa.select(InboxEvent).order_by(InboxEvent.id.desc()).limit(1)).one()
