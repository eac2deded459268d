"""What a Checkout Session, fetched from Stripe, means for a booking: paid, failed, under way, expired.

A payment that the booking cannot use (late, second, of a wrong amount) is refunded. Starting a payment is in
:mod:`bookingapp.checkout.pay`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode, RefundReason
from bookingapp.bookings.lookup import find_id_by_name
from bookingapp.bookings.mail_triggers import Mail, enqueue_mail
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import late_payments
from bookingapp.checkout.authorized import CLOSE_FOR_BOOKING_JOB, enqueue_release, follow_authorization
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.stripe_gateway import CheckoutSession, PaymentIntent, StripeGateway
from bookingapp.payments import ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState

log = structlog.get_logger(__name__)


# A delayed method (a bank debit) may take days; the time is held for as long, at most until the session begins.
PROCESSING_HOLD = timedelta(days=14)

AMOUNT, CURRENCY = re.compile(r"[1-9][0-9]{0,15}", re.ASCII), re.compile(r"[A-Z]{3}", re.ASCII)
"""How we write a price into Stripe's metadata."""

CHECK_PAYMENT_JOB = "payments.check"
FETCH_MONEY_BACK_JOB = "payments.fetch_money_back"


def record_paid_checkout(
    session: Session,
    booking: Booking,
    payment: Payment,
    checkout: CheckoutSession,
    cause: Cause,
    *,
    now: datetime,
) -> None:
    """Record that an attempt was paid, once however often it is reported; in the caller's transaction."""
    if not ledger.enter_charge(session, payment, checkout, now=now):
        return
    if checkout.refunded_minor or checkout.is_disputed:
        # Stripe reported that before we knew of the payment, so its deliveries were ignored.
        key, args = f"{FETCH_MONEY_BACK_JOB}:{payment.id}", {"payment_id": payment.id}
        enqueue(session, FETCH_MONEY_BACK_JOB, key=key, args=args, run_at=now, now=now, booking_id=booking.id)
    attention.resolve(booking, FlagCode.PAYMENT_PROCESSING, now=now)
    if _is_right(booking, payment, checkout, now=now):
        _record_right_payment(session, booking, payment, checkout, cause, now=now)
    elif booking.status.is_final:
        refunds.refund_remainder(session, booking, payment, reason=RefundReason.WRONG_AMOUNT, now=now)
    if payments.find_live_payment(session, booking.id) is not None:
        # Close another attempt beside the paid one, so that the client cannot pay twice.
        key, args = f"close-for:{booking.id}:paid-{payment.id}", {"booking_id": booking.id}
        enqueue(session, CLOSE_FOR_BOOKING_JOB, key=key, args=args, run_at=now, now=now)


def record_failed_payment(
    session: Session, booking: Booking, payment: Payment, hold: timedelta | None, *, now: datetime
) -> None:
    """Record that a delayed payment failed: the client gets a mail and ``hold`` to pay in another way. In the caller's
    transaction.
    """
    if not payment.state.is_live:
        return
    payments.end_attempt(payment, PaymentState.FAILED, now=now)
    attention.resolve(booking, FlagCode.PAYMENT_PROCESSING, now=now)
    if booking.status is not Status.SCHEDULED:
        return
    if hold is not None:
        bookings.set_hold(session, booking, now + hold, now=now)
    enqueue_mail(session, booking, Mail.PAYMENT_FAILED, about=str(payment.attempt), now=now)


def record_authorization(
    session: Session, booking: Booking, payment: Payment, checkout: CheckoutSession, *, now: datetime
) -> None:
    """Record that an attempt's money is authorized, and enqueue what follows; in the caller's transaction. Nothing is
    charged, so the ledger has nothing.
    """
    payment.payment_intent_id = checkout.payment_intent or payment.payment_intent_id
    live = payments.find_live_payment(session, booking.id)
    if live is not None and live.id != payment.id:
        # An attempt that was given up; its page was not closed in time.
        enqueue_release(session, checkout.id, booking_id=booking.id, now=now)
        return
    if not payment.is_authorized:
        payment.state, payment.authorized_at = PaymentState.PROCESSING, now
        payment.checkout_url, payment.updated_at = None, now
    if _is_right(booking, payment, checkout, now=now):
        follow_authorization(session, booking, payment, now=now)
    else:
        enqueue_release(session, checkout.id, booking_id=booking.id, now=now)


