"""Finds out what a replay would do: applies the delivery as the worker does, in a transaction that is rolled back.

Most handlers ask the provider before they decide, and do so here. Nothing else leaves this site: calls that write, and
mails, are rows of the outbox, and those are rolled back too.
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
from bookingapp.core.claims import failure_of
from bookingapp.core.db import end_read, rolled_back, table_of
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import Job, WorkState
from bookingapp.outcomes import Awaited, Failure
from bookingapp.payments import service as payments
from bookingapp.payments.models import LedgerEntry, PaymentStatus
from bookingapp.webhooks.handlers import Context, Outcome, Step
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent
from bookingapp.webhooks.replay import why_not_replayable
from bookingapp.webhooks.routing import cause_of, prepare
from bookingapp.webhooks.tasks import is_final

log = structlog.get_logger(__name__)

# The facts of a booking that are shown; of its other columns only the names, for their contents may be private.
SHOWN: Final = ("status", "payment", "slot", "starts_at", "attention")
PAYMENT = "payment"
# These say when we were last informed, which is no change of the booking.
_NOT_SHOWN = {"updated_at", "slot_checked_at", "slot_source"}


@dataclass(frozen=True)
class Change:
    """One fact of the booking that would change: its name (one of :data:`SHOWN`), before and after."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Rehearsal:
    """How a replay would end, with the rows it would write. ``retried_later`` says that the worker would try again
    later, because the booking or payment is not known yet. In ``state`` FAILED, ``outcome`` is why it would fail.
    """

    outcome: DeliveryOutcome | Failure | Awaited
    state: WorkState
    facts: Mapping[str, str]
    retried_later: bool = False
    tracking_id: str | None = None
    changes: tuple[Change, ...] = ()
    columns: tuple[str, ...] = ()
    history: Sequence[HistoryEntry] = ()
    ledger: Sequence[LedgerEntry] = ()
    jobs: Sequence[Job] = ()

    @property
    def has_failed(self) -> bool:
        """Whether a replay would fail now."""
        return self.state is WorkState.FAILED

    @property
    def changes_nothing(self) -> bool:
        """Whether only the delivery's own row would change."""
        return not (self.changes or self.columns or self.history or self.ledger or self.jobs)


def rehearse_replay(
    session: Session, context: Context, event: InboxEvent, *, clock: Callable[[], datetime]
) -> Rehearsal:
    """Find out what a replay would do now. Raises :class:`Conflict`, with a sentence, where a replay is not possible,
    and where another writer changes the booking at this moment.
    """
    refusal = why_not_replayable(event)
    if refusal is not None:
        raise Conflict(refusal)
    end_read(session)
    with structlog.contextvars.bound_contextvars(rehearsal=event.id):
        try:
            step = prepare(context, event)
            with rolled_back(session):
                return _try_step(session, step, event, clock())
        except OperationalError as error:
            raise Conflict(gettext("The booking is changing at this moment. Please try again.")) from error
        except Exception as error:
            return _failed_rehearsal(error)


def _try_step(session: Session, step: Step, event: InboxEvent, now: datetime) -> Rehearsal:
    histories, entries, jobs = (_newest_id(session, model) for model in (HistoryEntry, LedgerEntry, Job))
    savepoint = session.begin_nested()
    outcome = step(session, cause_of(event), now)
    is_last = is_final(session, outcome, received_at=event.received_at, now=now)
    session.flush()
    after = _facts_of_booking(session, outcome)
    # This transaction's snapshot holds no newer row of another writer.
    history = session.scalars(sa.select(HistoryEntry).where(HistoryEntry.id > histories)).all()
    ledger = session.scalars(sa.select(LedgerEntry).where(LedgerEntry.id > entries)).all()
    enqueued = session.scalars(sa.select(Job).where(Job.id > jobs).order_by(Job.run_at, Job.id)).all()
    session.expunge_all()
    savepoint.rollback()
    before = _facts_of_booking(session, outcome)
    differ = [name for name, value in after.items() if value != before[name]]
    return Rehearsal(
        outcome=outcome.code,
        state=outcome.state,
        facts=outcome.facts,
        retried_later=not is_last,
        tracking_id=after.get("tracking_id"),
        changes=tuple(Change(name, before[name], after[name]) for name in SHOWN if name in differ),
        columns=tuple(name for name in differ if name not in SHOWN and name not in _NOT_SHOWN),
        history=history,
        ledger=ledger,
        jobs=enqueued,
    )


def _newest_id(session: Session, model: type[HistoryEntry | LedgerEntry | Job]) -> int:
    return session.scalar(sa.select(sa.func.max(model.id))) or 0


def _facts_of_booking(session: Session, outcome: Outcome) -> Mapping[str, Any]:
    """Every column of the outcome's booking, and the status of its payment."""
    if outcome.booking_id is None:
        return {}
    columns = sa.select(*table_of(Booking).c).where(Booking.id == outcome.booking_id)
    row = session.execute(columns).mappings().one()
    paid = payments.payment_statuses(session, [outcome.booking_id]).get(
        outcome.booking_id, PaymentStatus.NONE
    )
    open_flags = sa.select(AttentionFlag.code).where(
        AttentionFlag.booking_id == outcome.booking_id, AttentionFlag.resolved_at.is_(None)
    )
    flags = tuple(session.scalars(open_flags.order_by(AttentionFlag.id)))
    return {**row, PAYMENT: paid, "attention": flags or None}


def _failed_rehearsal(error: Exception) -> Rehearsal:
    awaited: Awaited | None = getattr(error, "awaits", None)
    if awaited is None and not hasattr(error, "retryable"):
        log.error("rehearsal_failed_unexpectedly", exc_info=error)
    return Rehearsal(awaited or failure_of(error), WorkState.FAILED, {"error": type(error).__name__})
