"""What becomes of money that Stripe has, or does not get: a booking's price, money that it has no use for, and money
that is not what was asked for. Every function is part of its caller's transaction and commits nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.mails import Mail
from bookingapp.bookings.mails import owe as owe_mail
from bookingapp.bookings.models import Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import late, refunds
from bookingapp.checkout.slots import CLOSE_FOR_BOOKING_JOB
from bookingapp.core.queue import enqueue
from bookingapp.integrations.stripe_gateway import CheckoutSession
from bookingapp.payments import ledger
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState

NOT_ASKED_FOR = (
    "Stripe has a payment that names this booking and was not asked for here. Please look at it in Stripe."
)
STILL_PROCESSING = (
    "The client's bank has neither sent the payment nor refused it; the time is kept meanwhile."
)
NOT_EARNED = "what was paid is not what the booking costs"


def take(
    session: Session,
    booking: Booking,
    payment: Payment,
    checkout: CheckoutSession,
    cause: Cause,
    *,
    now: datetime,
) -> None:
    """Stripe says that an attempt is paid. Any number of tellings enter it once, in the caller's transaction."""
    if not ledger.charge(session, payment, checkout, now=now):
        return
    attention.unflag(booking, STILL_PROCESSING)
    if _is_right(booking, payment, checkout):
        _take_money(session, booking, payment, cause, now=now)
    elif booking.status.is_final:
        refunds.owe_rest(session, booking, payment, reason=NOT_EARNED, now=now)
    if payments.live(session, booking.id) is not None:
        # Another attempt may still be open beside the one that was paid: nobody is to pay twice.
        key, args = f"close-for:{booking.id}:paid-{payment.id}", {"booking_id": booking.id}
        enqueue(session, CLOSE_FOR_BOOKING_JOB, key=key, args=args, run_at=now, now=now)


def give_up(
    session: Session, booking: Booking, payment: Payment, hold: timedelta | None, *, now: datetime
) -> None:
    """A delayed payment came to nothing: the client is told, and has ``hold`` to pay in another way. In the caller's
    transaction.
    """
    if not payment.state.is_live:
        return
    payments.end(payment, PaymentState.FAILED, now=now)
    attention.unflag(booking, STILL_PROCESSING)
    if booking.status is not Status.SCHEDULED:
        return
    if hold is not None:
        until = now + hold if booking.starts_at is None else min(now + hold, booking.starts_at)
        bookings.set_hold(session, booking, max(until, now), now=now)
    owe_mail(session, booking, Mail.PAYMENT_FAILED, about=str(payment.attempt), now=now)


def _take_money(session: Session, booking: Booking, payment: Payment, cause: Cause, *, now: datetime) -> None:
    """The right money came in. Where the booking has no use for it, it goes back by itself."""
    if booking.paid_in_calendly:
        reason = "paid in Calendly already"
    elif not bookings.receive_payment(session, booking, cause, now=now):
        reason = "paid a second time"
    elif late.owe(session, booking, payment, now=now):
        return
    elif booking.status.is_final:
        reason = "paid after the booking had ended"
    else:
        return
    refunds.owe_rest(session, booking, payment, reason=reason, now=now)


def _is_right(booking: Booking, payment: Payment, checkout: CheckoutSession) -> bool:
    """Whether what was paid is what was asked for. Where not, the booking is not confirmed: a person looks."""
    asked = (payment.amount_minor, payment.currency)
    told = checkout.metadata
    promised = (told.get("amount", str(asked[0])), told.get("currency", asked[1]))
    if (checkout.amount_total, checkout.currency) != asked or promised != (str(asked[0]), asked[1]):
        attention.flag(booking, refunds.WRONG_MONEY)
        return False
    if checkout.client_reference_id != booking.ref or told.get("booking") != booking.ref:
        attention.flag(booking, refunds.WRONG_REFERENCE)
        return False
    return True