def record_release(
    session: Session, booking: Booking, payment: Payment, hold: timedelta | None, *, now: datetime
) -> None:
    """Record that authorized money was released, by us or by the bank, and tell the client that nothing was charged.
    One who has a time gets ``hold`` to pay again. In the caller's transaction.
    """
    if not payment.state.is_live:
        return
    payments.end_attempt(payment, PaymentState.EXPIRED, now=now)
    if booking.status is Status.SCHEDULED:
        if hold is not None:
            bookings.set_hold(session, booking, now + hold, now=now)
        enqueue_mail(session, booking, Mail.PAYMENT_FAILED, about=str(payment.attempt), now=now)
    else:
        enqueue_mail(session, booking, Mail.PAYMENT_RELEASED, about=str(payment.attempt), now=now)


def _record_right_payment(
    session: Session,
    booking: Booking,
    payment: Payment,
    checkout: CheckoutSession,
    cause: Cause,
    *,
    now: datetime,
) -> None:
    """Record a payment of the right amount, and refund it where the booking cannot use it."""
    # The page may still have been open: it is closed by a job, and the worker may have been away.
    is_too_late = checkout.charged_at is not None and bookings.has_begun(booking, checkout.charged_at)
    if booking.paid_in_calendly:
        reason = RefundReason.PAID_IN_CALENDLY
    elif booking.status is Status.SCHEDULED and is_too_late:
        reason = RefundReason.PAID_AFTER_END
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
    """Whether amount, currency and reference are those that were requested; flags the booking where not."""
    amount, currency = payment.amount_minor, payment.currency
    metadata = checkout.metadata
    shown = (metadata.get("amount", str(amount)), metadata.get("currency", currency))
    if (checkout.amount_total, checkout.currency) != (amount, currency) or shown != (str(amount), currency):
        attention.flag(booking, FlagCode.WRONG_AMOUNT, now=now)
        return False
    if not (booking.is_named(checkout.client_reference_id) and booking.is_named(metadata.get("booking"))):
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
    """Record a Checkout Session as fetched from Stripe, in a transaction of its own."""
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
    """Record a Checkout Session as fetched from Stripe, in the caller's transaction. Returns the booking's id, or None
    for a session that is not ours. Safe to repeat and to run concurrently.

    ``failed`` means that a delayed payment failed (its session stays complete and unpaid).
    """
    payment = payments.find_by_checkout_session(session, checkout.id) or _find_named_attempt(
        session, checkout.metadata
    )
    is_other = payment is not None and payment.checkout_session_id not in (None, checkout.id)
    if payment is None or (is_other and checkout.is_paid):
        payment = _adopt_attempt(session, checkout, now=now) or payment
    if payment is None:
        return None
    # Always lock the booking before the payment, so that two writers cannot deadlock.
    booking = bookings.lock_booking(session, payment.booking_id)
    session.refresh(payment, with_for_update=True)
    if payment.checkout_session_id is None:
        payments.record_opened(payment, checkout, now=now)
    before, payment.checked_at = payment.state, now
    if checkout.is_paid:
        record_paid_checkout(session, booking, payment, checkout, cause, now=now)
    elif payment.checkout_session_id != checkout.id:
        # A second session of one attempt says nothing about the first.
        log.warning("stray_checkout_session", booking=booking.id, attempt=payment.attempt)
        if checkout.is_authorized:
            enqueue_release(session, checkout.id, booking_id=booking.id, now=now)
    else:
        _record_unpaid_checkout(session, booking, payment, checkout, hold, has_failed=failed, now=now)
    payment.receipt_url = (checkout.is_paid and checkout.receipt_url) or payment.receipt_url
    payment.voucher_url = checkout.voucher_url if payment.state is PaymentState.PROCESSING else None
    if booking.erased_at is not None:
        # Stripe's pages show who paid.
        payment.checkout_url = payment.receipt_url = payment.voucher_url = None
    if payment.state is not before or payment.cause is None:
        payments.record_cause(payment, cause)
    return booking.id


