"""What a replay would do. The delivery is applied as the worker applies it, in a transaction of which nothing is kept.

The provider is asked as in earnest, because most handlers read before they decide. That is all that leaves this site:
calls that write, and mails, are rows of the outbox, and those go with the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from bookingapp.bookings.models import AttentionFlag, Booking, HistoryEntry
from bookingapp.core.claims import failure_reason
from bookingapp.core.db import end_read, rolled_back
from bookingapp.core.errors import Conflict
from bookingapp.core.queue import Job, WorkState
from bookingapp.payments import service as payments
from bookingapp.payments.models import LedgerEntry, PaymentStatus
from bookingapp.webhooks.handlers import Context, Outcome, Step
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.replay import why_not_replayable
from bookingapp.webhooks.routing import ROUTES, cause_of, nothing_to_do
from bookingapp.webhooks.tasks import is_final

log = structlog.get_logger(__name__)

BUSY = "The booking is changing at this very moment. Please rehearse once more."
# What a booking shows of itself; of its other columns only the names are told, for what is in them may be private.
SHOWN: Final = ("status", "payment", "slot", "starts_at", "attention")
PAYMENT = "payment"
# When somebody was last heard is no change of what was said.
_NOT_TOLD = {"updated_at", "slot_checked_at", "slot_source"}


@dataclass(frozen=True)
class Change:
    """Something about the booking that would be another: its name (one of :data:`SHOWN`), before and after."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Rehearsal:
    """How a replay would end, and what it would leave behind. ``failure`` says why it would not get that far;
    ``comes_again`` that the worker would try again later, because what the delivery speaks of is not known yet.
    """

    note: str
    state: WorkState
    comes_again: bool = False
    failure: str | None = None
    ref: str | None = None
    changes: tuple[Change, ...] = ()
    columns: tuple[str, ...] = ()
    history: Sequence[HistoryEntry] = ()
    ledger: Sequence[LedgerEntry] = ()
    owed: Sequence[Job] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether no row but the delivery's own would be another."""
        return not (self.changes or self.columns or self.history or self.ledger or self.owed)


def rehearse_replay(
    session: Session, context: Context, event: InboxEvent, *, clock: Callable[[], datetime]
) -> Rehearsal:
    """Find out what a replay would do now. Raises :class:`Conflict` where a replay is not possible at all, and where
    somebody else changes the booking at this moment.
    """
    words = why_not_replayable(event)
    if words is not None:
        raise Conflict(words)
    end_read(session)
    with structlog.contextvars.bound_contextvars(rehearsal=event.id):
        try:
            return _rehearse(session, context, event, clock)
        except OperationalError as error:
            raise Conflict(BUSY) from error
        except Exception as error:
            return _failed(error)


def _rehearse(
    session: Session, context: Context, event: InboxEvent, clock: Callable[[], datetime]
) -> Rehearsal:
    handler = ROUTES.get((event.provider, event.type))
    if handler is None:
        return Rehearsal(nothing_to_do(event), WorkState.IGNORED)
    step = handler(context, event.body or b"")
    with rolled_back(session):
        return _tried(session, step, event, clock())


def _tried(session: Session, step: Step, event: InboxEvent, now: datetime) -> Rehearsal:
    histories, entries, jobs = (_newest(session, model) for model in (HistoryEntry, LedgerEntry, Job))
    savepoint = session.begin_nested()
    outcome = step(session, cause_of(event), now)
    is_last = is_final(session, outcome, heard_at=event.received_at, now=now)
    session.flush()
    after = _standing(session, outcome)
    # One snapshot sees no row of anybody else's that is newer than these.
    history = session.scalars(sa.select(HistoryEntry).where(HistoryEntry.id > histories)).all()
    ledger = session.scalars(sa.select(LedgerEntry).where(LedgerEntry.id > entries)).all()
    owed = session.scalars(sa.select(Job).where(Job.id > jobs).order_by(Job.run_at, Job.id)).all()
    session.expunge_all()
    savepoint.rollback()
    before = _standing(session, outcome)
    differ = [name for name, value in after.items() if value != before[name]]
    return Rehearsal(
        note=outcome.note,
        state=outcome.state,
        comes_again=not is_last,
        ref=after.get("ref"),
        changes=tuple(Change(name, before[name], after[name]) for name in SHOWN if name in differ),
        columns=tuple(name for name in differ if name not in SHOWN and name not in _NOT_TOLD),
        history=history,
        ledger=ledger,
        owed=owed,
    )


def _newest(session: Session, model: type[HistoryEntry | LedgerEntry | Job]) -> int:
    return session.scalar(sa.select(sa.func.max(model.id))) or 0


def _standing(session: Session, outcome: Outcome) -> Mapping[str, Any]:
    """Every column of the booking that the outcome is about, and where its money is."""
    if outcome.booking_id is None:
        return {}
    columns = sa.select(*sa.inspect(Booking).local_table.c).where(Booking.id == outcome.booking_id)
    row = session.execute(columns).mappings().one()
    paid = payments.payment_statuses(session, [outcome.booking_id]).get(
        outcome.booking_id, PaymentStatus.NONE
    )
    open_flags = sa.select(AttentionFlag.code).where(
        AttentionFlag.booking_id == outcome.booking_id, AttentionFlag.resolved_at.is_(None)
    )
    flags = tuple(session.scalars(open_flags.order_by(AttentionFlag.id)))
    return {**row, PAYMENT: paid, "attention": flags or None}


def _failed(error: Exception) -> Rehearsal:
    awaited: str | None = getattr(error, "awaits", None)
    if awaited is None and not hasattr(error, "retryable"):
        log.error("rehearsal_failed_unexpectedly", exc_info=error)
    words = f"it would wait for {awaited}" if awaited else failure_reason(error)
    return Rehearsal("", WorkState.FAILED, failure=f"{words} ({type(error).__name__})")
