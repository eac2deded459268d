"""Money that comes after the end of a hold: the booking gets its time back where Calendly still has it, else the money
goes back. Never is it silently kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings import restore
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import SlotFacts
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.checkout.calendly_invitees import (
    canonical_event,
    canonical_invitee,
    organization_filter,
    slot_facts,
)
from bookingapp.core.db import end_read, transaction
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, CalendlyNotFound, Invitee
from bookingapp.payments import refunds
from bookingapp.payments.models import Payment, RefundReason

LATE_MONEY_JOB = "checkout.late_money"
PATIENCE = timedelta(minutes=15)
"""How long Calendly may be silent before the money goes back."""
LEAD = timedelta(minutes=5)
STEP = timedelta(minutes=2)
AGAIN = Cause(Actor.CALENDLY, CauseCode.TIME_REQUESTED_AGAIN)


def enqueue_late_payment(session: Session, booking: Booking, payment: Payment, *, now: datetime) -> bool:
    """Owe the question whether the time can still be had, in the caller's transaction. False where it cannot."""
    is_over = booking.starts_at is None or booking.starts_at <= now
    if booking.status is not Status.EXPIRED or is_over or booking.invitee_uri is None:
        return False
    restore.start_restore(booking, now=now)
    args = {"booking_id": booking.id, "payment_id": payment.id}
    enqueue(session, LATE_MONEY_JOB, key=f"late-money:{payment.id}", args=args, run_at=now, now=now)
    return True


@job(LATE_MONEY_JOB, label="a question to Calendly whether the time can still be had", revive=True)
def settle_late_payment(
    session: Session,
    calendly: CalendlyClient,
    signer: TrackingSigner,
    *,
    booking_id: int,
    payment_id: int,
    now: datetime,
) -> None:
    """Ask Calendly, then restore the booking or owe the refund. Safe to repeat after a crash at any point: a time
    that we have taken already is found before another is taken.

    Raises the client's errors while there is patience left, to be tried again.
    """
    booking = session.get(Booking, booking_id)
    builder = session.get_one(Builder, booking.builder_id) if booking is not None else None
    end_read(session)
    if booking is None or builder is None or not restore.is_restoring(booking):
        return
    try:
        facts = _find_or_take(calendly, signer, booking, builder, now)
    except CalendlyError as error:
        since = booking.restoring_since or now
        if error.retryable and now < since + PATIENCE:
            raise
        facts = None
    with transaction(session):
        locked = bookings.lock_booking(session, booking_id)
        if not restore.is_restoring(locked):
            return  # A delivery was faster.
        if facts is not None:
            restore.restore_booking(session, locked, facts, AGAIN, now=now)
        else:
            restore.give_up_restore(locked, now=now)
            payment = session.get_one(Payment, payment_id)
            refunds.refund_remainder(session, locked, payment, reason=RefundReason.PAID_AFTER_END, now=now)


def _find_or_take(
    calendly: CalendlyClient, signer: TrackingSigner, booking: Booking, builder: Builder, now: datetime
) -> SlotFacts | None:
    """The booking's time in Calendly: still there, there again, or taken anew where it is free. None otherwise."""
    tenant, start = builder.tenant, booking.starts_at
    if start is None or start <= now:
        return None
    found = _still_there(calendly, tenant, booking) or _there_again(calendly, signer, booking, builder)
    if found is None and start > now + LEAD:
        times = calendly.available_times(tenant, booking.event_type_uri, start - STEP, start + STEP).value
        if any(time.start_time == start for time in times):
            found = calendly.create_invitee(
                tenant,
                booking.event_type_uri,
                start,
                name=booking.client_name,
                email=booking.client_email,
                timezone=booking.client_timezone,
                utm_content=signer.sign(booking.tracking_id),
            )
    if found is None:
        return None
    event = canonical_event(calendly, calendly.scheduled_event(tenant, found.event))
    is_right = event.status == "active" and event.event_type in (None, booking.event_type_uri)
    return slot_facts(canonical_invitee(calendly, found), event) if is_right else None


def _still_there(calendly: CalendlyClient, tenant: str, booking: Booking) -> Invitee | None:
    try:
        invitee = calendly.invitee(tenant, booking.invitee_uri or "")
    except CalendlyNotFound:
        return None
    return invitee if invitee.status == "active" else None


def _there_again(
    calendly: CalendlyClient, signer: TrackingSigner, booking: Booking, builder: Builder
) -> Invitee | None:
    """An invitee that carries our reference at that very time: we made it, and its answer was lost."""
    tenant, user, start = builder.tenant, builder.calendly_user_uri, booking.starts_at
    if start is None:
        return None
    organization = organization_filter(calendly, tenant, user)
    events = calendly.scheduled_events(tenant, user, start, start, "active", organization=organization)
    for event in events:
        for invitee in calendly.invitees(tenant, event.uri):
            is_ours = signer.read(invitee.tracking.utm_content) == booking.tracking_id
            if is_ours and invitee.status == "active":
                return invitee
    return None
