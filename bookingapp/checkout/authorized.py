"""Payments that are authorized and not captured: what follows from one, and releasing it.

On our own list of times a client pays first: Stripe authorizes the money, Calendly gives the time, then the money is
captured. Where there is no time, it is released and nothing was ever charged.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings import slot_requests
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking, Slot, SlotRequest
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.core.queue import enqueue
from bookingapp.integrations.stripe_gateway import CheckoutSession, StripeGateway
from bookingapp.payments.models import Payment

TAKE_TIME_JOB = "checkout.take_time"
CAPTURE_JOB = "payments.capture"
RELEASE_JOB = "payments.release"
CLOSE_CHECKOUT_JOB = "payments.close"
CLOSE_FOR_BOOKING_JOB = "payments.close_for_booking"

RELEASED = Cause(Actor.SYSTEM, CauseCode.AUTHORIZATION_RELEASED)
SECOND_CHOICE = timedelta(minutes=30)
"""How long a client may choose another time without paying again."""
LONGEST = timedelta(days=6)
"""Authorized for so long, money is released: a day later the bank would do so (Stripe: Place a hold on a card)."""


def follow_authorization(session: Session, booking: Booking, payment: Payment, *, now: datetime) -> None:
    """Enqueue what follows from an authorized payment, in the caller's transaction: asking Calendly for the chosen
    time, capturing or releasing the money. Safe to repeat: each is enqueued once an hour at most.
    """
    request = slot_requests.find_request(session, booking.id)
    is_unwanted = payment.authorized_at is not None and payment.authorized_at + LONGEST <= now
    is_unwanted = is_unwanted or (request is not None and _is_for_another_time(payment, request))
    if booking.status is Status.PENDING and request is not None and request.state.is_open and not is_unwanted:
        bookings.extend_hold(session, booking, now + SECOND_CHOICE, now=now)
        enqueue_taking(session, booking.id, request.number, run_at=now, now=now)
    elif is_capturable(booking) and not is_unwanted:
        key = f"{CAPTURE_JOB}:{payment.id}:{now:%Y%m%d%H}"
        args = {"payment_id": payment.id}
        enqueue(session, CAPTURE_JOB, key=key, args=args, run_at=now, now=now, booking_id=booking.id)
    elif booking.status is Status.PENDING and not is_unwanted:
        # The client has as long to choose another time; then the hold's end releases the money.
        bookings.extend_hold(session, booking, (payment.authorized_at or now) + SECOND_CHOICE, now=now)
    elif payment.checkout_session_id is not None:
        enqueue_release(session, payment.checkout_session_id, booking_id=booking.id, now=now)


def _is_for_another_time(payment: Payment, request: SlotRequest) -> bool:
    """Whether the payment's page named another time than the client had chosen when they paid: a page of before, which
    could not be closed in time.
    """
    if payment.authorized_at is None or payment.for_start is None or not request.state.is_open:
        return False
    return request.chosen_at <= payment.authorized_at and request.starts_at != payment.for_start


def is_capturable(booking: Booking) -> bool:
    """Whether the booking has the time that the money is for."""
    return booking.status is Status.SCHEDULED and booking.slot is Slot.ACTIVE and not booking.paid_in_calendly


def ending_key(payment_intent: str, *, now: datetime) -> str:
    """The idempotency key of capturing or releasing a payment: another one each minute, because under one key Stripe
    repeats an error of its own for a day. Whatever the key, Stripe captures and releases nothing twice.
    """
    return f"{payment_intent}-{now:%Y%m%d%H%M}"


def release(
    stripe: StripeGateway, payment_intent: str, checkout_session_id: str, *, now: datetime
) -> CheckoutSession:
    """Release authorized money; the Checkout Session as it is afterwards, paid where the money was captured meanwhile.
    Raises the gateway's errors.
    """
    stripe.release_payment(payment_intent, idempotency_key=f"release-{ending_key(payment_intent, now=now)}")
    return stripe.retrieve_checkout_session(checkout_session_id)


def enqueue_taking(
    session: Session, booking_id: int, number: int, *, run_at: datetime, now: datetime, again: bool = False
) -> None:
    """Enqueue asking Calendly for the time that was chosen as the ``number``-th, in the caller's transaction: once an
    hour at most, unless it is to be asked ``again``.
    """
    key = f"take-time:{booking_id}:{number}:{run_at:%Y%m%d%H}" + (f"{run_at:%M%S}" if again else "")
    enqueue(session, TAKE_TIME_JOB, key=key, args={"booking_id": booking_id}, run_at=run_at, now=now)


def enqueue_release(session: Session, checkout_session_id: str, *, booking_id: int, now: datetime) -> None:
    """Enqueue releasing the money that is authorized on a Checkout Session, in the caller's transaction."""
    key = f"{RELEASE_JOB}:{checkout_session_id}:{now:%Y%m%d%H}"
    args = {"checkout_session_id": checkout_session_id}
    enqueue(session, RELEASE_JOB, key=key, args=args, run_at=now, now=now, booking_id=booking_id)
