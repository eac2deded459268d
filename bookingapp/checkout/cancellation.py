"""Canceling a booking, on our pages or in Calendly, and the builder who did not come. A client's refund follows the
booking's policy; who cancels for the builder on our pages refunds everything. It is enqueued in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import attendance, policy, slot
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, RefundReason
from bookingapp.bookings.mail_triggers import CancellationTerms
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.moves import list_moves
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Event, Status
from bookingapp.builders.policy import WHOLE
from bookingapp.checkout import refund_words as words
from bookingapp.checkout.authorized import CLOSE_CHECKOUT_JOB
from bookingapp.core.db import transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.core.money import format_money, portion
from bookingapp.core.queue import enqueue
from bookingapp.payments import ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState


@dataclass(frozen=True)
class CancellationPreview:
    """The refund of a cancellation now, in minor units, and a sentence about it."""

    refund_minor: int
    currency: str
    sentence: str


@dataclass(frozen=True)
class RefundDue:
    """What a cancellation refunds in minor units: now, and if an open dispute is won. ``limited_by_move`` says that
    the client's own reschedule lowered it.
    """

    back: int
    with_bank: int = 0
    currency: str | None = None
    limited_by_move: bool = False


NOTHING = RefundDue(0)


def can_cancel(booking: Booking, *, now: datetime, processing: bool) -> bool:
    """Whether the client can cancel now: before the start, and not while a payment is processing."""
    open_still = booking.status in (Status.PENDING, Status.SCHEDULED, Status.PAID, Status.CONFIRMED)
    return open_still and not processing and (booking.starts_at is None or booking.starts_at > now)


def preview_cancellation(
    session: Session, booking: Booking, *, now: datetime, by_builder: bool = False
) -> CancellationPreview:
    """The exact refund for a cancellation at ``now``. Raises :class:`Conflict` where it cannot be canceled."""
    live = _require_cancelable(session, booking, now=now)
    due = _refund_due(session, booking, now=now, in_full=by_builder)
    preview = _preview(session, booking, due, words.refund_for_builder if by_builder else words.cancellation)
    if live is not None and live.voucher_url is not None:
        preview = replace(preview, sentence=words.canceled_with_voucher(by_builder=by_builder))
    if due.limited_by_move and not due.back:
        preview = replace(preview, sentence=words.canceled_after_moving())
    return preview


def _preview(
    session: Session, booking: Booking, due: RefundDue, say: Callable[..., str]
) -> CancellationPreview:
    """``say`` makes the sentence, by what is refunded and what was."""
    payment = ledger.find_earning_payment(session, booking.id)
    currency = due.currency or booking.currency
    sentence = say(
        booking,
        refund=format_money(due.back, currency) if due.back else None,
        is_disputed=payment is not None and bool(payments.summarize_money(session, booking).taken_back_minor),
        is_refunded=payment is not None and bool(ledger.charged_and_returned(session, payment)[1]),
    )
    return CancellationPreview(due.back, currency, sentence)


def _require_cancelable(session: Session, booking: Booking, *, now: datetime) -> Payment | None:
    """The live payment attempt, if there is one. Raises :class:`Conflict` where the booking cannot be canceled."""
    live = payments.find_live_payment(session, booking.id)
    # A voucher that is not paid yet may never be; what is paid after all is refunded.
    is_processing = live is not None and live.state is PaymentState.PROCESSING and not live.is_authorized
    if live is not None and is_processing and live.voucher_url is None:
        raise Conflict(gettext("The payment is still processing. Canceling is possible once it has arrived."))
    if not can_cancel(booking, now=now, processing=False):
        if bookings.has_begun(booking, now) and not booking.status.is_final:
            raise Conflict(gettext("This session has started already, so it cannot be canceled any more."))
        raise Conflict(gettext("This booking has ended, so it cannot be canceled any more."))
    return live


def cancel_booking(
    session: Session,
    booking_id: int,
    *,
    cause: Cause,
    by_builder: bool,
    everybody: bool = False,
    now: datetime,
) -> None:
    """Cancel a booking and enqueue its refund, the end of an open Checkout Session, and Calendly's cancellation: of a
    group event only with ``everybody``, because Calendly cannot release one seat. Canceled for the builder
    (``by_builder``, also by an operator), everything is refunded that was not refunded before, whatever the policy.

    Raises :class:`Conflict` where it cannot be canceled (any more).
    """
    with transaction(session):
        booking = bookings.lock_booking(session, booking_id)
        cancel_locked(session, booking, cause=cause, by_builder=by_builder, everybody=everybody, now=now)


def cancel_locked(
    session: Session,
    booking: Booking,
    *,
    cause: Cause,
    by_builder: bool,
    everybody: bool = False,
    now: datetime,
) -> None:
    """:func:`cancel_booking` of a booking that the caller has locked, in the caller's transaction."""
    _require_cancelable(session, booking, now=now)
    due = _refund_due(session, booking, now=now, in_full=by_builder)
    seats = slot.find_seats(session, booking)
    promised = CancellationTerms(
        due.back,
        by_builder,
        due.currency or booking.currency,
        with_bank=due.with_bank,
        others_stay=seats is not None and seats.are_shared and not everybody,
        by_operator=cause.actor is Actor.OPERATOR,
    )
    bookings.transition(session, booking, Event.CANCEL, cause, now=now, cancellation=promised)
    reason = RefundReason.CANCELED_BY_BUILDER if by_builder else RefundReason.CANCELED_BY_CLIENT
    _enqueue_refund(session, booking, due, reason, now=now)
    _enqueue_closing(session, booking, now=now)
    # The end of the hold may be releasing it; that stops once the booking is canceled.
    is_held = booking.slot in (Slot.ACTIVE, Slot.RELEASING)
    if is_held and booking.event_uri and booking.invitee_uri:
        slot.enqueue_event_cancellation(
            session, booking, booking.event_uri, booking.invitee_uri, everybody=everybody, now=now
        )


