"""Money back: decided in one transaction, asked of Stripe by the worker, entered when Stripe says so."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Booking
from bookingapp.core.db import release, transaction
from bookingapp.core.queue import enqueue
from bookingapp.integrations.stripe_gateway import Refund as StripeRefund
from bookingapp.integrations.stripe_gateway import Rejected, StripeGateway
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, Refund, RefundState

log = structlog.get_logger(__name__)

REFUND_JOB = "payments.refund"
METADATA_KEY = "refund"
MADE_OUTSIDE = "made in Stripe's dashboard"
REFUSED = "Stripe refused a refund that is owed: it has to be made by hand."

_STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}


def owe(
    session: Session,
    booking: Booking,
    payment: Payment | None,
    *,
    amount_minor: int,
    reason: str,
    now: datetime,
) -> Refund | None:
    """Decide a refund, in the caller's transaction. None where nothing was paid or nothing is to go back."""
    if payment is None or amount_minor <= 0:
        return None
    refund = Refund(
        booking_id=booking.id,
        payment_id=payment.id,
        token=secrets.token_urlsafe(12),
        state=RefundState.OWED,
        amount_minor=amount_minor,
        currency=payment.currency,
        reason=reason,
        created_at=now,
        updated_at=now,
    )
    session.add(refund)
    session.flush()
    args = {"refund_id": refund.id}
    enqueue(session, REFUND_JOB, key=f"refund:{refund.id}", args=args, run_at=now, now=now)
    return refund


def send(session: Session, stripe: StripeGateway, *, refund_id: int, now: datetime) -> None:
    """Ask Stripe for a refund that is owed. The key stays the same for every try, and Stripe's own list is
    looked at first, because Stripe forgets keys after a day. Raises the gateway's errors, to be tried again.
    """
    refund = session.get(Refund, refund_id)
    payment = session.get(Payment, refund.payment_id) if refund else None
    release(session)
    if refund is None or payment is None or payment.payment_intent_id is None:
        return
    if refund.state is not RefundState.OWED:
        return
    intent = payment.payment_intent_id
    known = [one for one in stripe.list_refunds(intent) if one.metadata.get(METADATA_KEY) == refund.token]
    try:
        answer = known[0] if known else _ask(stripe, intent, refund)
    except Rejected as error:
        log.warning("refund_refused", refund=refund_id, code=error.code)
        with transaction(session):
            booking = bookings.lock(session, refund.booking_id)
            session.get_one(Refund, refund_id).state = RefundState.FAILED
            bookings.flag(booking, REFUSED)
        return
    with transaction(session):
        record(session, intent, [answer], now=now)


def _ask(stripe: StripeGateway, payment_intent: str, refund: Refund) -> StripeRefund:
    return stripe.create_refund(
        payment_intent,
        refund.amount_minor,
        reason="requested_by_customer",
        metadata={METADATA_KEY: refund.token},
        idempotency_key=f"refund-{refund.token}",
    )


def record(
    session: Session, payment_intent_id: str, refunds: Iterable[StripeRefund], *, now: datetime
) -> int | None:
    """Take over what Stripe says of a payment's refunds, whoever made them, in the caller's transaction.
    Returns the booking's id, or None where the payment is not (yet) known.
    """
    payment = payments.by_payment_intent(session, payment_intent_id)
    if payment is None:
        return None
    booking = bookings.lock(session, payment.booking_id)
    for theirs in refunds:
        ours = _ours(session, payment, theirs, now)
        before, ours.state = ours.state, _STATES.get(theirs.status, RefundState.PENDING)
        ours.stripe_id, ours.updated_at = theirs.id, now
        if ours.state is RefundState.FAILED and before is not RefundState.FAILED:
            bookings.flag(booking, "A refund could not be delivered: it has to be paid out another way.")
        payments.enter_refund(session, payment, ours, now=now)
    return booking.id


def _ours(session: Session, payment: Payment, theirs: StripeRefund, now: datetime) -> Refund:
    """Our row of a refund at Stripe; a new one for a refund that we did not make."""
    same = sa.or_(Refund.stripe_id == theirs.id, Refund.token == theirs.metadata.get(METADATA_KEY, theirs.id))
    row = session.scalar(sa.select(Refund).where(same, Refund.payment_id == payment.id))
    if row is None:
        row = Refund(
            booking_id=payment.booking_id,
            payment_id=payment.id,
            token=secrets.token_urlsafe(12),
            state=RefundState.PENDING,
            amount_minor=theirs.amount_minor,
            currency=theirs.currency,
            reason=MADE_OUTSIDE,
            created_at=now,
            updated_at=now,
        )
        session.add(row)
    return row
