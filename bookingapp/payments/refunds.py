"""Refunds: deciding and recording them, in the caller's transaction. Sending one to Stripe is in
:mod:`bookingapp.checkout.send_refund`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode, RefundReason
from bookingapp.bookings.mail_triggers import Mail, enqueue_mail
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import OPEN, Job, enqueue
from bookingapp.integrations.stripe_gateway import Refund as StripeRefund
from bookingapp.payments import ledger
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState, PaymentStatus, Refund, RefundState

REFUND_JOB = "payments.refund"
METADATA_KEY = "refund"
FETCHED = Cause(Actor.STRIPE, CauseCode.STRIPE_FETCHED)


WAITS_FOR_CLIENT = "requires_action"
STATES = {
    "pending": RefundState.PENDING,
    WAITS_FOR_CLIENT: RefundState.PENDING,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}


class NothingLeft(Conflict):
    """Everything of a payment was refunded already, or there is none."""

    def __init__(self) -> None:
        super().__init__(gettext("There is nothing left to refund."))


def enqueue_refund(
    session: Session,
    payment: Payment | None,
    *,
    amount_minor: int,
    reason: RefundReason,
    now: datetime,
) -> Refund | None:
    """Create a refund and enqueue it, in the caller's transaction. None where there is nothing to refund."""
    if payment is None or amount_minor <= 0:
        return None
    return create_refund(session, payment, amount_minor=amount_minor, reason=reason, now=now)


def create_refund(
    session: Session, payment: Payment, *, amount_minor: int, reason: RefundReason, now: datetime
) -> Refund:
    """The same for an amount above zero."""
    refund = _add_refund(session, payment, RefundState.ENQUEUED, amount_minor, reason, now)
    enqueue_refund_try(session, refund, run_at=now, now=now)
    return refund


def withhold_refund(
    session: Session, payment: Payment, *, amount_minor: int, reason: RefundReason, now: datetime
) -> None:
    """Record a refund that cannot be made while the client's bank holds the money for a dispute. It is enqueued when
    the dispute is won (:func:`reissue_refused_refunds`).
    """
    if amount_minor > 0:
        refund = _add_refund(session, payment, RefundState.FAILED, amount_minor, reason, now)
        refund.cause = CauseCode.WITHHELD_FOR_DISPUTE


def _add_refund(
    session: Session,
    payment: Payment,
    state: RefundState,
    amount_minor: int,
    reason: RefundReason,
    now: datetime,
) -> Refund:
    refund = Refund(
        booking_id=payment.booking_id,
        payment_id=payment.id,
        token=secrets.token_urlsafe(12),
        state=state,
        tries=0,
        amount_minor=amount_minor,
        currency=ledger.paid_currency(session, payment),
        reason=reason,
        created_at=now,
        updated_at=now,
    )
    session.add(refund)
    session.flush()
    return refund


def ensure_refund_enqueued(session: Session, refund: Refund, *, now: datetime) -> bool:
    """Make sure that an enqueued refund has an open job, also after a dead one. In the caller's transaction; returns
    whether a job was missing.
    """
    mine = (Job.name == REFUND_JOB, Job.args["refund_id"].as_integer() == refund.id, sa.text(OPEN))
    of_booking = sa.select(Job.id).where(Job.booking_id == refund.booking_id)
    if session.scalar(of_booking.where(*mine).limit(1)) is not None:
        return False
    if not enqueue_refund_try(session, refund, run_at=now, now=now):
        refund.tries += 1
        enqueue_refund_try(session, refund, run_at=now, now=now)
    return True


def enqueue_refund_try(session: Session, refund: Refund, *, run_at: datetime, now: datetime) -> bool:
    """Enqueue the next try of a refund, in the caller's transaction; False where it is enqueued already."""
    key = f"refund:{refund.id}" + (f":{refund.tries}" if refund.tries else "")
    args, about = {"refund_id": refund.id}, refund.booking_id
    return enqueue(session, REFUND_JOB, key=key, args=args, run_at=run_at, now=now, booking_id=about)


def refund_unearned_payments(
    session: Session, booking: Booking, *, reason: RefundReason, now: datetime
) -> int:
    """Refund every payment of a booking that was never paid in full, in the caller's transaction. Returns the sum in
    minor units.
    """
    if booking.paid_at is not None:
        return 0
    query = sa.select(Payment).where(Payment.booking_id == booking.id, Payment.state == PaymentState.PAID)
    made = [refund_remainder(session, booking, one, reason=reason, now=now) for one in session.scalars(query)]
    return sum(one.amount_minor for one in made if one is not None)


