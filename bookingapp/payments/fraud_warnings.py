"""Early fraud warnings: the card's network reports a payment as fraud before there is a dispute. A full refund prevents
the dispute, so the booking is flagged and its builder asked.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode, RefundReason
from bookingapp.bookings.mail_triggers import Mail, enqueue_mail
from bookingapp.bookings.models import Actor, Booking
from bookingapp.integrations.stripe_gateway import FraudWarning
from bookingapp.payments import ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment


def record_fraud_warning(session: Session, warning: FraudWarning, *, now: datetime) -> int | None:
    """Record a warning as fetched from Stripe, in the caller's transaction. Returns the booking's id, or None where its
    payment is not known, or only authorized (yet). One that is not actionable (refunded or disputed meanwhile) resolves
    its flag.
    """
    payment = (
        payments.find_by_payment_intent(session, warning.payment_intent) if warning.payment_intent else None
    )
    if payment is None or payment.is_authorized:
        return None
    booking = bookings.lock_booking(session, payment.booking_id)
    payment.checked_at = now
    left = _left_of(session, payment)
    if not warning.actionable or left <= 0:
        attention.resolve(booking, FlagCode.FRAUD_WARNING, now=now)
        return booking.id
    attention.flag(
        booking, FlagCode.FRAUD_WARNING, now=now, payment_id=payment.id, fraud_type=warning.fraud_type
    )
    said = {"refund_minor": left, "currency": ledger.paid_currency(session, payment)}
    enqueue_mail(session, booking, Mail.FRAUD_WARNING_BUILDER, about=warning.id, said=said, now=now)
    return booking.id


def refundable_after_warning(session: Session, booking: Booking) -> tuple[int, str] | None:
    """What is left of the payment that an open warning is about (minor units, currency); None without a warning."""
    payment = _warned_payment(session, booking)
    left = _left_of(session, payment) if payment is not None else 0
    return (left, ledger.paid_currency(session, payment)) if payment is not None and left > 0 else None


def refund_after_warning(
    session: Session, booking: Booking, *, by: Actor = Actor.BUILDER, now: datetime
) -> None:
    """Refund in full the payment that an open warning is about, in the caller's transaction; the booking stays as it
    is. Raises :class:`~bookingapp.payments.refunds.NothingLeft` where there is none, or nothing is left of it.
    """
    payment = _warned_payment(session, booking)
    reason = RefundReason.FRAUD_WARNING
    made = (
        refunds.refund_remainder(session, booking, payment, reason=reason, now=now)
        if payment is not None
        else None
    )
    if made is None:
        raise refunds.NothingLeft
    if by is Actor.OPERATOR:
        refunds.enqueue_operator_mail(session, booking, made, now=now)
    attention.resolve(booking, FlagCode.FRAUD_WARNING, now=now, by=by)


def _warned_payment(session: Session, booking: Booking) -> Payment | None:
    for flag in booking.open_flags:
        if flag.code is FlagCode.FRAUD_WARNING:
            return session.get(Payment, flag.facts["payment_id"])
    return None


def _left_of(session: Session, payment: Payment) -> int:
    charged, returned = ledger.charged_and_returned(session, payment)
    return charged - returned
