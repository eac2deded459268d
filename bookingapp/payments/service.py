"""Attempts to pay, and the ledger. Every function is part of its caller's transaction and commits nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.core.db import insert_if_new
from bookingapp.integrations.stripe_gateway import CheckoutSession
from bookingapp.payments.models import EntryKind, LedgerEntry, Payment, PaymentState, Refund, RefundState

# Stripe refuses a Checkout Session that ends sooner than 30 minutes or later than 24 hours after it is made;
# the margins are for slow requests and clocks that differ.
SHORTEST = timedelta(minutes=35)
LONGEST = timedelta(hours=23, minutes=50)


@dataclass(frozen=True)
class Money:
    """What a booking's payments and refunds come to. ``status`` is one word of the outside interface; ``refund``
    is the newest refund's amount in minor units and how far it is.
    """

    status: str
    charged_minor: int
    refunded_minor: int
    refund: tuple[int, str] | None = None


def live(session: Session, booking_id: int) -> Payment | None:
    """The attempt through which money may still come in; there is at most one."""
    states = [state for state in PaymentState if state.is_live]
    return session.scalar(
        sa.select(Payment).where(Payment.booking_id == booking_id, Payment.state.in_(states))
    )


def latest(session: Session, booking_id: int) -> Payment | None:
    """The newest attempt."""
    query = (
        sa.select(Payment).where(Payment.booking_id == booking_id).order_by(Payment.attempt.desc()).limit(1)
    )
    return session.scalar(query)


def start(session: Session, booking: Booking, *, now: datetime) -> Payment:
    """The live attempt, or a new one for the booking's price snapshot. Stored before Stripe is asked, so a
    crash in between leaves a row that is tried again under the same idempotency key.
    """
    current = live(session, booking.id)
    if current is not None:
        return current
    last = latest(session, booking.id)
    ends = max(booking.hold_expires_at or now, now + SHORTEST)
    payment = Payment(
        booking_id=booking.id,
        attempt=(last.attempt if last else 0) + 1,
        state=PaymentState.STARTING,
        amount_minor=booking.price_minor,
        currency=booking.currency,
        expires_at=min(ends, now + LONGEST).replace(microsecond=0),
        created_at=now,
        updated_at=now,
    )
    session.add(payment)
    session.flush()
    return payment


def opened(payment: Payment, checkout: CheckoutSession, *, now: datetime) -> None:
    """Stripe has made the Checkout Session."""
    if payment.state is PaymentState.STARTING:
        payment.state = PaymentState.OPEN
    payment.checkout_session_id = checkout.id
    payment.checkout_url = checkout.url
    payment.updated_at = now


def end(payment: Payment, state: PaymentState, *, now: datetime) -> None:
    """The attempt is over without money, unless it was over already."""
    if payment.state.is_live:
        payment.state = state
        payment.updated_at = now


def by_checkout_session(session: Session, checkout_session_id: str) -> Payment | None:
    """The attempt behind a Checkout Session."""
    return session.scalar(sa.select(Payment).where(Payment.checkout_session_id == checkout_session_id))


def by_ref_and_attempt(session: Session, ref: str, attempt: int) -> Payment | None:
    """The attempt that a Checkout Session's metadata names."""
    query = sa.select(Payment).join(Booking, Booking.id == Payment.booking_id)
    return session.scalar(query.where(Booking.ref == ref, Payment.attempt == attempt))


def by_payment_intent(session: Session, payment_intent_id: str) -> Payment | None:
    """The attempt behind a payment intent; known once it was paid."""
    return session.scalar(sa.select(Payment).where(Payment.payment_intent_id == payment_intent_id))


def charge(session: Session, payment: Payment, checkout: CheckoutSession, *, now: datetime) -> bool:
    """Write the money that came in into the ledger, once. Returns whether it was news."""
    payment.state = PaymentState.PAID
    payment.payment_intent_id = checkout.payment_intent or payment.payment_intent_id
    payment.updated_at = now
    return _enter(
        session,
        payment,
        EntryKind.CHARGE,
        amount_minor=checkout.amount_total or 0,
        currency=checkout.currency or payment.currency,
        stripe_id=checkout.payment_intent or checkout.id,
        now=now,
    )


def enter_refund(session: Session, payment: Payment, refund: Refund, *, now: datetime) -> None:
    """Bring the ledger up to a refund's state: money that went back is entered once, and once more with the
    other sign where the bank could not deliver it (which may be weeks later).
    """
    if refund.state is RefundState.SUCCEEDED and refund.stripe_id:
        _enter_part(session, payment, refund, -refund.amount_minor, refund.stripe_id, now)
    elif refund.state is RefundState.FAILED and refund.stripe_id and _is_entered(session, refund.stripe_id):
        _enter_part(session, payment, refund, refund.amount_minor, f"{refund.stripe_id}:failed", now)


