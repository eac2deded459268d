"""Attempts to pay, and the summary of a booking's money. Movements are in :mod:`bookingapp.payments.ledger`.

Each function is part of its caller's transaction and commits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.bookings.service import Cause
from bookingapp.integrations.stripe_gateway import CheckoutSession
from bookingapp.payments.ledger import Sums, sum_ledgers
from bookingapp.payments.models import (
    DISPUTES_HARMLESS,
    Dispute,
    Payment,
    PaymentState,
    PaymentStatus,
    Refund,
    RefundState,
)

# Stripe accepts an expiry between 30 minutes and 24 hours ahead (Stripe API, Create a Checkout Session, expires_at);
# the margins are for slow requests and clocks that differ.
SHORTEST = timedelta(minutes=35)
LONGEST = timedelta(hours=23, minutes=50)

# Built once: building one of them takes longer than executing it, and every page of a booking does.
_OF_BOOKING = sa.select(Payment).where(Payment.booking_id == sa.bindparam("booking_id"))
_LIVE = _OF_BOOKING.where(Payment.state.in_([state for state in PaymentState if state.is_live]))
_LATEST = _OF_BOOKING.order_by(Payment.attempt.desc()).limit(1)
_REFUNDS = (
    sa.select(Refund)
    .where(Refund.booking_id == sa.bindparam("booking_id"), Refund.state != RefundState.DROPPED)
    .order_by(Refund.id)
)
_DISPUTED = sa.select(Dispute.booking_id).where(
    Dispute.booking_id.in_(sa.bindparam("booking_ids", expanding=True)),
    Dispute.status.not_in(DISPUTES_HARMLESS),
)


@dataclass(frozen=True)
class MoneySummary:
    """A booking's money in minor units. ``refund`` is the amount and state of the newest refund, or of the newest that
    waits for the client's answer; ``refund_currency`` is its currency (the one that was paid in). ``taken_back_minor``
    is what banks hold for disputes. ``is_declined`` says that the last try on the open payment page failed;
    ``voucher_url`` is the page of a voucher that is not paid yet, ``receipt_url`` Stripe's receipt. ``was_released``
    says that the newest attempt was authorized, and that its money was released. ``refunds`` are all that were not
    dropped, the oldest first.
    """

    status: PaymentStatus
    charged_minor: int
    refunded_minor: int
    refund: tuple[int, RefundState] | None = None
    refund_currency: str | None = field(default=None, compare=False)
    taken_back_minor: int = field(default=0, compare=False)
    is_declined: bool = False
    voucher_url: str | None = field(default=None, compare=False)
    receipt_url: str | None = field(default=None, compare=False)
    was_released: bool = field(default=False, compare=False)
    refunds: Sequence[Refund] = field(default=(), compare=False)

    @property
    def is_here(self) -> bool:
        """Whether a payment arrived that was not refunded in full, so that no other may be asked for."""
        return self.status in (
            PaymentStatus.PAID,
            PaymentStatus.PARTIALLY_REFUNDED,
            PaymentStatus.DISPUTED,
        )


def find_live_payment(session: Session, booking_id: int) -> Payment | None:
    """The attempt that can still be paid, or None; there is at most one."""
    return session.scalar(_LIVE, {"booking_id": booking_id})


def find_latest_payment(session: Session, booking_id: int) -> Payment | None:
    """The newest attempt, or None."""
    return session.scalar(_LATEST, {"booking_id": booking_id})


def find_authorized_payment(session: Session, booking_id: int) -> Payment | None:
    """The attempt whose money is authorized and not captured, or None."""
    payment = find_live_payment(session, booking_id)
    return payment if payment is not None and payment.is_authorized else None


def start_attempt(
    session: Session,
    booking: Booking,
    *,
    start: datetime | None = None,
    captures_later: bool = False,
    now: datetime,
) -> Payment:
    """The live attempt, or a new one for the booking's price snapshot. It is stored before Stripe is called, so that
    after a crash the same attempt is repeated with the same idempotency key.
    """
    current = find_live_payment(session, booking.id)
    if current is not None:
        current.updated_at = now
        return current
    last = find_latest_payment(session, booking.id)
    ends = max(booking.hold_expires_at or now, now + SHORTEST)
    payment = Payment(
        booking_id=booking.id,
        attempt=(last.attempt if last else 0) + 1,
        state=PaymentState.STARTING,
        amount_minor=booking.price_minor,
        currency=booking.currency,
        captures_later=captures_later,
        for_start=start,
        expires_at=min(ends, now + LONGEST).replace(microsecond=0),
        created_at=now,
        updated_at=now,
    )
    session.add(payment)
    session.flush()
    return payment


def adopt_attempt(
    session: Session,
    booking: Booking,
    checkout: CheckoutSession,
    *,
    amount_minor: int,
    currency: str,
    now: datetime,
) -> Payment:
    """Store an attempt that Stripe has and we have not, for the price that its page showed. It is live only where no
    other is.
    """
    last = find_latest_payment(session, booking.id)
    is_live = find_live_payment(session, booking.id) is None
    payment = Payment(
        booking_id=booking.id,
        attempt=(last.attempt if last else 0) + 1,
        state=PaymentState.OPEN if is_live else PaymentState.EXPIRED,
        amount_minor=amount_minor,
        currency=currency,
        checkout_session_id=checkout.id,
        captures_later=checkout.capture_method == "manual",
        expires_at=checkout.expires_at or now,
        created_at=now,
        updated_at=now,
    )
    session.add(payment)
    session.flush()
    return payment


def record_opened(payment: Payment, checkout: CheckoutSession, *, now: datetime) -> None:
    """Record the Checkout Session that Stripe created for an attempt."""
    if payment.state is PaymentState.STARTING:
        payment.state = PaymentState.OPEN
    payment.checkout_session_id = checkout.id
    payment.checkout_url = checkout.url
    payment.updated_at = now


def end_attempt(payment: Payment, state: PaymentState, *, now: datetime) -> None:
    """End a live attempt without a payment; one that has ended stays as it is."""
    if payment.state.is_live:
        payment.state, payment.voucher_url = state, None
        payment.updated_at = now


def record_cause(row: Payment | Refund | Dispute, cause: Cause) -> None:
    """Record what brought an attempt, a refund or a dispute to its state."""
    row.cause, row.cause_facts = cause.code, dict(cause.facts)


def find_by_checkout_session(session: Session, checkout_session_id: str) -> Payment | None:
    """The attempt with that Checkout Session id, or None."""
    return session.scalar(sa.select(Payment).where(Payment.checkout_session_id == checkout_session_id))


def find_by_attempt(session: Session, booking_id: int, attempt: int) -> Payment | None:
    """A booking's attempt with that number, or None."""
    query = sa.select(Payment).where(Payment.booking_id == booking_id, Payment.attempt == attempt)
    return session.scalar(query)


