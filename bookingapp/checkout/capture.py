"""Capturing authorized money once the client has the time, and releasing it where there is none.

Stripe is called outside of transactions; what it answers is recorded like any webhook.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor
from bookingapp.bookings.service import Cause
from bookingapp.checkout.authorized import (
    CAPTURE_JOB,
    RELEASE_JOB,
    RELEASED,
    ending_key,
    follow_authorization,
    is_capturable,
    release,
)
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.checkout.incoming_payments import apply_checkout
from bookingapp.core.db import transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments.models import Payment, PaymentState

CAPTURED = Cause(Actor.STRIPE, CauseCode.PAYMENT_CAPTURED)


@job(CAPTURE_JOB, label=lazy_gettext("charging an authorized payment"), revive=True)
def capture_payment(
    session: Session, stripe: StripeGateway, *, payment_id: int, timers: Timers, now: datetime
) -> None:
    """Charge an authorized payment, if its booking still has the time; otherwise what follows instead is enqueued. Safe
    to repeat after a crash at any point. Raises the gateway's errors.
    """
    with transaction(session):
        payment = session.get_one(Payment, payment_id)
        booking = bookings.lock_booking(session, payment.booking_id)
        session.refresh(payment, with_for_update=True)
        intent, checkout_id = payment.payment_intent_id, payment.checkout_session_id
        was_authorized = payment.authorized_at is not None and payment.state is not PaymentState.PAID
        if not was_authorized or intent is None or checkout_id is None:
            return
        is_open = payment.is_authorized
        if is_open and not is_capturable(booking):
            follow_authorization(session, booking, payment, now=now)
            return
    if is_open:
        stripe.capture_payment(intent, idempotency_key=f"capture-{ending_key(intent, now=now)}")
    # An attempt that ended between two tries may have been charged by the first.
    checkout = stripe.retrieve_checkout_session(checkout_id)
    apply_checkout(session, checkout, CAPTURED, now=now, hold=timers.hold)


@job(RELEASE_JOB, label=lazy_gettext("releasing an authorized payment"), revive=True)
def release_payment(
    session: Session, stripe: StripeGateway, *, checkout_session_id: str, timers: Timers, now: datetime
) -> None:
    """Release the money that is authorized on a Checkout Session; nothing was charged. One that was captured meanwhile
    counts as paid. Raises the gateway's errors.
    """
    checkout = stripe.retrieve_checkout_session(checkout_session_id)
    if checkout.is_authorized and checkout.payment_intent is not None:
        checkout = release(stripe, checkout.payment_intent, checkout_session_id, now=now)
    apply_checkout(session, checkout, RELEASED, now=now, hold=timers.hold)