def refund_remainder(
    session: Session, booking: Booking, payment: Payment, *, reason: RefundReason, now: datetime
) -> Refund | None:
    """Refund what is left of one payment and mail the client, in the caller's transaction; None where nothing is."""
    charged, returned = ledger.charged_and_returned(session, payment)
    refund = enqueue_refund(session, payment, amount_minor=charged - returned, reason=reason, now=now)
    if refund is None:
        return None
    said: dict[str, Any] = {"refund_minor": refund.amount_minor, "currency": refund.currency}
    if reason is RefundReason.FRAUD_WARNING:
        said["by_builder"] = True
    if reason is RefundReason.PAID_AFTER_END and booking.paid_at is None:
        said["after_start"] = True
    enqueue_mail(session, booking, Mail.PAYMENT_RETURNED, about=str(payment.attempt), said=said, now=now)
    return refund


def enqueue_operator_mail(session: Session, booking: Booking, refund: Refund, *, now: datetime) -> None:
    """Mail the builder that an operator decided on a refund, in the caller's transaction."""
    said = {"refund_minor": refund.amount_minor, "currency": refund.currency, "reason": refund.reason}
    enqueue_mail(session, booking, Mail.REFUNDED_BUILDER, about=str(refund.id), said=said, now=now)


def record_refunds(
    session: Session,
    payment_intent_id: str,
    refunds: Iterable[StripeRefund],
    *,
    cause: Cause = FETCHED,
    now: datetime,
) -> int | None:
    """Record a payment's refunds as fetched from Stripe, ours and others, in the caller's transaction. Returns the
    booking's id, or None where the payment is not known (yet).
    """
    payment = payments.find_by_payment_intent(session, payment_intent_id)
    if payment is None:
        return None
    booking = bookings.lock_booking(session, payment.booking_id)
    payment.checked_at = now
    for theirs in refunds:
        ours = _find_ours(session, payment, theirs)
        if ours is None:
            ours = _record_external_refund(session, booking, payment, theirs, now=now)
        before, ours.state = ours.state, _later_state(ours, STATES.get(theirs.status, RefundState.PENDING))
        ours.stripe_id, ours.checked_at = theirs.id, now
        if ours.state is not before or ours.cause is None:
            ours.updated_at = now
            payments.record_cause(ours, cause)
        if ours.state is RefundState.FAILED and before is not RefundState.FAILED:
            flag_refund(booking, FlagCode.REFUND_UNDELIVERED, ours, now=now)
            said = {"refund_minor": ours.amount_minor, "currency": ours.currency}
            for mail in (Mail.REFUND_FAILED, Mail.REFUND_FAILED_BUILDER):
                enqueue_mail(session, booking, mail, about=str(ours.id), said=said, now=now)
        elif ours.state is not RefundState.FAILED:
            attention.resolve_refund(booking, FlagCode.REFUND_DELAYED, ours.id, now=now)
        if before is RefundState.ENQUEUED and ours.reason.is_chosen and ours.state is not RefundState.FAILED:
            said = {"refund_minor": ours.amount_minor, "currency": ours.currency, "reason": ours.reason}
            enqueue_mail(session, booking, Mail.AMOUNT_REFUNDED, about=str(ours.id), said=said, now=now)
        _follow_question(session, booking, ours, is_asked=theirs.status == WAITS_FOR_CLIENT, now=now)
        ledger.enter_refund(session, payment, ours, now=now)
        ledger.enter_fee(session, payment, theirs.balance, now=now)
    if payments.summarize_money(session, booking).status is PaymentStatus.REFUNDED:
        _resolve_refund_flags(booking, now=now)
    return booking.id


def flag_refund(booking: Booking, code: FlagCode, refund: Refund, *, now: datetime) -> None:
    """Flag a refund, with its amount."""
    attention.flag_refund(booking, code, refund.id, refund.amount_minor, refund.currency, now=now)


def _follow_question(
    session: Session, booking: Booking, refund: Refund, *, is_asked: bool, now: datetime
) -> None:
    """Flag a refund whose receiver Stripe asks for, and mail the client; resolve the flag when all such go on."""
    code = FlagCode.REFUND_WAITS_FOR_CLIENT
    is_new = refund.id not in attention.list_refunds(booking, code)
    if is_asked and refund.state is RefundState.PENDING and is_new:
        flag_refund(booking, code, refund, now=now)
        said = {"refund_minor": refund.amount_minor, "currency": refund.currency}
        enqueue_mail(session, booking, Mail.REFUND_WAITS, about=str(refund.id), said=said, now=now)
    elif not is_asked:
        attention.resolve_refund(booking, code, refund.id, now=now)


