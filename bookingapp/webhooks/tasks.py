"""Applies the inbox, one delivery at a time: claim, prepare, then effects and end in one commit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention, lookup
from bookingapp.bookings import service as bookings
from bookingapp.core.claims import Batch, Claim, finish, requeue, retry_delay, work_next
from bookingapp.core.db import transaction
from bookingapp.webhooks.handlers import YOUNG, Context, Outcome
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.routing import cause_of, prepare

log = structlog.get_logger(__name__)


def apply_next(
    session: Session, context: Context, batch: Batch[InboxEvent], *, clock: Callable[[], datetime]
) -> bool:
    """Apply the delivery that is longest due. Returns whether there was one."""

    def do(row: InboxEvent, held: Claim) -> None:
        _apply_delivery(session, context, row, held, clock)

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


def _apply_delivery(
    session: Session, context: Context, row: InboxEvent, held: Claim, clock: Callable[[], datetime]
) -> None:
    step = prepare(context, row)
    now = clock()
    with transaction(session):
        outcome = step(session, cause_of(row), now)
        code, facts = outcome.code, outcome.facts
        if is_final(session, outcome, received_at=row.received_at, now=now):
            about: dict[str, Any] = {"booking_id": outcome.booking_id or row.booking_id}
            if lookup.is_erased(session, about["booking_id"]):
                about |= {"body": None, "headers": {}}
            finish(
                session, InboxEvent, held, state=outcome.state, now=now, outcome=code, facts=facts, **about
            )
        else:
            run_at = now + (retry_delay(held.attempt) or YOUNG)
            requeue(session, InboxEvent, held, run_at=run_at, outcome=code, facts=facts)
    log.info("inbox_applied", inbox=row.id, provider=row.provider, type=row.type, outcome=code)
