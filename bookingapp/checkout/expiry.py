"""The end of a hold: first Stripe, then Calendly, then our own row, so that nobody can pay for a time that is
gone and no unpaid booking keeps a time.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Event, Status
from bookingapp.builders.models import Builder
from bookingapp.checkout.service import apply_checkout
from bookingapp.checkout.slots import Timers
from bookingapp.core.db import release, transaction
from bookingapp.integrations.calendly import CalendlyClient, NotFound, Rejected
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments import service as payments
from bookingapp.payments.models import PaymentState

log = structlog.get_logger(__name__)

REASON = "The booking was not paid in time."
UNRELEASED = "Calendly refused to cancel the time of this expired booking: it has to be canceled by hand."


def expire(
    session: Session,
    stripe: StripeGateway,
    calendly: CalendlyClient,
    *,
    booking_id: int,
    timers: Timers,
    now: datetime,
) -> None:
    """Expire a booking whose hold has ended. Does nothing where it was paid, moved on or held for longer.

    Safe to repeat from the start after a crash at any point. Raises the providers' errors, to be tried again.
    """
    booking = _due(session, booking_id, now)
    if booking is None:
        return
    if not _close_checkout(session, stripe, booking_id, timers, now):
        return
    with transaction(session):
        booking = bookings.lock(session, booking_id)
        if not _is_due(booking, now):
            return
        bookings.begin_release(booking)
    unreleased = False
    if booking.slot is Slot.RELEASING and booking.event_uri:
        try:
            release_event(
                session, calendly, booking_id=booking_id, event_uri=booking.event_uri, reason=REASON
            )
        except Rejected:
            unreleased = True
    with transaction(session):
        locked = bookings.lock(session, booking_id)
        if _is_due(locked, now):
            locked.slot = Slot.CANCELED if locked.slot is Slot.RELEASING else locked.slot
            if unreleased:
                bookings.flag(locked, UNRELEASED)
            bookings.transition(session, locked, Event.EXPIRE, Cause(Actor.SYSTEM, "the hold ended"), now=now)


def _due(session: Session, booking_id: int, now: datetime) -> Booking | None:
    """A look at the booking, with no transaction left open; None where it is not due."""
    booking = session.get(Booking, booking_id)
    release(session)
    return booking if booking is not None and _is_due(booking, now) else None


def _is_due(booking: Booking, now: datetime) -> bool:
    held = booking.hold_expires_at is not None and booking.hold_expires_at > now
    return booking.status in (Status.PENDING, Status.SCHEDULED) and not held and booking.paid_at is None


def _close_checkout(
    session: Session, stripe: StripeGateway, booking_id: int, timers: Timers, now: datetime
) -> bool:
    """Close the open Checkout Session. Returns False where a payment won the race, which is then recorded."""
    payment = payments.live(session, booking_id)
    # Read before the transaction ends: a look at the row afterwards would begin another.
    checkout_session_id = payment.checkout_session_id if payment is not None else None
    release(session)
    if payment is None:
        return True
    if checkout_session_id is None:
        # Stripe was never heard to make it, so nobody was ever given its address.
        with transaction(session):
            bookings.lock(session, booking_id)
            current = payments.live(session, booking_id)
            if current is not None and current.checkout_session_id is None:
                payments.end(current, PaymentState.EXPIRED, now=now)
        return True
    checkout = stripe.expire_checkout_session(checkout_session_id)
    cause = Cause(Actor.STRIPE, "asked Stripe to end the checkout session at the end of the hold")
    apply_checkout(session, checkout, cause, now=now, hold=timers.hold)
    return checkout.status == "expired"


def release_event(
    session: Session, calendly: CalendlyClient, *, booking_id: int, event_uri: str, reason: str
) -> None:
    """Cancel an event in Calendly, unless other people sit in it: a group event is not ours to cancel.

    Raises the client's errors; an event that is gone or canceled already is what was wanted.
    """
    booking = session.get(Booking, booking_id)
    tenant = session.get_one(Builder, booking.builder_id).tenant if booking else "platform"
    release(session)
    try:
        event = calendly.scheduled_event(tenant, event_uri)
    except NotFound:
        return
    if event.status != "active":
        return
    if event.invitees_counter is not None and event.invitees_counter.active > 1:
        with transaction(session):
            reason = "A seat in a group session has to be released in Calendly; others stay in it."
            bookings.flag(bookings.lock(session, booking_id), reason)
        return
    calendly.cancel_event(tenant, event_uri, reason)


def complete(session: Session, *, booking_id: int, now: datetime) -> None:
    """The session's end has passed."""
    with transaction(session):
        booking = bookings.lock(session, booking_id)
        if booking.status is Status.CONFIRMED and booking.ends_at is not None and booking.ends_at <= now:
            bookings.transition(
                session, booking, Event.COMPLETE, Cause(Actor.SYSTEM, "the session has ended"), now=now
            )
