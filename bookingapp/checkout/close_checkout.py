"""The end of an attempt to pay: no Checkout Session of it can be paid any more, also where we died between Stripe's
making one and our noting its id. Such an orphan is found by what its metadata says.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.checkout.calendly_slot import CLOSE_CHECKOUT_JOB, CLOSE_FOR_BOOKING_JOB
from bookingapp.checkout.incoming_payments import apply_checkout
from bookingapp.core.db import end_read, transaction
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.stripe_gateway import CheckoutSession, StripeGateway
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState

log = structlog.get_logger(__name__)

# Longer than any request to Stripe lasts with all its repeats: after that, none is on its way any more.
ASKING = timedelta(minutes=2)
# Clocks differ, and Stripe's has whole seconds.
MARGIN = timedelta(minutes=5)

FOUND_ORPHAN = Cause(Actor.STRIPE, CauseCode.ORPHAN_EXPIRED)


ORPHAN_JOB = "payments.orphan"


def close_attempt(
    session: Session,
    stripe: StripeGateway,
    *,
    payment_id: int,
    cause: Cause,
    hold: timedelta | None = None,
    now: datetime,
) -> None:
    """End an attempt at Stripe and here. A payment that wins the race is recorded.

    Raises the gateway's errors, to be tried again.
    """
    payment = session.get(Payment, payment_id)
    end_read(session)
    if payment is None or not payment.state.is_live:
        return
    if payment.checkout_session_id is not None:
        checkout = stripe.expire_checkout_session(payment.checkout_session_id)
        apply_checkout(session, checkout, cause, now=now, hold=hold)
        return
    if expire_orphans(session, stripe, payment_id=payment_id, cause=cause, now=now):
        return
    with transaction(session):
        bookings.lock_booking(session, payment.booking_id)
        current = session.get_one(Payment, payment_id)
        noted = current.checkout_session_id is not None
        if not noted:
            payments.end_attempt(current, PaymentState.EXPIRED, now=now)
            current.checked_at = now
            payments.record_cause(current, cause)
            # Somebody may be asking Stripe for it at this very moment, and die of it.
            enqueue_orphan_check(session, current, run_at=now + ASKING, now=now)
    if noted:
        # Between our look and our lock: it is there to be closed after all.
        close_attempt(session, stripe, payment_id=payment_id, cause=cause, hold=hold, now=now)


@job(ORPHAN_JOB, label="a look for payment pages that nobody was given", revive=True)
def expire_orphans(
    session: Session, stripe: StripeGateway, *, payment_id: int, cause: Cause = FOUND_ORPHAN, now: datetime
) -> list[CheckoutSession]:
    """End every open Checkout Session that names this attempt and whose id we never noted; returns them as they are
    afterwards. A payment that won the race is recorded. Raises the gateway's errors.
    """
    payment = session.get(Payment, payment_id)
    booking = session.get(Booking, payment.booking_id) if payment is not None else None
    end_read(session)
    if payment is None or booking is None:
        return []
    ended = []
    listed = stripe.open_checkout_sessions(payment.created_at - MARGIN, now + MARGIN)
    for one in listed:
        names = (one.metadata.get("booking"), one.metadata.get("attempt"))
        if names != (booking.ref, str(payment.attempt)) or one.id == payment.checkout_session_id:
            continue
        closed = stripe.expire_checkout_session(one.id)
        apply_checkout(session, closed, cause, now=now)
        log.warning("orphan_closed", booking=booking.id, attempt=payment.attempt, status=closed.status)
        ended.append(closed)
    return ended


@job(CLOSE_CHECKOUT_JOB, label="closing a payment page", revive=True)
def close_payment(session: Session, stripe: StripeGateway, *, payment_id: int, now: datetime) -> None:
    """End an attempt to pay that is not wanted any more. A payment that wins the race goes back by itself."""
    cause = Cause(Actor.STRIPE, CauseCode.CHECKOUT_EXPIRED_UNWANTED)
    close_attempt(session, stripe, payment_id=payment_id, cause=cause, now=now)


@job(CLOSE_FOR_BOOKING_JOB, label="closing the payment page", revive=True)
def close_for_booking(session: Session, stripe: StripeGateway, *, booking_id: int, now: datetime) -> None:
    """End the Checkout Session that is open for a booking, if one is."""
    payment = payments.find_live_payment(session, booking_id)
    payment_id = payment.id if payment is not None else None
    end_read(session)
    if payment_id is not None:
        close_payment(session, stripe, payment_id=payment_id, now=now)


def enqueue_orphan_check(session: Session, payment: Payment, *, run_at: datetime, now: datetime) -> None:
    """Owe a look for Checkout Sessions of an attempt that ended without our knowing of any, in the caller's
    transaction.
    """
    args = {"payment_id": payment.id}
    enqueue(session, ORPHAN_JOB, key=f"orphan:{payment.id}", args=args, run_at=run_at, now=now)
