"""Applying the inbox, one row at a time: claim, prepare, then effects and end in one commit."""

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
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.routing import ROUTES, cause_of, nothing_to_do

log = structlog.get_logger(__name__)

YOUNG = timedelta(minutes=30)
BODY_GONE = "its body is not kept any more"


def apply_next(
    session: Session, context: Context, hand: Batch[InboxEvent], *, clock: Callable[[], datetime]
) -> bool:
    """Apply the delivery that is longest due. Returns whether there was one."""

    def do(row: InboxEvent, held: Claim) -> None:
        _apply(session, context, row, held, clock)

    return work_next(session, hand, do, clock=clock)


def is_final(session: Session, outcome: Outcome, *, heard_at: datetime, now: datetime) -> bool:
    """Whether an outcome is the last word, in the caller's transaction. It is not while what it speaks of may still
    come; where it never came, and there is a doubt about a booking, a person looks.
    """
    if outcome.early and now - heard_at < YOUNG:
        return False
    if outcome.doubt is not None and outcome.booking_id is not None:
        attention.flag(bookings.lock_booking(session, outcome.booking_id), outcome.doubt, now=now)
    return True


def _apply(
    session: Session, context: Context, row: InboxEvent, held: Claim, clock: Callable[[], datetime]
) -> None:
    handler = ROUTES.get((row.provider, row.type))
    if handler is None or row.body is None:
        note = nothing_to_do(row) if handler is None else BODY_GONE
        with transaction(session):
            finish(session, InboxEvent, held, state=WorkState.IGNORED, now=clock(), note=note)
        return
    step = handler(context, row.body)
    now = clock()
    with transaction(session):
        outcome = step(session, cause_of(row), now)
        if not is_final(session, outcome, heard_at=row.received_at, now=now):
            requeue(
                session,
                InboxEvent,
                held,
                run_at=now + (retry_delay(held.attempt) or YOUNG),
                note=outcome.note,
            )
        else:
            about = outcome.booking_id or row.booking_id
            finish(
                session,
                InboxEvent,
                held,
                state=outcome.state,
                now=now,
                note=outcome.note,
                booking_id=about,
            )
    log.info("inbox_applied", inbox=row.id, provider=row.provider, type=row.type, outcome=outcome.note)
