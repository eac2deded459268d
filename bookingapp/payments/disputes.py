"""Disputes: recorded as Stripe reports them, entered in the ledger, and flagged, because a person has to answer in
Stripe in time. A dispute does not change the booking's status.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.mail_triggers import Mail, enqueue_mail
from bookingapp.bookings.models import Booking
from bookingapp.bookings.service import Cause
from bookingapp.integrations.stripe_gateway import Dispute as StripeDispute
from bookingapp.payments import ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.payments.models import DISPUTES_ENDED, DISPUTES_HARMLESS, Dispute, Payment, only_asks


def record_dispute(session: Session, theirs: StripeDispute, cause: Cause, *, now: datetime) -> int | None:
    """Record a dispute as fetched from Stripe, in the caller's transaction. Returns the booking's id, or None where its
    payment is not known (yet).
    """
    payment = (
        payments.find_by_payment_intent(session, theirs.payment_intent) if theirs.payment_intent else None
    )
    if payment is None:
        return None
    booking = bookings.lock_booking(session, payment.booking_id)
    payment.checked_at = now
    ours = session.scalar(sa.select(Dispute).where(Dispute.stripe_id == theirs.id))
    before = ours.status if ours is not None else None
    if before in DISPUTES_ENDED and theirs.status not in DISPUTES_ENDED:
        # An older answer that arrives after a newer one.
        return booking.id
    if ours is None:
        ours = Dispute(
            booking_id=booking.id, payment_id=payment.id, stripe_id=theirs.id, created_at=theirs.created
        )
        session.add(ours)
    ours.status, ours.reason = theirs.status, theirs.reason
    ours.amount_minor, ours.currency, ours.due_by = theirs.amount_minor, theirs.currency, theirs.due_by
    ours.checked_at = now
    if before != theirs.status:
        ours.updated_at = now
        payments.record_cause(ours, cause)
        _flag_and_mail(session, booking, payment, ours, before=before, now=now)
    for movement in theirs.movements:
        ledger.enter_dispute(session, payment, movement, theirs.amount_minor, now=now)
    return booking.id


def _flag_and_mail(
    session: Session,
    booking: Booking,
    payment: Payment,
    dispute: Dispute,
    *,
    before: str | None,
    now: datetime,
) -> None:
    if dispute.is_open:
        # An inquiry can become a real dispute, which has its own last day.
        goes_on = before is not None and only_asks(before) and not only_asks(dispute.status)
        if before is None or goes_on:
            about = dispute.stripe_id + (f":{dispute.status}" if goes_on else "")
            attention.flag(booking, FlagCode.DISPUTE_OPEN, now=now)
            # A refund cannot prevent it any more.
            attention.resolve(booking, FlagCode.FRAUD_WARNING, now=now)
            enqueue_mail(
                session, booking, Mail.DISPUTED_BUILDER, about=about, said=_mail_facts(dispute), now=now
            )
        return
    others = _list_others(session, dispute)
    attention.resolve(booking, FlagCode.FRAUD_WARNING, now=now)
    if not any(one.is_open for one in others):
        attention.resolve(booking, FlagCode.DISPUTE_OPEN, now=now)
    if dispute.status in DISPUTES_HARMLESS:
        # A bank may decide otherwise than before.
        if not any(one.is_lost for one in others):
            attention.resolve(booking, FlagCode.DISPUTE_LOST, now=now)
        # Refunds that Stripe refused during the dispute are possible now.
        refunds.reissue_refused_refunds(session, booking, payment, now=now)
    else:
        attention.flag(booking, FlagCode.DISPUTE_LOST, now=now)
        refunds.resolve_returned_refunds(session, booking, payment, now=now)
    said = {**_mail_facts(dispute), "status": dispute.status}
    about = f"{dispute.stripe_id}:{dispute.status}"
    enqueue_mail(session, booking, Mail.DISPUTE_CLOSED_BUILDER, about=about, said=said, now=now)


def _list_others(session: Session, dispute: Dispute) -> list[Dispute]:
    """The booking's disputes but this one: a payment may be disputed in several pieces."""
    same_booking = sa.select(Dispute).where(Dispute.booking_id == dispute.booking_id)
    return [one for one in session.scalars(same_booking) if one is not dispute]


def _mail_facts(dispute: Dispute) -> dict[str, object]:
    return {
        "disputed_minor": dispute.amount_minor,
        "currency": dispute.currency,
        "due_by": int(dispute.due_by.timestamp()) if dispute.due_by else None,
    }
