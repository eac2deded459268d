"""Erases one booking: what is about people goes, what the law asks for of its payments stays without a person.

A client's request and the retention both come here. Each function is part of its caller's transaction and commits
nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings.attention import is_flagged
from bookingapp.bookings.codes import ATTENDANCE_FLAGS, CauseCode, FlagCode
from bookingapp.bookings.erased import INSTEAD, impersonal
from bookingapp.bookings.models import Actor, Booking, HistoryEntry, Note, SlotRequest
from bookingapp.bookings.service import Cause, record_act
from bookingapp.console.models import OperatorAct, SubjectKind
from bookingapp.core.db import Base, table_of
from bookingapp.core.queue import ENDED, Job
from bookingapp.payments import service as payments
from bookingapp.payments.models import Dispute, Payment, Refund, RefundState
from bookingapp.webhooks.models import InboxEvent

log = structlog.get_logger(__name__)


class Obstacle(enum.StrEnum):
    """Why a booking cannot be erased yet."""

    OPEN = "open"  # It has not ended.
    PAYMENT = "payment"  # A payment is under way.
    REFUND = "refund"
    DISPUTE = "dispute"
    ATTENDANCE = "attendance"  # It is not decided who came.


_REFUNDS_BY_HAND: Final = (FlagCode.REFUND_REFUSED, FlagCode.REFUND_UNDELIVERED)
"""Money that the client is still to get. To send it by hand, a person needs the name and the address."""


def find_obstacle(session: Session, booking: Booking) -> Obstacle | None:
    """Why the booking cannot be erased now, or None."""
    if not booking.status.is_final or booking.restoring_since is not None:
        return Obstacle.OPEN
    if payments.find_live_payment(session, booking.id) is not None:
        return Obstacle.PAYMENT
    going_back = sa.select(Refund.id).where(
        Refund.booking_id == booking.id, Refund.state.in_((RefundState.ENQUEUED, RefundState.PENDING))
    )
    if session.scalar(going_back.limit(1)) is not None or is_flagged(booking, *_REFUNDS_BY_HAND):
        return Obstacle.REFUND
    if any(one.is_open for one in payments.list_disputes(session, booking.id)):
        return Obstacle.DISPUTE
    return Obstacle.ATTENDANCE if is_flagged(booking, *ATTENDANCE_FLAGS) else None


def erase_booking(session: Session, booking: Booking, actor: Actor, *, now: datetime) -> None:
    """Erase a locked booking that has no obstacle: name, addresses, answers, place, notes, the time that was chosen on
    our list, search words, facts of the history that are about a person, addresses of payment pages, jobs that are
    done, bodies of deliveries, and the reasons that operators wrote. Its row, its times, and its money stay.

    What Calendly and Stripe still report about it brings nothing back: see ``Booking`` and ``webhooks.tasks``.
    """
    if booking.erased_at is not None:
        return
    record_act(session, booking, Cause(actor, CauseCode.DATA_ERASED), now=now)
    session.flush()
    for model in (HistoryEntry, Payment, Refund, Dispute):
        _clear_causes(session.scalars(sa.select(model).where(model.booking_id == booking.id)))
    for flag in booking.flags:
        flag.facts = impersonal(flag.facts)
    _clear_tables(session, booking.id)
    booking.erased_at = now
    for name, value in INSTEAD.items():
        setattr(booking, name, value)
    session.flush()
    log.info("booking_erased", booking=booking.id, actor=actor)


def delete_booking(session: Session, booking_id: int) -> None:
    """Delete an erased booking with every row that belongs to it: payments, ledger, history, deliveries, jobs."""
    bookings = table_of(Booking)
    session.execute(sa.delete(Job).where(Job.booking_id == booking_id))
    for table in reversed(Base.metadata.sorted_tables):
        for column in table.columns:
            if any(key.column.table is bookings for key in column.foreign_keys):
                session.execute(sa.delete(table).where(column == booking_id))
    session.execute(sa.delete(Booking).where(Booking.id == booking_id))


def _clear_causes(rows: Iterable[HistoryEntry | Payment | Refund | Dispute]) -> None:
    for row in rows:
        if (facts := impersonal(row.cause_facts)) != row.cause_facts:
            row.cause_facts = facts


def _clear_tables(session: Session, booking_id: int) -> None:
    of_inbox = sa.select(InboxEvent.id).where(InboxEvent.booking_id == booking_id)
    of_outbox = sa.select(Job.id).where(Job.booking_id == booking_id)
    act = OperatorAct
    about = (
        sa.and_(act.subject_kind == SubjectKind.BOOKING, act.subject_id == booking_id),
        sa.and_(act.subject_kind == SubjectKind.DELIVERY, act.subject_id.in_(of_inbox)),
        sa.and_(act.subject_kind == SubjectKind.JOB, act.subject_id.in_(of_outbox)),
    )
    statements: tuple[sa.Update | sa.Delete, ...] = (
        *(sa.update(act).where(one).values(reason="") for one in about),
        sa.delete(SlotRequest).where(SlotRequest.booking_id == booking_id),
        sa.delete(Note).where(Note.booking_id == booking_id),
        sa.update(Payment)
        .where(Payment.booking_id == booking_id)
        .values(checkout_url=None, voucher_url=None, receipt_url=None),
        # One that is not applied yet loses its body when it is (``webhooks.tasks``).
        sa.update(InboxEvent)
        .where(InboxEvent.booking_id == booking_id, sa.text(ENDED))
        .values(body=None, headers={}),
        sa.delete(Job).where(Job.booking_id == booking_id, sa.text(ENDED)),
    )
    for statement in statements:
        session.execute(statement.execution_options(synchronize_session=False))
