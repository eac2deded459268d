"""Fetches one booking's money from Stripe, for what no webhook delivered: its payment page, its payments, and the
refunds and disputes of each. The reconciliation of all bookings is in :mod:`bookingapp.sync.reconciliation`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import close_checkout, incoming_payments
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments import disputes, ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.payments.models import EntryKind, LedgerEntry, Payment, PaymentState, Refund, RefundState

ASKED = Cause(Actor.STRIPE, CauseCode.MISSED_MONEY_FETCHED)


Finding = dict[str, Any]
"""A code with its facts, as a report stores it (:func:`finding`)."""


class MoneyFinding(enum.StrEnum):
    """What Stripe knew of a booking's money and we did not, with the facts beside ``booking_id``."""

    MOVEMENT = "stripe_movement"  # kind: an EntryKind; amount_minor, currency
    PAYMENT_STATUS = "stripe_payment_status"  # before, after
    BOOKING_STATUS = "stripe_booking_status"  # before, after


@dataclass(frozen=True)
class _KnownMoney:
    """A booking's money as we know it: ``movements`` are the facts of its ledger entries, by Stripe's id."""

    status: Status
    payment_status: str
    movements: dict[str, dict[str, Any]]


def finding(code: enum.StrEnum, **facts: object) -> Finding:
    """A finding of a reconciliation: a code, and facts that JSON can hold."""
    return {"code": code, "facts": facts}


def fetch_missed_money(
    session: Session, stripe: StripeGateway, *, booking_id: int, timers: Timers, now: datetime
) -> list[Finding]:
    """Record everything that Stripe says of a booking's money, by the code of the webhooks. Returns what was missing
    here. Raises the gateway's errors.
    """
    before = _read_known_money(session, booking_id)
    live = payments.find_live_payment(session, booking_id)
    live_id, has_session = (live.id, live.checkout_session_id is not None) if live else (None, False)
    end_read(session)
    if live_id is not None and has_session:
        incoming_payments.check_payment(session, stripe, payment_id=live_id, timers=timers, now=now)
    elif live_id is not None and before.status not in (Status.PENDING, Status.SCHEDULED):
        close_checkout.close_attempt(
            session, stripe, payment_id=live_id, cause=ASKED, hold=timers.hold, now=now
        )
    for payment_id in _list_paid_payments(session, booking_id):
        fetch_refunds_and_disputes(session, stripe, payment_id=payment_id, now=now)
    with transaction(session):
        enqueued = sa.select(Refund).where(
            Refund.booking_id == booking_id, Refund.state == RefundState.ENQUEUED
        )
        for refund in session.scalars(enqueued).all():
            refunds.ensure_refund_enqueued(session, refund, now=now)
    after = _read_known_money(session, booking_id)
    end_read(session)
    return list(_list_differences(booking_id, before, after))


def _list_paid_payments(session: Session, booking_id: int) -> list[int]:
    query = sa.select(Payment.id).where(Payment.booking_id == booking_id, Payment.state == PaymentState.PAID)
    found = list(session.scalars(query.order_by(Payment.id)))
    end_read(session)
    return found


@job(
    incoming_payments.FETCH_MONEY_BACK_JOB,
    label=lazy_gettext("asking Stripe about refunds and disputes"),
    revive=True,
)
def fetch_refunds_and_disputes(
    session: Session, stripe: StripeGateway, *, payment_id: int, now: datetime
) -> None:
    """Record the refunds, disputes and fee of a paid attempt, as Stripe has them. Raises the gateway's errors."""
    intent = session.get_one(Payment, payment_id).payment_intent_id
    fee = sa.select(LedgerEntry.id).where(
        LedgerEntry.payment_id == payment_id, LedgerEntry.kind == EntryKind.FEE
    )
    fee_known = session.scalar(fee.limit(1)) is not None
    end_read(session)
    if intent is None:
        return
    back, disputed = stripe.list_refunds(intent), stripe.list_disputes(intent)
    balance = None if fee_known else stripe.retrieve_payment_intent(intent).balance
    with transaction(session):
        refunds.record_refunds(session, intent, back, cause=ASKED, now=now)
        for one in disputed:
            disputes.record_dispute(session, one, ASKED, now=now)
        payment = session.get_one(Payment, payment_id)
        payment.checked_at = now
        ledger.enter_fee(session, payment, balance, now=now)


def _read_known_money(session: Session, booking_id: int) -> _KnownMoney:
    session.expire_all()
    booking = session.get_one(Booking, booking_id)
    entries = sa.select(LedgerEntry).where(LedgerEntry.booking_id == booking_id).order_by(LedgerEntry.id)
    return _KnownMoney(
        booking.status,
        payments.summarize_money(session, booking).status,
        {
            one.stripe_id: {"kind": one.kind, "amount_minor": one.amount_minor, "currency": one.currency}
            for one in session.scalars(entries)
        },
    )


def _list_differences(booking_id: int, before: _KnownMoney, after: _KnownMoney) -> Iterator[Finding]:
    for key, movement in after.movements.items():
        if key not in before.movements:
            yield finding(MoneyFinding.MOVEMENT, booking_id=booking_id, **movement)
    for code, was, now_is in (
        (MoneyFinding.PAYMENT_STATUS, before.payment_status, after.payment_status),
        (MoneyFinding.BOOKING_STATUS, before.status, after.status),
    ):
        if was != now_is:
            yield finding(code, booking_id=booking_id, before=was, after=now_is)