def find_by_payment_intent(session: Session, payment_intent_id: str) -> Payment | None:
    """The attempt with that payment intent id, or None; the id is known once it was paid."""
    return session.scalar(sa.select(Payment).where(Payment.payment_intent_id == payment_intent_id))


def _list_refunds(session: Session, booking_id: int) -> Sequence[Refund]:
    """The booking's refunds that were not dropped, the oldest first."""
    return session.scalars(_REFUNDS, {"booking_id": booking_id}).all()


def _choose_shown(booking: Booking, found: Sequence[Refund]) -> Refund | None:
    """The newest refund that waits for the client, else the newest, or None."""
    waiting = attention.list_refunds(booking, FlagCode.REFUND_WAITS_FOR_CLIENT)
    return next((one for one in reversed(found) if one.id in waiting), found[-1] if found else None)


def summarize_money(session: Session, booking: Booking) -> MoneySummary:
    """Summarize the booking's money from its newest attempt, its ledger and its disputes."""
    last = find_latest_payment(session, booking.id)
    if last is None:
        return MoneySummary(PaymentStatus.NONE, 0, 0)
    found = sum_ledgers(session, [booking.id]).get(booking.id, Sums())
    status = _status(
        last.state,
        found,
        is_authorized=last.is_authorized,
        is_disputed=bool(_disputed(session, [booking.id])),
    )
    refunds = _list_refunds(session, booking.id)
    back = _choose_shown(booking, refunds)
    refund = (back.amount_minor, back.state) if back else None
    currency = back.currency if back else None
    declined = last.state is PaymentState.OPEN and last.cause is CauseCode.PAYMENT_DECLINED
    return MoneySummary(
        status,
        found.charged,
        found.refunded,
        refund,
        currency,
        found.taken_back,
        is_declined=declined,
        voucher_url=last.voucher_url,
        receipt_url=last.receipt_url if found.charged else None,
        was_released=last.state is PaymentState.EXPIRED and last.authorized_at is not None,
        refunds=refunds,
    )


