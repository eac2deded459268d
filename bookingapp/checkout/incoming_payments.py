"""What becomes of money that Stripe has, or does not get: a booking's price, money that it has no use for, and money
that is not what was asked for. Every function is part of its caller's transaction and commits nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.mail_triggers import Mail, enqueue_mail
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import late_payments
from bookingapp.checkout.calendly_slot import CLOSE_FOR_BOOKING_JOB, Timers
from bookingapp.core.db import end_read, transaction
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.stripe_gateway import CheckoutSession, StripeGateway
from bookingapp.payments import ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState, RefundReason

log = structlog.get_logger(__name__)


# A delayed method (a bank debit) may take days to say yes or no; the slot is kept for as long.
PROCESSING_HOLD = timedelta(days=14)


CHECK_PAYMENT_JOB = "payments.check"


def record_paid_checkout(
    session: Session,
    booking: Booking,
    payment: Payment,
    checkout: CheckoutSession,
    cause: Cause,
    *,
    now: datetime,
) -> None:
    """Stripe says that an attempt is paid. Any number of tellings enter it once, in the caller's transaction."""
    if not ledger.enter_charge(session, payment, checkout, now=now):
        return
    attention.resolve(booking, FlagCode.PAYMENT_PROCESSING, now=now)
    if _is_right(booking, payment, checkout, now=now):
        _take_money(session, booking, payment, cause, now=now)
    elif booking.status.is_final:
        refunds.refund_remainder(session, booking, payment, reason=RefundReason.WRONG_AMOUNT, now=now)
    if payments.find_live_payment(session, booking.id) is not None:
        # Another attempt may still be open beside the one that was paid: nobody is to pay twice.
        key, args = f"close-for:{booking.id}:paid-{payment.id}", {"booking_id": booking.id}
        enqueue(session, CLOSE_FOR_BOOKING_JOB, key=key, args=args, run_at=now, now=now)


def record_failed_payment(
    session: Session, booking: Booking, payment: Payment, hold: timedelta | None, *, now: datetime
) -> None:
    """A delayed payment came to nothing: the client is told, and has ``hold`` to pay in another way. In the caller's
    transaction.
    """
    if not payment.state.is_live:
        return
    payments.end_attempt(payment, PaymentState.FAILED, now=now)
    attention.resolve(booking, FlagCode.PAYMENT_PROCESSING, now=now)
    if booking.status is not Status.SCHEDULED:
        return
    if hold is not None:
        until = now + hold if booking.starts_at is None else min(now + hold, booking.starts_at)
        bookings.set_hold(session, booking, max(until, now), now=now)
    enqueue_mail(session, booking, Mail.PAYMENT_FAILED, about=str(payment.attempt), now=now)


def _take_money(session: Session, booking: Booking, payment: Payment, cause: Cause, *, now: datetime) -> None:
    """The right money came in. Where the booking has no use for it, it goes back by itself."""
    if booking.paid_in_calendly:
        reason = RefundReason.PAID_IN_CALENDLY
    elif not bookings.record_payment(session, booking, cause, now=now):
        reason = RefundReason.PAID_TWICE
    elif late_payments.enqueue_late_payment(session, booking, payment, now=now):
        return
    elif booking.status.is_final:
        reason = RefundReason.PAID_AFTER_END
    else:
        return
    refunds.refund_remainder(session, booking, payment, reason=reason, now=now)


def _is_right(booking: Booking, payment: Payment, checkout: CheckoutSession, *, now: datetime) -> bool:
    """Whether what was paid is what was asked for. Where not, the booking is not confirmed: a person looks."""
    asked = (payment.amount_minor, payment.currency)
    told = checkout.metadata
    promised = (told.get("amount", str(asked[0])), told.get("currency", asked[1]))
    if (checkout.amount_total, checkout.currency) != asked or promised != (str(asked[0]), asked[1]):
        attention.flag(booking, FlagCode.WRONG_AMOUNT, now=now)
        return False
    if checkout.client_reference_id != booking.ref or told.get("booking") != booking.ref:
        attention.flag(booking, FlagCode.WRONG_REFERENCE, now=now)
        return False
    return True


def apply_checkout(
    session: Session,
    checkout: CheckoutSession,
    cause: Cause,
    *,
    now: datetime,
    failed: bool = False,
    hold: timedelta | None = None,
) -> int | None:
    """Take over what a Checkout Session, freshly read from Stripe, says, in one transaction of its own."""
    with transaction(session):
        return record_checkout(session, checkout, cause, now=now, failed=failed, hold=hold)


def record_checkout(
    session: Session,
    checkout: CheckoutSession,
    cause: Cause,
    *,
    now: datetime,
    failed: bool = False,
    hold: timedelta | None = None,
) -> int | None:
    """Take over what a Checkout Session says, in the caller's transaction. Returns the booking's id, or None
    for a session that is not ours. Safe to call any number of times, from any number of places at once.

    ``failed`` says that a delayed payment came to nothing (a complete session stays unpaid for ever).
    """
    payment = payments.find_by_checkout_session(session, checkout.id) or _find_named_attempt(
        session, checkout
    )
    if payment is None:
        return None
    # The booking first, everywhere: one order of locks, so that no two writers wait for each other.
    booking = bookings.lock_booking(session, payment.booking_id)
    session.refresh(payment, with_for_update=True)
    if payment.checkout_session_id is None:
        payments.record_opened(payment, checkout, now=now)
    before, payment.checked_at = payment.state, now
    if checkout.is_paid:
        record_paid_checkout(session, booking, payment, checkout, cause, now=now)
    elif payment.checkout_session_id != checkout.id:
        # A second session of one attempt: it is no news of the first, whatever becomes of it.
        log.warning("stray_checkout_session", booking=booking.id, attempt=payment.attempt)
    elif failed or checkout.has_failed:
        record_failed_payment(session, booking, payment, hold, now=now)
    elif checkout.status == "complete" and before in (PaymentState.STARTING, PaymentState.OPEN):
        payment.state = PaymentState.PROCESSING
        bookings.extend_hold(session, booking, now + PROCESSING_HOLD, now=now)
    elif checkout.status == "expired":
        payments.end_attempt(payment, PaymentState.EXPIRED, now=now)
    if payment.state is not before or payment.cause is None:
        payments.record_cause(payment, cause)
    return booking.id


def _find_named_attempt(session: Session, checkout: CheckoutSession) -> Payment | None:
    """The attempt that a session names, where the webhook is faster than our own note of the session's id."""
    ref, attempt = checkout.metadata.get("booking"), checkout.metadata.get("attempt", "")
    if not ref or not attempt.isdigit():
        return None
    return payments.find_by_ref_and_attempt(session, ref, int(attempt))


@job(CHECK_PAYMENT_JOB, label="a question to Stripe")
def check_payment(
    session: Session, stripe: StripeGateway, *, payment_id: int, timers: Timers, now: datetime
) -> None:
    """Ask Stripe how an attempt stands and take that over: what a webhook would have said."""
    payment = session.get(Payment, payment_id)
    if payment is None or not payment.state.is_live or payment.checkout_session_id is None:
        end_read(session)
        return
    checkout_session_id = payment.checkout_session_id
    end_read(session)
    checkout = stripe.retrieve_checkout_session(checkout_session_id)
    apply_checkout(
        session, checkout, Cause(Actor.STRIPE, CauseCode.STRIPE_FETCHED), now=now, hold=timers.hold
    )