def _resolve_refund_flags(booking: Booking, *, now: datetime) -> None:
    """Everything is refunded: no refund is needed by hand, a late payment is settled, and a client who paid a wrong
    amount may pay again.
    """
    settled = (
        FlagCode.REFUND_REFUSED,
        FlagCode.REFUND_UNDELIVERED,
        FlagCode.FRAUD_WARNING,
        FlagCode.LATE_PAYMENT,
    )
    attention.resolve(booking, *settled, now=now)
    if not booking.status.is_final:
        attention.resolve(booking, FlagCode.WRONG_AMOUNT, FlagCode.WRONG_REFERENCE, now=now)


def _later_state(ours: Refund, said: RefundState) -> RefundState:
    """The later of two states. Stripe's answers may arrive in the wrong order, and a refund goes one way only: pending,
    succeeded, and possibly failed at the end.
    """
    order = (RefundState.PENDING, RefundState.SUCCEEDED, RefundState.FAILED)
    if ours.stripe_id is None or ours.state not in order:
        return said
    return max(ours.state, said, key=order.index)


def reissue_refused_refunds(session: Session, booking: Booking, payment: Payment, *, now: datetime) -> None:
    """Enqueue the refunds again that Stripe refused and can make now, in the caller's transaction. What was refunded
    since such a refusal, by hand, is not refunded twice; what the bank keeps by another dispute stays withheld.
    """
    found = _list_refused(session, payment)
    refused = [one for one in found if one.cause is CauseCode.REFUSED_BY_STRIPE]
    by_hand = _refunded_since(session, refused[0]) if refused else 0
    left = ledger.refundable_beside_disputes(session, payment)
    for one in found:
        covered = min(by_hand, one.amount_minor) if one in refused else 0
        by_hand -= covered
        one.state, one.updated_at = RefundState.DROPPED, now
        attention.resolve_refund(booking, FlagCode.REFUND_REFUSED, one.id, now=now)
        wanted = one.amount_minor - covered
        amount = min(wanted, left)
        left -= amount
        enqueue_refund(session, payment, amount_minor=amount, reason=one.reason, now=now)
        withhold_refund(session, payment, amount_minor=wanted - amount, reason=one.reason, now=now)


def resolve_returned_refunds(session: Session, booking: Booking, payment: Payment, *, now: datetime) -> None:
    """Resolve the flags of refunds that Stripe refused, in the caller's transaction, when the client's bank has
    returned the rest of the payment.
    """
    if ledger.refundable_beside_disputes(session, payment) == 0:
        for one in _list_refused(session, payment):
            attention.resolve_refund(booking, FlagCode.REFUND_REFUSED, one.id, now=now)


def _list_refused(session: Session, payment: Payment) -> Sequence[Refund]:
    """The refunds of a payment that Stripe refused or that a dispute withholds."""
    query = sa.select(Refund).where(
        Refund.payment_id == payment.id, Refund.state == RefundState.FAILED, Refund.stripe_id.is_(None)
    )
    return session.scalars(query.order_by(Refund.id)).all()


def _refunded_since(session: Session, refused: Refund) -> int:
    """What was refunded of the same payment after this refund, in minor units."""
    counting = [state for state in RefundState if state.counts]
    query = sa.select(sa.func.sum(Refund.amount_minor)).where(
        Refund.payment_id == refused.payment_id, Refund.id > refused.id, Refund.state.in_(counting)
    )
    return int(session.scalar(query) or 0)


def _find_ours(session: Session, payment: Payment, theirs: StripeRefund) -> Refund | None:
    """Our row of a refund in Stripe, or None."""
    same = sa.or_(Refund.stripe_id == theirs.id, Refund.token == theirs.metadata.get(METADATA_KEY, theirs.id))
    return session.scalar(sa.select(Refund).where(same, Refund.payment_id == payment.id))


def _record_external_refund(
    session: Session, booking: Booking, payment: Payment, theirs: StripeRefund, *, now: datetime
) -> Refund:
    """Add a refund made in Stripe's dashboard. Where the booking is still on, the builder is asked about it."""
    reason = RefundReason.MADE_IN_STRIPE
    row = _add_refund(session, payment, RefundState.PENDING, theirs.amount_minor, reason, now)
    row.currency = theirs.currency
    if booking.paid_at is not None and not booking.status.is_final:
        attention.flag(booking, FlagCode.REFUNDED_OUTSIDE, now=now)
        said = {"refund_minor": theirs.amount_minor, "currency": theirs.currency}
        enqueue_mail(session, booking, Mail.REFUNDED_OUTSIDE_BUILDER, about=theirs.id, said=said, now=now)
    return row