def cancel_group_event(session: Session, booking: Booking, *, cause: Cause, now: datetime) -> None:
    """Cancel the builder's group event for everybody in it: every booking as :func:`cancel_booking`, and the event.

    Raises :class:`Conflict` where this booking cannot be canceled; another one that cannot stays, until Calendly
    reports that its time is gone.
    """
    same = sa.select(Booking.id).where(Booking.event_uri == booking.event_uri, Booking.id != booking.id)
    others = list(session.scalars(same.where(Booking.status.in_((Status.SCHEDULED, Status.CONFIRMED)))))
    cancel_booking(session, booking.id, cause=cause, by_builder=True, everybody=True, now=now)
    for other in others:
        with suppress(Conflict):
            cancel_booking(session, other, cause=cause, by_builder=True, everybody=True, now=now)


def can_report_absence(booking: Booking, *, now: datetime) -> bool:
    """Whether the builder can say now that they did not come: from the start on, of a session that was booked."""
    is_due = booking.status in (Status.PAID, Status.CONFIRMED, Status.COMPLETED)
    is_due = is_due or (booking.status is Status.SCHEDULED and booking.paid_in_calendly)
    return is_due and bookings.has_begun(booking, now) and booking.moving_since is None


def preview_absence(session: Session, booking: Booking, *, now: datetime) -> CancellationPreview:
    """What is refunded if the builder says at ``now`` that they did not come. Raises :class:`Conflict` where they
    cannot.
    """
    _require_absence(booking, now=now)
    due = _refund_due(session, booking, now=now, in_full=True)
    return _preview(session, booking, due, partial(words.refund_for_builder, is_absent=True))


def _require_absence(booking: Booking, *, now: datetime) -> None:
    if can_report_absence(booking, now=now):
        return
    if booking.status.is_final and booking.status is not Status.COMPLETED:
        raise Conflict(gettext("This booking has ended already, so there is nothing to change."))
    if not bookings.has_begun(booking, now):
        raise Conflict(
            gettext(
                "This session has not started yet. If you cannot come, please cancel it: your client gets everything "
                "back."
            )
        )
    raise Conflict(gettext("This session is not confirmed, so there is nothing to refund."))


def report_absence(session: Session, booking_id: int, *, cause: Cause, now: datetime) -> bool:
    """Record that the builder did not come, and refund everything that was not refunded before. The mark that the
    client did not come, if any, is removed, in Calendly too. Returns False where it was recorded before.

    Raises :class:`Conflict` where no session has begun, or the booking has ended otherwise.
    """
    with transaction(session):
        return report_absence_locked(
            session, bookings.lock_booking(session, booking_id), cause=cause, now=now
        )


