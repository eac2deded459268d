"""Applies the inbox, one delivery at a time: claim, prepare, then effects and end in one commit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.core.claims import Batch, Claim, finish, requeue, retry_delay, work_next
from bookingapp.core.db import transaction
from bookingapp.core.queue import WorkState
from bookingapp.webhooks.handlers import Context, Outcome
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent
from bookingapp.webhooks.routing import ROUTES, cause_of, without_handler

log = structlog.get_logger(__name__)

YOUNG = timedelta(minutes=30)
_BODY_DELETED = Outcome(DeliveryOutcome.BODY_DELETED, WorkState.IGNORED)


def apply_next(
    session: Session, context: Context, batch: Batch[InboxEvent], *, clock: Callable[[], datetime]
) -> bool:
    """Apply the delivery that is longest due. Returns whether there was one."""

    def do(row: InboxEvent, held: Claim) -> None:
        _apply(session, context, row, held, clock)

    return work_next(session, batch, do, clock=clock)


def is_final(session: Session, outcome: Outcome, *, received_at: datetime, now: datetime) -> bool:
    """Whether the delivery has ended, in the caller's transaction: it has not while it is young and what it is about
    may still become known. If it ends with a doubt about a booking, that is flagged.
    """
    if outcome.early and now - received_at < YOUNG:
        return False
    if outcome.doubt is not None and outcome.booking_id is not None:
        attention.flag(bookings.lock_booking(session, outcome.booking_id), outcome.doubt, now=now)
    return True


def _apply(
    session: Session, context: Context, row: InboxEvent, held: Claim, clock: Callable[[], datetime]
) -> None:
    handler = ROUTES.get((row.provider, row.type))
    if handler is None or row.body is None:
        outcome = without_handler(row) if handler is None else _BODY_DELETED
        with transaction(session):
            _finish(session, row, held, outcome, clock())
        return
    step = handler(context, row.body)
    now = clock()
    with transaction(session):
        outcome = step(session, cause_of(row), now)
        if is_final(session, outcome, received_at=row.received_at, now=now):
            _finish(session, row, held, outcome, now)
        else:
            run_at = now + (retry_delay(held.attempt) or YOUNG)
            requeue(session, InboxEvent, held, run_at=run_at, outcome=outcome.code, facts=outcome.facts)
    log.info("inbox_applied", inbox=row.id, provider=row.provider, type=row.type, outcome=outcome.code)


def _finish(session: Session, row: InboxEvent, held: Claim, outcome: Outcome, now: datetime) -> None:
    finish(
        session,
        InboxEvent,
        held,
        state=outcome.state,
        now=now,
        outcome=outcome.code,
        facts=outcome.facts,
        booking_id=outcome.booking_id or row.booking_id,
    )