def _adopt_attempt(session: Session, checkout: CheckoutSession, *, now: datetime) -> Payment | None:
    """The attempt of a complete Checkout Session of ours that is not known here, as after the restore of an older copy:
    stored anew from Stripe's metadata. None where that does not name a booking and a price as we write them.
    """
    metadata = checkout.metadata
    name, amount, currency = (metadata.get(key, "") for key in ("booking", "amount", "currency"))
    is_price = AMOUNT.fullmatch(amount) is not None and CURRENCY.fullmatch(currency) is not None
    booking_id = find_id_by_name(session, name) if checkout.status == "complete" and is_price else None
    if booking_id is None:
        return None
    booking = bookings.lock_booking(session, booking_id)
    # Another process may have adopted it meanwhile.
    found = payments.find_by_checkout_session(session, checkout.id)
    if found is None:
        found = payments.adopt_attempt(
            session, booking, checkout, amount_minor=int(amount), currency=currency, now=now
        )
        log.warning("attempt_adopted", booking=booking.id, attempt=found.attempt)
    return found


def _record_unpaid_checkout(
    session: Session,
    booking: Booking,
    payment: Payment,
    checkout: CheckoutSession,
    hold: timedelta | None,
    *,
    has_failed: bool,
    now: datetime,
) -> None:
    if payment.state is PaymentState.PAID:
        return  # What was read before says nothing any more.
    if checkout.is_authorized:
        record_authorization(session, booking, payment, checkout, now=now)
    elif checkout.is_released:
        record_release(session, booking, payment, hold, now=now)
    elif has_failed or checkout.has_failed:
        record_failed_payment(session, booking, payment, hold, now=now)
    elif checkout.status == "complete" and payment.state in (PaymentState.STARTING, PaymentState.OPEN):
        payment.state = PaymentState.PROCESSING
        if not booking.status.is_final:
            bookings.extend_hold(session, booking, now + PROCESSING_HOLD, now=now)
    elif checkout.status == "expired":
        payments.end_attempt(payment, PaymentState.EXPIRED, now=now)


def record_failed_try(session: Session, intent: PaymentIntent, cause: Cause, *, now: datetime) -> int | None:
    """Record a failed try to pay, as fetched from Stripe, in the caller's transaction. Returns the booking's id, None
    for an intent that is not ours. On the open payment page the client can try again; a delayed method may be over,
    which its Checkout Session says.
    """
    payment = payments.find_by_payment_intent(session, intent.id) or _find_named_attempt(
        session, intent.metadata
    )
    if payment is None:
        return None
    booking = bookings.lock_booking(session, payment.booking_id)
    session.refresh(payment, with_for_update=True)
    if intent.status != "requires_payment_method" or not payment.state.is_live or payment.is_authorized:
        return booking.id  # It succeeded since the intent was read, or the attempt is over.
    payment.checked_at = now
    if payment.state is PaymentState.PROCESSING:
        # Or the client has begun to pay in a delayed way since the intent was read.
        key, args = f"check:{payment.id}:failed:{cause.inbox_id or cause.code}", {"payment_id": payment.id}
        enqueue(session, CHECK_PAYMENT_JOB, key=key, args=args, run_at=now, now=now, booking_id=booking.id)
    else:
        declined = Cause(Actor.STRIPE, CauseCode.PAYMENT_DECLINED, facts={"reason": intent.failure})
        payments.record_cause(payment, declined)
    return booking.id


def _find_named_attempt(session: Session, metadata: Mapping[str, str]) -> Payment | None:
    """The attempt that Stripe's metadata names, for a webhook that arrives before we stored the object's id."""
    name, attempt = metadata.get("booking"), metadata.get("attempt", "")
    booking_id = find_id_by_name(session, name) if name and attempt.isdigit() else None
    return payments.find_by_attempt(session, booking_id, int(attempt)) if booking_id is not None else None


@job(CHECK_PAYMENT_JOB, label=lazy_gettext("asking Stripe about a payment"))
def check_payment(
    session: Session, stripe: StripeGateway, *, payment_id: int, timers: Timers, now: datetime
) -> None:
    """Fetch an attempt's Checkout Session from Stripe and record it, as its webhook would."""
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
