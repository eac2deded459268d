"""Payments that arrive after the hold ended: the booking is restored where its time is still available, otherwise the
payment is refunded.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings import restore
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, RefundReason
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import SlotFacts
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.checkout.calendly_invitees import (
    canonical_event,
    canonical_invitee,
    find_created_invitee,
    slot_facts,
)
from bookingapp.checkout.repeated_invitee import repeat_invitee
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, CalendlyNotFound, Invitee
from bookingapp.payments import refunds
from bookingapp.payments.models import Payment

LATE_MONEY_JOB = "checkout.late_money"
PATIENCE = timedelta(minutes=15)
"""How long Calendly may fail to answer before the payment is refunded."""
LEAD = timedelta(minutes=5)
STEP = timedelta(minutes=2)
REQUESTED = Cause(Actor.CALENDLY, CauseCode.TIME_REQUESTED_AGAIN)


def enqueue_late_payment(session: Session, booking: Booking, payment: Payment, *, now: datetime) -> bool:
    """Enqueue asking Calendly for the time, in the caller's transaction. False where there is no time to ask for."""
    is_over = booking.starts_at is None or booking.starts_at <= now
    if booking.status is not Status.EXPIRED or is_over or booking.invitee_uri is None:
        return False
    restore.start_restore(booking, now=now)
    args = {"booking_id": booking.id, "payment_id": payment.id}
    enqueue(session, LATE_MONEY_JOB, key=f"late-money:{payment.id}", args=args, run_at=now, now=now)
    return True


@job(LATE_MONEY_JOB, label=lazy_gettext("asking Calendly for the time of a late payment"), revive=True)
def settle_late_payment(
    session: Session,
    calendly: CalendlyClient,
    signer: TrackingSigner,
    *,
    booking_id: int,
    payment_id: int,
    now: datetime,
) -> None:
    """Ask Calendly for the time, then restore the booking or refund the payment. Safe to repeat after a crash at any
    point: an invitee that we created before is found first.

    Raises the client's errors until ``PATIENCE`` has passed; the job is then retried.
    """
    booking = session.get(Booking, booking_id)
    builder = session.get_one(Builder, booking.builder_id) if booking is not None else None
    end_read(session)
    if booking is None or builder is None or not restore.is_restoring(booking):
        return
    try:
        facts = _find_or_create_invitee(calendly, signer, booking, builder, now)
    except CalendlyError as error:
        since = booking.restoring_since or now
        if error.retryable and now < since + PATIENCE:
            raise
        facts = None
    with transaction(session):
        locked = bookings.lock_booking(session, booking_id)
        if not restore.is_restoring(locked):
            return  # A webhook was faster.
        if facts is not None:
            restore.restore_booking(session, locked, facts, REQUESTED, now=now)
        else:
            restore.give_up_restore(locked, now=now)
            payment = session.get_one(Payment, payment_id)
            refunds.refund_remainder(session, locked, payment, reason=RefundReason.PAID_AFTER_END, now=now)


def _find_or_create_invitee(
    calendly: CalendlyClient, signer: TrackingSigner, booking: Booking, builder: Builder, now: datetime
) -> SlotFacts | None:
    """The booking's time in Calendly: its active invitee, one that we created before, or a new one where the time is
    available. None otherwise.
    """
    tenant, start = builder.tenant, booking.starts_at
    if start is None or start <= now:
        return None
    first = _find_first_invitee(calendly, tenant, booking)
    if first is not None and first.status == "active":
        found: Invitee | None = first
    else:
        found = find_created_invitee(calendly, signer, booking, builder, start)
    if found is None and start > now + LEAD:
        times = calendly.available_times(tenant, booking.event_type_uri, start - STEP, start + STEP).value
        if any(time.start_time == start for time in times):
            person = repeat_invitee(
                calendly, tenant, booking, first, utm_content=signer.sign(booking.tracking_id)
            )
            if person is not None:
                found = calendly.create_invitee(tenant, booking.event_type_uri, start, person)
    if found is None:
        return None
    event = canonical_event(calendly, calendly.scheduled_event(tenant, found.event))
    is_right = event.status == "active" and event.event_type in (None, booking.event_type_uri)
    return slot_facts(canonical_invitee(calendly, found), event) if is_right else None


def _find_first_invitee(calendly: CalendlyClient, tenant: str, booking: Booking) -> Invitee | None:
    """The invitee that the booking had, canceled or not."""
    try:
        return calendly.invitee(tenant, booking.invitee_uri or "")
    except CalendlyNotFound:
        return None