def payment_statuses(session: Session, booking_ids: list[int]) -> dict[int, PaymentStatus]:
    """The payment status of many bookings in three queries; bookings without an attempt are left out."""
    newest = (
        sa.select(Payment.booking_id, sa.func.max(Payment.attempt).label("attempt"))
        .where(Payment.booking_id.in_(booking_ids))
        .group_by(Payment.booking_id)
        .subquery()
    )
    query = sa.select(Payment.booking_id, Payment.state, Payment.authorized_at).join(
        newest, sa.and_(newest.c.booking_id == Payment.booking_id, newest.c.attempt == Payment.attempt)
    )
    rows = session.execute(query).all()
    found, disputed = sum_ledgers(session, booking_ids), _disputed(session, booking_ids)
    return {
        row.booking_id: _status(
            row.state,
            found.get(row.booking_id, Sums()),
            is_authorized=row.state is PaymentState.PROCESSING and row.authorized_at is not None,
            is_disputed=row.booking_id in disputed,
        )
        for row in rows
    }


def find_released(session: Session, statuses: Mapping[int, PaymentStatus]) -> set[int]:
    """Those of the bookings, with their payment statuses, whose authorized money was released without a charge."""
    ended = [booking_id for booking_id, status in statuses.items() if status is PaymentStatus.EXPIRED]
    if not ended:
        return set()
    query = sa.select(Payment.booking_id).where(
        Payment.booking_id.in_(ended),
        Payment.state == PaymentState.EXPIRED,
        Payment.authorized_at.is_not(None),
    )
    return set(session.scalars(query))


def list_disputes(session: Session, booking_id: int) -> Sequence[Dispute]:
    """A booking's disputes, the newest first."""
    query = sa.select(Dispute).where(Dispute.booking_id == booking_id)
    return session.scalars(query.order_by(Dispute.id.desc())).all()


def _disputed(session: Session, booking_ids: list[int]) -> set[int]:
    """Those of the bookings that have an open or lost dispute."""
    return set(session.scalars(_DISPUTED, {"booking_ids": booking_ids}))


def _status(newest: PaymentState, found: Sums, *, is_authorized: bool, is_disputed: bool) -> PaymentStatus:
    """The payment status that follows from the newest attempt, the ledger's sums and the disputes."""
    if is_disputed:
        return PaymentStatus.DISPUTED
    if found.charged_open:
        # Other attempts beside the paid one do not matter.
        return PaymentStatus.PARTIALLY_REFUNDED if found.refunded_of_open else PaymentStatus.PAID
    if found.charged:
        return PaymentStatus.REFUNDED
    if is_authorized:
        return PaymentStatus.AUTHORIZED
    return PaymentStatus.OPEN if newest is PaymentState.STARTING else PaymentStatus(newest)
