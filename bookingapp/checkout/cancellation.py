"""Calling a booking off: by the client on our page, or by either side in Calendly. The refund is by the policy
that the booking keeps; it is owed in the same transaction that cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import policy, slot
from bookingapp.bookings import service as bookings
from bookingapp.bookings.mail_triggers import CancellationTerms
from bookingapp.bookings.models import Booking, Slot
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Event, Status
from bookingapp.checkout.calendly_slot import CLOSE_CHECKOUT_JOB
from bookingapp.core.db import transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.money import format_money, portion
from bookingapp.core.queue import enqueue
from bookingapp.payments import ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.payments.models import PaymentState, RefundReason


@dataclass(frozen=True)
class CancellationPreview:
    """What a cancellation would mean now: minor units that go back, and a sentence that says so."""

    refund_minor: int
    currency: str
    sentence: str


@dataclass(frozen=True)
class RefundDue:
    """What a cancellation owes: minor units that go back now, and those that do if a dispute is won."""

    back: int
    with_bank: int = 0
    currency: str | None = None


NOTHING = RefundDue(0)


def can_cancel(booking: Booking, *, now: datetime, processing: bool) -> bool:
    """Whether the client can call it off now: not once it has begun, nor while a payment is on its way."""
    open_still = booking.status in (Status.PENDING, Status.SCHEDULED, Status.PAID, Status.CONFIRMED)
    return open_still and not processing and (booking.starts_at is None or booking.starts_at > now)


def preview_cancellation(
    session: Session, booking: Booking, *, now: datetime, by_builder: bool = False
) -> CancellationPreview:
    """The exact refund for a cancellation at ``now``. Raises :class:`Conflict` where it cannot be canceled."""
    live = payments.find_live_payment(session, booking.id)
    if live is not None and live.state is PaymentState.PROCESSING:
        whose = "The client's" if by_builder else "Your"
        raise Conflict(f"{whose} payment is still on its way. You can cancel as soon as it has arrived.")
    if not can_cancel(booking, now=now, processing=False):
        ended = booking.status in (Status.CANCELED, Status.EXPIRED, Status.COMPLETED)
        words = f"This booking is {booking.status.value}." if ended else "This session has begun already."
        raise Conflict(f"{words} It cannot be canceled any more.")
    back = _refund_due(session, booking, now=now, by_builder=by_builder).back
    currency = booking.currency
    payment = ledger.find_earning_payment(session, booking.id)
    if payment is not None:
        currency = ledger.paid_currency(session, payment)
    who = booking.client_name
    if back and by_builder:
        sentence = (
            f"{who} gets {format_money(back, currency)} back: everything, because it is you who cancels."
        )
    elif back:
        sentence = f"You get {format_money(back, currency)} back, on the card that you paid with."
    elif payment is not None and payments.summarize_money(session, booking).taken_back_minor:
        whose = "The client's" if by_builder else "Your"
        sentence = (
            f"{whose} bank has taken this payment back already, so there is nothing more to pay back here."
        )
    elif payment is not None and ledger.charged_and_returned(session, payment)[1]:
        sentence = f"What goes back to {who if by_builder else 'you'} has been paid back already."
    else:
        sentence = _words_for_builder(booking) if by_builder else _words_for_client(booking)
    return CancellationPreview(back, currency, sentence)


def _words_for_client(booking: Booking) -> str:
    """Where nothing goes back from here."""
    if booking.paid_at is None and booking.paid_in_calendly:
        return "You have paid in Calendly and not here, so the builder has to pay that back to you."
    if booking.paid_at is None:
        return "Nothing was charged, so there is nothing to pay back. Your time goes back to the builder."
    return "It is too close to the start for a refund: nothing would go back to you."


def _words_for_builder(booking: Booking) -> str:
    if booking.paid_at is None and booking.paid_in_calendly:
        return f"{booking.client_name} has paid in Calendly and not here, so you have to pay that back from there."
    return "Nothing was charged, so nothing goes back. The time is yours again."


def cancel_booking(session: Session, *, ref: str, cause: Cause, by_builder: bool, now: datetime) -> None:
    """Cancel, and owe what follows: the refund, the end of an open Checkout Session, Calendly's cancellation.

    Raises :class:`Conflict` where it cannot be canceled (any more).
    """
    with transaction(session):
        booking = bookings.lock_booking(session, bookings.get_by_ref(session, ref).id)
        shown = preview_cancellation(session, booking, now=now, by_builder=by_builder)
        due = _refund_due(session, booking, now=now, by_builder=by_builder)
        promised = CancellationTerms(due.back, by_builder, shown.currency, with_bank=due.with_bank)
        bookings.transition(session, booking, Event.CANCEL, cause, now=now, cancellation=promised)
        reason = RefundReason.CANCELED_BY_BUILDER if by_builder else RefundReason.CANCELED_BY_CLIENT
        _enqueue_refund(session, booking, due, reason, now=now)
        _enqueue_closing(session, booking, now=now)
        if booking.slot is Slot.ACTIVE and booking.event_uri and booking.invitee_uri:
            slot.enqueue_event_cancellation(session, booking, booking.event_uri, booking.invitee_uri, now=now)


def record_calendly_cancellation(
    session: Session,
    booking: Booking,
    invitee_uri: str,
    cause: Cause,
    *,
    by_host: bool,
    at: datetime,
    now: datetime,
) -> bool:
    """The time was canceled in Calendly at ``at``, in the caller's transaction. Returns whether it was news.

    What we cancel ourselves shows there as the host's doing; by then the booking has ended, and nothing more
    follows from it.
    """
    live_before = booking.status in (Status.SCHEDULED, Status.CONFIRMED)
    due = _refund_due(session, booking, now=at, by_builder=by_host) if live_before else NOTHING
    promised = CancellationTerms(due.back, by_host, due.currency, with_bank=due.with_bank)
    if not slot.record_slot_canceled(session, booking, invitee_uri, cause, now=now, cancellation=promised):
        return False
    if live_before and booking.status is Status.CANCELED:
        _enqueue_refund(session, booking, due, RefundReason.CANCELED_IN_CALENDLY, now=now)
        _enqueue_closing(session, booking, now=now)
    return True


def _refund_due(session: Session, booking: Booking, *, now: datetime, by_builder: bool) -> RefundDue:
    payment = ledger.find_earning_payment(session, booking.id)
    if payment is None:
        return NOTHING
    percent = policy.refund_percent(
        booking.policy, starts_at=booking.starts_at, now=now, by_builder=by_builder
    )
    # What never confirmed the booking is not kept by its policy.
    percent = percent if booking.paid_at is not None else policy.WHOLE
    charged, returned = ledger.charged_and_returned(session, payment)
    # What goes back already, by anybody's hand, is not paid back twice.
    left = portion(charged, percent, payment.currency) - returned
    held = ledger.withdrawn_by_open_disputes(session, payment)
    back = max(0, left)
    return RefundDue(back, max(0, left + held) - back, ledger.paid_currency(session, payment))


def _enqueue_refund(
    session: Session, booking: Booking, due: RefundDue, reason: RefundReason, *, now: datetime
) -> None:
    payment = ledger.find_earning_payment(session, booking.id)
    refunds.enqueue_refund(session, payment, amount_minor=due.back, reason=reason, now=now)
    if payment is not None:
        refunds.withhold_refund(session, payment, amount_minor=due.with_bank, reason=reason, now=now)


def _enqueue_closing(session: Session, booking: Booking, *, now: datetime) -> None:
    payment = payments.find_live_payment(session, booking.id)
    if payment is not None:
        args = {"payment_id": payment.id}
        enqueue(session, CLOSE_CHECKOUT_JOB, key=f"close:{payment.id}", args=args, run_at=now, now=now)