def report_absence_locked(session: Session, booking: Booking, *, cause: Cause, now: datetime) -> bool:
    """:func:`report_absence` of a booking that the caller has locked, in the caller's transaction."""
    if booking.builder_absent_at is not None:
        return False
    _require_absence(booking, now=now)
    if booking.no_show_at is not None and attendance.can_mark_no_show(booking, now=now):
        attendance.mark_attendance(session, booking, cause, came=True, now=now)
    due = _refund_due(session, booking, now=now, in_full=True)
    promised = CancellationTerms(
        due.back,
        by_builder=True,
        currency=due.currency or booking.currency,
        with_bank=due.with_bank,
        by_operator=cause.actor is Actor.OPERATOR,
        builder_absent=True,
        unanswered=cause.code is CauseCode.ABSENCE_UNANSWERED,
    )
    booking.builder_absent_at = now
    bookings.transition(session, booking, Event.BUILDER_ABSENT, cause, now=now, cancellation=promised)
    _enqueue_refund(session, booking, due, RefundReason.BUILDER_ABSENT, now=now)
    _enqueue_closing(session, booking, now=now)
    return True


def report_absence_of_event(session: Session, booking: Booking, *, cause: Cause, now: datetime) -> bool:
    """:func:`report_absence` for this booking, and for every other one of its group event."""
    ids = [
        other.id
        for other in _bookings_of_event(session, booking)
        if other.id != booking.id and can_report_absence(other, now=now)
    ]
    is_new = report_absence(session, booking.id, cause=cause, now=now)
    for other in ids:
        with suppress(Conflict):
            report_absence(session, other, cause=cause, now=now)
    return is_new


def _bookings_of_event(session: Session, booking: Booking) -> Sequence[Booking]:
    """The bookings of a booking's event, this one too."""
    if booking.event_uri is None:
        return ()
    same = sa.select(Booking).where(
        Booking.event_uri == booking.event_uri, Booking.builder_id == booking.builder_id
    )
    return session.scalars(same).all()


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
    """Record that the time was canceled in Calendly at ``at``, in the caller's transaction. Returns whether it changed
    anything: our own cancellations, which Calendly reports as the host's, do not.
    """
    live_before = booking.status in (Status.SCHEDULED, Status.CONFIRMED)
    due = _refund_due(session, booking, now=at, by_host=by_host) if live_before else NOTHING
    # The counter was read with the cancellation, so it is without this client.
    others_stay = not by_host and bool(booking.seats_taken)
    promised = CancellationTerms(
        due.back, by_host, due.currency, with_bank=due.with_bank, others_stay=others_stay
    )
    if not slot.record_slot_canceled(session, booking, invitee_uri, cause, now=now, cancellation=promised):
        return False
    if live_before and booking.status is Status.CANCELED:
        _enqueue_refund(session, booking, due, RefundReason.CANCELED_IN_CALENDLY, now=now)
        _enqueue_closing(session, booking, now=now)
    return True


def _refund_due(
    session: Session, booking: Booking, *, now: datetime, in_full: bool = False, by_host: bool = False
) -> RefundDue:
    """What a cancellation refunds: by the policy, for the host where ``by_host``, or everything where ``in_full``."""
    payment = ledger.find_earning_payment(session, booking.id)
    if payment is None:
        return NOTHING
    # The payment page named the time that is paid for, and the payment may have been under way for days since.
    moves = [move for move in list_moves(session, booking) if move.at >= payment.created_at]
    share = partial(
        policy.refund_percent, booking.policy, starts_at=booking.starts_at, now=now, by_builder=by_host
    )
    percent = share(moves=moves)
    # A payment that never confirmed the booking is refunded in full.
    percent = WHOLE if in_full or booking.paid_at is None else percent
    limited = percent < share()
    charged, returned = ledger.charged_and_returned(session, payment)
    # What was refunded already, here or in Stripe, is not refunded twice.
    left = portion(charged, percent, payment.currency) - returned
    held = ledger.withdrawn_by_open_disputes(session, payment)
    back = max(0, left)
    with_bank = max(0, left + held) - back
    return RefundDue(back, with_bank, ledger.paid_currency(session, payment), limited_by_move=limited)


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
        key, args = f"close:{payment.id}", {"payment_id": payment.id}
        enqueue(session, CLOSE_CHECKOUT_JOB, key=key, args=args, run_at=now, now=now, booking_id=booking.id)
