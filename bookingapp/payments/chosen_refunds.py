"""An amount that a builder or an operator gives back, beside what cancellations refund. Sending it to Stripe is in
:mod:`bookingapp.checkout.send_refund`; the client's mail is enqueued when Stripe has accepted it.

Each function is part of its caller's transaction and commits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, RefundReason
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.core.errors import Conflict, Invalid
from bookingapp.core.i18n import gettext
from bookingapp.core.money import format_money
from bookingapp.payments import ledger
from bookingapp.payments.models import Payment, Refund
from bookingapp.payments.refunds import NothingLeft, create_refund, enqueue_operator_mail


@dataclass(frozen=True)
class Refundable:
    """What is left of a booking's ``payment``, in minor units of the paid currency. ``edition`` counts the refunds so
    far: a form carries it, so that it makes one refund however often it is sent, and none after another refund.
    """

    payment: Payment
    left_minor: int
    charged_minor: int
    currency: str
    edition: int


def find_refundable(session: Session, booking: Booking) -> Refundable | None:
    """What can be refunded of a booking: nothing is left of a payment that was refunded in full. None without one."""
    payment = ledger.find_earning_payment(session, booking.id)
    if payment is None:
        return None
    charged, returned = ledger.charged_and_returned(session, payment)
    edition = session.scalar(sa.select(sa.func.count(Refund.id)).where(Refund.booking_id == booking.id))
    return Refundable(
        payment, max(0, charged - returned), charged, ledger.paid_currency(session, payment), edition or 0
    )


def get_refundable(session: Session, booking: Booking) -> Refundable:
    """The same. Raises :class:`NothingLeft` where nothing can be refunded."""
    found = find_refundable(session, booking)
    if found is None or not found.left_minor:
        raise NothingLeft
    return found


def words_for_limits(found: Refundable) -> str:
    """The sentence for a person who asks for another amount than can be refunded."""
    most = format_money(found.left_minor, found.currency)
    return gettext("Please enter an amount above zero, and at most %(amount)s.", amount=most)


def refund_amount(
    session: Session,
    booking: Booking,
    *,
    amount_minor: int,
    reason: RefundReason,
    edition: int,
    actor: Actor,
    now: datetime,
) -> Refund:
    """Refund an amount of a booking that the caller has locked; its status stays. ``edition`` is that of the
    :class:`Refundable` that the person saw. Returns the refund that the same form made before, if it did.

    Raises :class:`Conflict` where something was refunded since then, or nothing is left, and :class:`Invalid` for an
    amount that is more than what is left.
    """
    if not reason.is_chosen:
        raise ValueError(f"{reason} is no reason that a person can choose")
    key = f"{booking.id}:{edition}"
    made = session.scalar(sa.select(Refund).where(Refund.request_key == key))
    if made is not None and (made.amount_minor, made.reason) == (amount_minor, reason):
        return made
    found = get_refundable(session, booking)
    if made is not None or found.edition != edition:
        raise Conflict(
            gettext(
                "Something was refunded since you opened this page. Please check what is left, then decide."
            )
        )
    if not 0 < amount_minor <= found.left_minor:
        raise Invalid(words_for_limits(found))
    refund = create_refund(session, found.payment, amount_minor=amount_minor, reason=reason, now=now)
    refund.request_key = key
    facts = {"amount_minor": amount_minor, "currency": refund.currency, "reason": reason}
    bookings.record_act(session, booking, Cause(actor, CauseCode.REFUND_DECIDED, facts=facts), now=now)
    if actor is Actor.OPERATOR:
        enqueue_operator_mail(session, booking, refund, now=now)
    return refund
