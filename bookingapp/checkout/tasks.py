"""What we still owe and when: the registered jobs of the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from bookingapp.bookings.service import CANCEL_EVENT_JOB, COMPLETE_JOB, EXPIRE_JOB
from bookingapp.checkout import cancellation, expiry, refunds, service
from bookingapp.checkout.slots import Timers
from bookingapp.core.db import transaction
from bookingapp.core.queue import Claim, WorkState, finish, work_next
from bookingapp.core.queue import Job as JobRow
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.stripe_gateway import StripeGateway


@dataclass(frozen=True)
class Context:
    """The collaborators of the jobs."""

    calendly: CalendlyClient
    stripe: StripeGateway
    timers: Timers


Job = Callable[[Session, Context, Mapping[str, Any], datetime], None]


def _expire(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    expiry.expire(
        session,
        context.stripe,
        context.calendly,
        booking_id=args["booking_id"],
        timers=context.timers,
        now=now,
    )


def _cancel_event(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    expiry.release_event(
        session,
        context.calendly,
        booking_id=args["booking_id"],
        event_uri=args["event_uri"],
        reason="This booking does not keep the time.",
    )


def _check_payment(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    service.check_payment(
        session, context.stripe, payment_id=args["payment_id"], timers=context.timers, now=now
    )


def _complete(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    expiry.complete(session, booking_id=args["booking_id"], now=now)


def _close_checkout(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    cancellation.close_checkout(session, context.stripe, payment_id=args["payment_id"], now=now)


def _refund(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    refunds.send(session, context.stripe, refund_id=args["refund_id"], now=now)


JOBS: Mapping[str, Job] = {
    EXPIRE_JOB: _expire,
    CANCEL_EVENT_JOB: _cancel_event,
    COMPLETE_JOB: _complete,
    service.CHECK_PAYMENT_JOB: _check_payment,
    cancellation.CLOSE_CHECKOUT_JOB: _close_checkout,
    refunds.REFUND_JOB: _refund,
}
"""The functions that a row of the outbox may name."""


def run_next(session: Session, context: Context, *, clock: Callable[[], datetime]) -> bool:
    """Do the job that is longest due. Returns whether there was one."""

    def do(job: JobRow, held: Claim) -> None:
        JOBS[job.name](session, context, job.args, clock())
        with transaction(session):
            finish(session, JobRow, held, state=WorkState.DONE, now=clock())

    return work_next(session, JobRow, do, clock=clock)