def _enter_part(
    session: Session, payment: Payment, refund: Refund, amount_minor: int, stripe_id: str, now: datetime
) -> None:
    _enter(
        session,
        payment,
        EntryKind.REFUND,
        amount_minor=amount_minor,
        currency=refund.currency,
        stripe_id=stripe_id,
        now=now,
    )


def _is_entered(session: Session, stripe_id: str) -> bool:
    query = sa.select(LedgerEntry.id).where(LedgerEntry.stripe_id == stripe_id)
    return session.scalar(query) is not None


def paid(session: Session, booking_id: int) -> Payment | None:
    """The attempt through which the booking was paid."""
    query = sa.select(Payment).where(Payment.booking_id == booking_id, Payment.state == PaymentState.PAID)
    return session.scalar(query.order_by(Payment.attempt.desc()).limit(1))


def charged_and_returned(session: Session, payment: Payment) -> tuple[int, int]:
    """What one attempt brought in, as Stripe said, and what of it goes back by refunds decided so far, whoever
    decided them and however far they are; those that failed do not count.
    """
    charges = sa.select(sa.func.sum(LedgerEntry.amount_minor)).where(
        LedgerEntry.payment_id == payment.id, LedgerEntry.kind == EntryKind.CHARGE
    )
    back = sa.select(sa.func.sum(Refund.amount_minor)).where(
        Refund.payment_id == payment.id, Refund.state != RefundState.FAILED
    )
    return int(session.scalar(charges) or 0), int(session.scalar(back) or 0)


def latest_refund(session: Session, booking_id: int) -> Refund | None:
    """The newest refund, for the pages."""
    query = sa.select(Refund).where(Refund.booking_id == booking_id).order_by(Refund.id.desc()).limit(1)
    return session.scalar(query)


def money(session: Session, booking: Booking) -> Money:
    """Where the booking's money is, from its newest attempt and its ledger."""
    query = sa.select(LedgerEntry.kind, sa.func.sum(LedgerEntry.amount_minor)).where(
        LedgerEntry.booking_id == booking.id
    )
    sums = {kind: int(total) for kind, total in session.execute(query.group_by(LedgerEntry.kind))}
    charged, refunded = sums.get(EntryKind.CHARGE, 0), -sums.get(EntryKind.REFUND, 0)
    last = latest(session, booking.id)
    status = _status(last.state, charged, refunded) if last is not None else "none"
    back = latest_refund(session, booking.id) if last is not None else None
    return Money(status, charged, refunded, (back.amount_minor, back.state.value) if back else None)


def statuses(session: Session, booking_ids: list[int]) -> dict[int, str]:
    """The payment status of many bookings in two queries; ``none`` is left out."""
    newest = (
        sa.select(Payment.booking_id, sa.func.max(Payment.attempt).label("attempt"))
        .where(Payment.booking_id.in_(booking_ids))
        .group_by(Payment.booking_id)
        .subquery()
    )
    query = sa.select(Payment.booking_id, Payment.state).join(
        newest, sa.and_(newest.c.booking_id == Payment.booking_id, newest.c.attempt == Payment.attempt)
    )
    states = dict(session.execute(query).all())
    sums: dict[int, dict[EntryKind, int]] = {}
    entries = sa.select(LedgerEntry.booking_id, LedgerEntry.kind, sa.func.sum(LedgerEntry.amount_minor))
    entries = entries.where(LedgerEntry.booking_id.in_(booking_ids)).group_by(
        LedgerEntry.booking_id, LedgerEntry.kind
    )
    for booking_id, kind, total in session.execute(entries):
        sums.setdefault(booking_id, {})[kind] = int(total)
    return {
        booking_id: _status(state, by_kind.get(EntryKind.CHARGE, 0), -by_kind.get(EntryKind.REFUND, 0))
        for booking_id, state in states.items()
        for by_kind in (sums.get(booking_id, {}),)
    }


def _status(newest: PaymentState, charged_minor: int, refunded_minor: int) -> str:
    """The outside interface's word for a booking's newest attempt and its ledger's sums."""
    if refunded_minor:
        return "refunded" if refunded_minor >= charged_minor else "partially_refunded"
    return "open" if newest is PaymentState.STARTING else newest.value


def _enter(
    session: Session,
    payment: Payment,
    kind: EntryKind,
    *,
    amount_minor: int,
    currency: str,
    stripe_id: str,
    now: datetime,
) -> bool:
    session.flush()
    values = {
        "booking_id": payment.booking_id,
        "payment_id": payment.id,
        "kind": kind,
        "amount_minor": amount_minor,
        "currency": currency,
        "stripe_id": stripe_id,
        "at": now,
    }
    return insert_if_new(session, LedgerEntry, values, ["stripe_id"]) is not None
