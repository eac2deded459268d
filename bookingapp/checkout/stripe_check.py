"""Asking Stripe how one booking's money stands, for what no webhook has told us: its payment page, its payments, and
the refunds and disputes of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import close_checkout, incoming_payments
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.core.db import end_read, transaction
from bookingapp.core.money import format_money
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments import disputes, ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.payments.models import EntryKind, LedgerEntry, Payment, PaymentState, Refund, RefundState

ASKED = Cause(Actor.STRIPE, CauseCode.MISSED_MONEY_FETCHED)


@dataclass(frozen=True)
class _Seen:
    """A booking's money as we know it, to be compared with what we know after asking."""

    status: Status
    word: str
    movements: dict[str, str]


def fetch_missed_money(
    session: Session, stripe: StripeGateway, *, booking_id: int, timers: Timers, now: datetime
) -> list[str]:
    """Take over everything that Stripe says of a booking's money, by the code of the webhooks. Returns a sentence for
    each thing that was missing. Raises the gateway's errors.
    """
    before = _seen(session, booking_id)
    live = payments.find_live_payment(session, booking_id)
    live_id, noted = (live.id, live.checkout_session_id is not None) if live else (None, False)
    end_read(session)
    if live_id is not None and noted:
        incoming_payments.check_payment(session, stripe, payment_id=live_id, timers=timers, now=now)
    elif live_id is not None and before.status is not Status.SCHEDULED:
        close_checkout.close_attempt(
            session, stripe, payment_id=live_id, cause=ASKED, hold=timers.hold, now=now
        )
    for payment_id in _paid(session, booking_id):
        _check_paid(session, stripe, payment_id, now=now)
    with transaction(session):
        owed = sa.select(Refund).where(Refund.booking_id == booking_id, Refund.state == RefundState.ENQUEUED)
        for refund in session.scalars(owed).all():
            refunds.ensure_refund_enqueued(session, refund, now=now)
    after = _seen(session, booking_id)
    end_read(session)
    return _difference(booking_id, before, after)


def _paid(session: Session, booking_id: int) -> list[int]:
    query = sa.select(Payment.id).where(Payment.booking_id == booking_id, Payment.state == PaymentState.PAID)
    found = list(session.scalars(query.order_by(Payment.id)))
    end_read(session)
    return found


def _check_paid(session: Session, stripe: StripeGateway, payment_id: int, *, now: datetime) -> None:
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


def _seen(session: Session, booking_id: int) -> _Seen:
    session.expire_all()
    booking = session.get_one(Booking, booking_id)
    entries = sa.select(LedgerEntry).where(LedgerEntry.booking_id == booking_id).order_by(LedgerEntry.id)
    return _Seen(
        booking.status,
        payments.summarize_money(session, booking).status,
        {
            entry.stripe_id: f"{entry.kind.value} of {format_money(entry.amount_minor, entry.currency)}"
            for entry in session.scalars(entries)
        },
    )


def _difference(booking_id: int, before: _Seen, after: _Seen) -> list[str]:
    name = f"Stripe: booking {booking_id}"
    found = [
        f"{name}: {words} was missing"
        for key, words in after.movements.items()
        if key not in before.movements
    ]
    if before.word != after.word:
        found.append(f"{name}: the payment was {before.word} here, and is {after.word}")
    if before.status is not after.status:
        found.append(f"{name}: went from {before.status.value} to {after.status.value}")
    return found
