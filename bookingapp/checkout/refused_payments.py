"""Payments that Stripe refuses for good: the booking is flagged, its builder informed, and the type taken off sale."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.mail_triggers import Mail, enqueue_mail
from bookingapp.bookings.models import Booking
from bookingapp.integrations.stripe_gateway import StripeRejected
from bookingapp.payments.models import Payment
from bookingapp.session_types.models import SaleRefusal
from bookingapp.session_types.service import refuse_sale

log = structlog.get_logger(__name__)

# Stripe API reference, Error codes.
_CODES = {"amount_too_small": SaleRefusal.TOO_SMALL, "amount_too_large": SaleRefusal.TOO_LARGE}
_PRICE_DATA = "price_data"


def is_outdated(error: StripeRejected) -> bool:
    """Whether a new attempt may be accepted, because this one is too old for the expiry that it asks for."""
    return error.param == "expires_at"


def is_about_address(error: StripeRejected) -> bool:
    """Whether Stripe refuses the client's e-mail address, so that its own page has to ask for one."""
    return error.code == "email_invalid" or error.param == "customer_email"


def find_sale_refusal(error: StripeRejected) -> SaleRefusal | None:
    """Why this price cannot be paid; None where Stripe refuses a detail of this one booking.

    Stripe has no code for a currency that the account lacks, but names the parameter; it names none where the account
    has no payment method for it.
    """
    if error.code in _CODES:
        return _CODES[error.code]
    if error.param is None:
        return SaleRefusal.ACCOUNT
    if error.param.endswith(("currency", "[currency]")):
        return SaleRefusal.CURRENCY
    is_price = _PRICE_DATA in error.param and "product_data" not in error.param
    return SaleRefusal.ACCOUNT if is_price or error.param in ("line_items", "mode") else None


def record_refusal(
    session: Session, booking: Booking, payment: Payment, error: StripeRejected, *, now: datetime
) -> None:
    """Record that Stripe refuses a payment for good, in the caller's transaction."""
    refusal = find_sale_refusal(error)
    facts = {"refusal": refusal, "amount_minor": payment.amount_minor, "currency": payment.currency}
    attention.flag(booking, FlagCode.PAYMENT_REFUSED, now=now, **facts)
    enqueue_mail(
        session,
        booking,
        Mail.PAYMENT_REFUSED_BUILDER,
        about=str(payment.attempt),
        said=facts,
        now=now,
    )
    if refusal is not None:
        price = (payment.amount_minor, payment.currency)
        refuse_sale(session, booking.session_type_id, refusal, price=price)
    log.error("payment_refused", booking=booking.id, code=error.code, param=error.param, refusal=refusal)
