"""Paying: opens Stripe Checkout for a booking. Stripe is called outside of transactions, and its answers are recorded
by :mod:`bookingapp.checkout.incoming_payments`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention, slot_requests
from bookingapp.bookings import service as bookings
from bookingapp.bookings.addresses import contact_address
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.service import Cause, has_begun
from bookingapp.bookings.states import Status
from bookingapp.checkout import refused_payments, words
from bookingapp.checkout.incoming_payments import (
    CHECK_PAYMENT_JOB,
    apply_checkout,
)
from bookingapp.checkout.unknown_sessions import settle_after_gap, settle_unknown_sessions
from bookingapp.core import clock
from bookingapp.core.db import transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext, speaking
from bookingapp.core.mailboxes import in_ascii
from bookingapp.core.queue import Job, enqueue
from bookingapp.integrations.stripe_gateway import (
    CheckoutRequest,
    CheckoutSession,
    IdempotencyConflict,
    StripeGateway,
    StripeRejected,
    StripeUnavailable,
    methods_slower_than,
)
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState
from bookingapp.session_types.models import NotBookable
from bookingapp.session_types.words import why_not_bookable

log = structlog.get_logger(__name__)


# When Stripe is asked about a payment whose webhook is late.
CHECK_AFTER = (timedelta(seconds=5), timedelta(minutes=2), timedelta(minutes=10))
ATTEMPTS_AT_ONCE = 3
# Stripe keeps idempotency keys for at least 24 hours (Stripe API, Idempotent requests).
KEYS_KEPT = timedelta(hours=48)
# A Checkout page that expires sooner leaves no time to type a card number.
LAST_MOMENT = timedelta(minutes=1)


def start_payment(
    session: Session,
    stripe: StripeGateway,
    *,
    ref: str,
    return_to: Callable[[str], tuple[str, str]],
    now: datetime,
) -> str:
    """The URL of the Stripe Checkout page for this booking. Repeated and concurrent calls share one open session.

    ``return_to`` gives the success and the cancel URL for a ref. Raises :class:`Conflict` where nothing can be paid,
    and the gateway's errors.
    """
    booking_id = bookings.get_by_ref(session, ref).id
    settle_after_gap(session, stripe, booking_id=booking_id, now=now)
    for _ in range(ATTEMPTS_AT_ONCE):
        with transaction(session):
            booking = bookings.lock_booking(session, booking_id)
            chosen = _chosen_start(session, booking)
            start = chosen or booking.starts_at
            _check_payable(booking, chosen, now)
            if payments.summarize_money(session, booking).is_here:
                raise Conflict(
                    gettext("We have received a payment and are checking it. Please don't pay again.")
                )
            payment = payments.start_attempt(
                session, booking, start=start, captures_later=chosen is not None, now=now
            )
            if payment.state is PaymentState.PROCESSING:
                raise Conflict(gettext("Your payment is still under way. Please don't pay a second time."))
        if payment.state is PaymentState.OPEN and payment.checkout_session_id:
            is_for_this = payment.captures_later == (chosen is not None)
            if payment.checkout_url and is_for_this and payment.expires_at > now + LAST_MOMENT:
                return payment.checkout_url
            over = stripe.expire_checkout_session(payment.checkout_session_id)
            apply_checkout(session, over, Cause(Actor.STRIPE, CauseCode.CHECKOUT_REPLACED), now=now)
            continue
        checkout = _create_checkout_session(session, stripe, booking, payment, start, return_to, now=now)
        if checkout is None:
            continue
        with transaction(session):
            still = bookings.lock_booking(session, booking.id)
            current = session.get_one(Payment, payment.id)
            payments.record_opened(current, checkout, now=now)
            _enqueue_checks(session, current, [current.expires_at + timedelta(minutes=1)], now=now)
            # The time or the booking may have changed while Stripe was called; then this page must not be used.
            now_chosen = _chosen_start(session, still)
            is_wanted = current.state is PaymentState.OPEN and not still.paid_in_calendly
            is_wanted = is_wanted and (still.status is Status.SCHEDULED or now_chosen is not None)
            is_moved = (now_chosen or still.starts_at) != start or still.moving_since is not None
            is_old = is_wanted and (is_moved or current.captures_later != (now_chosen is not None))
        if (is_old or not is_wanted) and checkout.status == "open":
            closed = stripe.expire_checkout_session(checkout.id)
            apply_checkout(session, closed, Cause(Actor.STRIPE, CauseCode.CHECKOUT_EXPIRED), now=now)
            if is_old:
                continue
            raise Conflict(gettext("This booking has ended meanwhile. Nothing was charged."))
        if checkout.url:
            return checkout.url
        apply_checkout(session, checkout, Cause(Actor.STRIPE, CauseCode.CHECKOUT_WAS_OVER), now=now)
    raise Conflict(gettext("Stripe cannot take this payment right now. Please try again in a few minutes."))


def find_open_checkout(session: Session, *, ref: str, now: datetime) -> str | None:
    """The URL of the Checkout page on which this booking can be paid now, or None."""
    payment = payments.find_live_payment(session, bookings.get_by_ref(session, ref).id)
    if payment is None or payment.state is not PaymentState.OPEN or payment.expires_at <= now:
        return None
    return payment.checkout_url


def _create_checkout_session(
    session: Session,
    stripe: StripeGateway,
    booking: Booking,
    payment: Payment,
    start: datetime | None,
    return_to: Callable[[str], tuple[str, str]],
    *,
    now: datetime,
) -> CheckoutSession | None:
    """Create the Checkout Session of an attempt, or get the existing one. None where Stripe refuses: the attempt cannot
    succeed as it is (rescheduled since, or too old) and is ended. Raises :class:`Conflict` where Stripe would refuse
    any other as well.
    """
    request = _checkout_request(booking, payment, start, return_to, now=now)
    try:
        return _ask_stripe(stripe, request, f"checkout-{booking.tracking_id}-{payment.attempt}")
    except (IdempotencyConflict, StripeRejected) as error:
        if isinstance(error, IdempotencyConflict):
            # The attempt was made before, with other facts: by us before a crash, or before a restored copy.
            settle_unknown_sessions(session, stripe, booking_id=booking.id, since=now - KEYS_KEPT, now=now)
        _record_refused_attempt(session, booking, payment, error, now=now)
        return None
    except StripeUnavailable:
        # Of several clicks at once, Stripe may have answered another one.
        opened = _opened_meanwhile(session, payment.id)
        if opened is None:
            raise
        return stripe.retrieve_checkout_session(opened)


def _ask_stripe(stripe: StripeGateway, request: CheckoutRequest, key: str) -> CheckoutSession:
    try:
        return stripe.create_checkout_session(request, idempotency_key=key)
    except StripeRejected as error:
        if not refused_payments.is_about_address(error):
            raise
    # Stripe's page asks for an address where it gets none.
    return stripe.create_checkout_session(
        replace(request, customer_email=None), idempotency_key=f"{key}-no-address"
    )


def _record_refused_attempt(
    session: Session,
    booking: Booking,
    payment: Payment,
    error: IdempotencyConflict | StripeRejected,
    *,
    now: datetime,
) -> None:
    """End an attempt that Stripe refuses. Raises :class:`Conflict` where it would refuse any other as well.

    A session that Stripe created for it before is settled by then, so the next attempt cannot charge twice.
    """
    log.warning("checkout_refused", booking=booking.id, attempt=payment.attempt, error=type(error).__name__)
    is_for_good = isinstance(error, StripeRejected) and not refused_payments.is_outdated(error)
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        refused = session.get_one(Payment, payment.id, with_for_update=True)
        # Another click may have opened its session meanwhile.
        if refused.checkout_session_id is not None:
            return
        payments.end_attempt(refused, PaymentState.FAILED, now=now)
        refused.cause, refused.cause_facts = CauseCode.REFUSED_BY_STRIPE, {"category": error.category}
        if isinstance(error, StripeRejected) and not refused_payments.is_outdated(error):
            refused_payments.record_refusal(session, locked, refused, error, now=now)
    if is_for_good:
        raise Conflict(" ".join(words.payment_refused(locked)))


def _chosen_start(session: Session, booking: Booking) -> datetime | None:
    """The time that the client has chosen on our list and pays for first, or None."""
    request = slot_requests.find_request(session, booking.id)
    is_open = booking.status is Status.PENDING and request is not None and request.state.is_open
    return request.starts_at if request is not None and is_open else None


def _check_payable(booking: Booking, chosen: datetime | None, now: datetime) -> None:
    if booking.is_free:
        raise Conflict(gettext("This session is free: there is nothing to pay."))
    if booking.paid_at is not None:
        raise Conflict(gettext("This booking is already paid."))
    if booking.paid_in_calendly:
        raise Conflict(
            gettext("You have already paid for this session in Calendly. Nothing is charged a second time.")
        )
    if chosen is not None and chosen <= now:
        raise Conflict(gettext("The time that you chose has begun already. Please choose another one."))
    has_time = booking.status is Status.SCHEDULED and booking.slot is Slot.ACTIVE
    if not has_time and (chosen is None or booking.is_closed):
        sentences = {
            Status.PENDING: why_not_bookable(NotBookable.CLOSED)
            if booking.is_closed
            else gettext("Please choose a time first. You pay after that."),
            Status.EXPIRED: gettext(
                "This booking has expired and its time was released. Please start again."
            ),
            Status.CANCELED: gettext("This booking was canceled."),
        }
        raise Conflict(sentences.get(booking.status) or gettext("There is nothing to pay for this booking."))
    if has_begun(booking, now):
        raise Conflict(
            gettext("This session has started already, so it cannot be paid any more. Nothing was charged.")
        )
    if attention.is_flagged(booking, FlagCode.PAYMENT_REFUSED):
        raise Conflict(" ".join(words.payment_refused(booking)))
    if booking.moving_since is not None:
        raise Conflict(
            gettext("Your time is being rescheduled in Calendly. You can pay once the new time is known.")
        )
    if booking.hold_expires_at is not None and booking.hold_expires_at <= now:
        raise Conflict(gettext("The hold on your time has just ended. Please start again."))


def _checkout_request(
    booking: Booking,
    payment: Payment,
    start: datetime | None,
    return_to: Callable[[str], tuple[str, str]],
    *,
    now: datetime,
) -> CheckoutRequest:
    success_url, cancel_url = return_to(booking.ref)
    with speaking(booking.language):
        when = clock.day_time(start, booking.client_timezone) if start else ""
        name = gettext(
            "%(title)s with %(builder)s", title=booking.title, builder=booking.builder.display_name
        )
    return CheckoutRequest(
        client_reference_id=booking.tracking_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        product_name=name,
        description=when or None,
        customer_email=in_ascii(contact_address(booking)),
        locale=booking.language,
        success_url=success_url,
        cancel_url=cancel_url,
        expires_at=payment.expires_at,
        # A payment that arrives after the start would have to be refunded.
        excluded_methods=methods_slower_than(start - now) if start and not payment.captures_later else (),
        captures_later=payment.captures_later,
        metadata={
            "booking": booking.tracking_id,
            "attempt": str(payment.attempt),
            "amount": str(payment.amount_minor),
            "currency": payment.currency,
        },
    )


def _opened_meanwhile(session: Session, payment_id: int) -> str | None:
    """The Checkout Session that a concurrent call has opened, or None."""
    with transaction(session):
        payment = session.get_one(Payment, payment_id)
    return payment.checkout_session_id if payment.state is PaymentState.OPEN else None


def record_return_from_stripe(session: Session, *, ref: str, now: datetime) -> None:
    """Record that the browser came back from Stripe. It proves nothing; it enqueues checks in case the webhook is
    late.
    """
    with transaction(session):
        payment = payments.find_live_payment(session, bookings.get_by_ref(session, ref).id)
        if payment is not None and payment.checkout_session_id:
            _enqueue_checks(session, payment, [now + wait for wait in CHECK_AFTER], now=now, once="return")


def is_checking_payment(session: Session, booking_id: int) -> bool:
    """Whether the browser is back from Stripe and the payment's outcome is not known yet: until the first check, the
    client is not asked to pay again.
    """
    payment = payments.find_live_payment(session, booking_id)
    if payment is None:
        return False
    query = sa.select(Job.state).where(Job.key == _check_job_key(payment, "return", 0))
    state = session.scalar(query)
    return state is not None and state.is_open


def is_payment_under_way(session: Session, booking_id: int) -> bool:
    """Whether the client has done their part: the bank is processing, they came back, or they paid in Calendly."""
    booking = session.get(Booking, booking_id)
    if booking is not None and booking.paid_in_calendly:
        return True
    payment = payments.find_live_payment(session, booking_id)
    processing = payment is not None and payment.state is PaymentState.PROCESSING
    return processing or is_checking_payment(session, booking_id)


def _check_job_key(payment: Payment, once: str, number: int) -> str:
    return f"check:{payment.id}:{once}:{number}"


def _enqueue_checks(
    session: Session, payment: Payment, times: list[datetime], *, now: datetime, once: str = "end"
) -> None:
    for number, run_at in enumerate(times):
        key, args, about = (
            _check_job_key(payment, once, number),
            {"payment_id": payment.id},
            payment.booking_id,
        )
        enqueue(session, CHECK_PAYMENT_JOB, key=key, args=args, run_at=run_at, now=now, booking_id=about)
