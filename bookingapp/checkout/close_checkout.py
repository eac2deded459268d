"""Closing attempts to pay: expires their Checkout Sessions, also one whose id was never stored because of a crash after
Stripe created it (an orphan).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor
from bookingapp.bookings.service import Cause
from bookingapp.checkout.authorized import CLOSE_CHECKOUT_JOB, CLOSE_FOR_BOOKING_JOB, RELEASED, release
from bookingapp.checkout.incoming_payments import apply_checkout
from bookingapp.checkout.unknown_sessions import CLOSED, settle_unknown_sessions
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState

log = structlog.get_logger(__name__)

# Longer than any request to Stripe takes with its retries.
REQUEST_TIME = timedelta(minutes=2)

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
    """Expire an attempt in Stripe and here, and release its money where that is authorized. A payment that wins the
    race is recorded. Raises the gateway's errors.
    """
    payment = session.get(Payment, payment_id)
    end_read(session)
    if payment is None or not payment.state.is_live:
        return
    if payment.checkout_session_id is not None:
        if payment.is_authorized and payment.payment_intent_id is not None:
            checkout = release(stripe, payment.payment_intent_id, payment.checkout_session_id, now=now)
            cause = RELEASED
        else:
            checkout = stripe.expire_checkout_session(payment.checkout_session_id)
        apply_checkout(session, checkout, cause, now=now, hold=hold)
        return
    if settle_orphans(session, stripe, payment_id=payment_id, closed=cause, now=now):
        return
    with transaction(session):
        bookings.lock_booking(session, payment.booking_id)
        current = session.get_one(Payment, payment_id)
        is_stored = current.checkout_session_id is not None
        if not is_stored:
            payments.end_attempt(current, PaymentState.EXPIRED, now=now)
            current.checked_at = now
            payments.record_cause(current, cause)
            # Another process may be creating a session for it right now, and crash.
            enqueue_orphan_check(session, current, run_at=now + REQUEST_TIME, now=now)
    if is_stored:
        # Stored between our read and our lock.
        close_attempt(session, stripe, payment_id=payment_id, cause=cause, hold=hold, now=now)


@job(ORPHAN_JOB, label=lazy_gettext("closing payment pages that were never shown"), revive=True)
def settle_orphans(
    session: Session, stripe: StripeGateway, *, payment_id: int, closed: Cause = CLOSED, now: datetime
) -> bool:
    """Settle the Checkout Sessions whose ids were never stored since this attempt began. Returns whether one was the
    attempt's own. Raises the gateway's errors.
    """
    payment = session.get(Payment, payment_id)
    end_read(session)
    if payment is None:
        return False
    found = settle_unknown_sessions(
        session, stripe, booking_id=payment.booking_id, since=payment.created_at, closed=closed, now=now
    )
    return any(one.metadata.get("attempt") == str(payment.attempt) for one in found)


@job(CLOSE_CHECKOUT_JOB, label=lazy_gettext("closing a payment page"), revive=True)
def close_payment(session: Session, stripe: StripeGateway, *, payment_id: int, now: datetime) -> None:
    """Close an attempt that is not needed any more. A payment that wins the race is refunded."""
    cause = Cause(Actor.STRIPE, CauseCode.CHECKOUT_EXPIRED_UNWANTED)
    close_attempt(session, stripe, payment_id=payment_id, cause=cause, now=now)


@job(CLOSE_FOR_BOOKING_JOB, label=lazy_gettext("closing the payment page"), revive=True)
def close_for_booking(session: Session, stripe: StripeGateway, *, booking_id: int, now: datetime) -> None:
    """Close the live attempt of a booking, if there is one."""
    payment = payments.find_live_payment(session, booking_id)
    payment_id = payment.id if payment is not None else None
    end_read(session)
    if payment_id is not None:
        close_payment(session, stripe, payment_id=payment_id, now=now)


def enqueue_orphan_check(session: Session, payment: Payment, *, run_at: datetime, now: datetime) -> None:
    """Enqueue a search for orphans of an attempt that ended without a Checkout Session, in the caller's transaction."""
    args = {"payment_id": payment.id}
    key, about = f"orphan:{payment.id}", payment.booking_id
    enqueue(session, ORPHAN_JOB, key=key, args=args, run_at=run_at, now=now, booking_id=about)
