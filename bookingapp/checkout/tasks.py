"""Runs the jobs of the outbox. What each does is declared beside its function (:mod:`bookingapp.core.jobs`)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode
from bookingapp.checkout import calendly_failures
from bookingapp.core.claims import Batch, Claim, finish, work_next
from bookingapp.core.db import transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.jobs import REGISTRY, Collaborators
from bookingapp.core.queue import Job, WorkState
from bookingapp.integrations.calendly import CalendlyError


def run_next(
    session: Session, collaborators: Collaborators, batch: Batch[Job], *, clock: Callable[[], datetime]
) -> bool:
    """Run the job that is longest due. Returns whether there was one."""

    def run(job: Job, claim: Claim) -> None:
        kind = REGISTRY[job.name]
        try:
            outcome = kind.run(session, collaborators, job.args, now=clock())
        except CalendlyError as error:
            calendly_failures.flag_failure(session, kind, job, claim, error, now=clock())
            raise
        calendly_failures.resolve_failure(session, kind, job, claim, now=clock())
        with transaction(session):
            finish(session, Job, claim, state=WorkState.DONE, now=clock(), outcome=outcome)

    def give_up(job: Job, now: datetime) -> None:
        kind = REGISTRY.get(job.name)
        if kind is None or kind.flag_dead is None:
            return
        with suppress(NotFound):
            booking = bookings.lock_booking(session, job.args["booking_id"])
            attention.flag(booking, FlagCode(kind.flag_dead), now=now)

    return work_next(session, batch, run, clock=clock, give_up=give_up)
