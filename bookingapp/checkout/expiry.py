"""The end of a hold: first Stripe, then Calendly, then our own row, so that nobody can pay for a time that is
gone and no unpaid booking keeps a time.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention, lookup
from bookingapp.bookings import service as bookings
from bookingapp.bookings.facts import note_source
from bookingapp.bookings.mails import Cancellation
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Event, Status
from bookingapp.builders.models import Builder
from bookingapp.checkout import closing, receipts, refunds
from bookingapp.checkout.slots import Timers, end_of_chain
from bookingapp.core.db import release, transaction
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyError,
    NotFound,
    ScheduledEvent,
    Unauthorized,
)
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments import service as payments

log = structlog.get_logger(__name__)

PATIENCE = timedelta(minutes=10)
"""How long the end of a hold waits for a silent Calendly."""
REASON = "The booking was not paid in time."
ANOTHER_WHILE = timedelta(days=1)
SEAT = "A seat in a group session has to be released in Calendly; others stay in it."
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
    _close_checkout(session, stripe, booking_id, timers, now)
    with transaction(session):
        booking = bookings.lock(session, booking_id)
        # A payment may have won the race: then it was the price, or is on its way, or was the wrong money.
        if not _is_due(booking, now) or _is_under_way(session, booking, now):
            return
        bookings.begin_release(booking)
    gone = _let_go(session, calendly, booking, now)
    with transaction(session):
        locked = bookings.lock(session, booking_id)
        if _is_due(locked, now):
            if locked.slot is Slot.RELEASING:
                locked.slot = Slot.CANCELED
                note_source(locked, told=False, now=now)
            if gone is Gone.REFUSED:
                attention.flag(locked, UNRELEASED)
            if gone is Gone.OWED and locked.event_uri and locked.invitee_uri:
                bookings.give_back(session, locked, locked.event_uri, locked.invitee_uri, now=now)
            # Money that had come in, and was not the right money, does not stay.
            back = refunds.owe_all_back(session, locked, reason="the hold ended", now=now)
            promised = Cancellation(back, by_builder=False) if back else None
            cause = Cause(Actor.SYSTEM, "the hold ended")
            bookings.transition(session, locked, Event.EXPIRE, cause, now=now, cancellation=promised)


class Gone(enum.Enum):
    """How far the time of an ended booking is given back."""

    DONE = enum.auto()
    OWED = enum.auto()
    REFUSED = enum.auto()


def _let_go(session: Session, calendly: CalendlyClient, booking: Booking, now: datetime) -> Gone:
    """Give the time back to Calendly, with no transaction open. The booking ends now, whatever Calendly says: somebody
    may have to renew the connection first, which takes days, and a silence may be long as well.

    Raises the client's errors while there is patience left.
    """
    if booking.slot is not Slot.RELEASING or not booking.event_uri:
        return Gone.DONE
    event_uri, invitee_uri = booking.event_uri, booking.invitee_uri
    try:
        release_event(
            session,
            calendly,
            booking_id=booking.id,
            event_uri=event_uri,
            invitee_uri=invitee_uri,
            reason=REASON,
        )
    except CalendlyError as error:
        if error.retryable and now < (booking.hold_expires_at or now) + PATIENCE:
            raise
        return Gone.OWED if error.retryable or isinstance(error, Unauthorized) else Gone.REFUSED
    return Gone.DONE


def _due(session: Session, booking_id: int, now: datetime) -> Booking | None:
    """A look at the booking, with no transaction left open; None where it is not due."""
    booking = session.get(Booking, booking_id)
    release(session)
    return booking if booking is not None and _is_due(booking, now) else None


def _is_due(booking: Booking, now: datetime) -> bool:
    held = booking.hold_expires_at is not None and booking.hold_expires_at > now
    is_paid = booking.paid_at is not None or booking.paid_in_calendly
    return booking.status in (Status.PENDING, Status.SCHEDULED) and not held and not is_paid


def _is_under_way(session: Session, booking: Booking, now: datetime) -> bool:
    """Whether a bank still works on the payment: then the time is kept for another while, and a person is told."""
    if payments.live(session, booking.id) is None:
        return False
    bookings.extend_hold(session, booking, now + ANOTHER_WHILE, now=now)
    attention.flag(booking, receipts.STILL_PROCESSING)
    return True


def _close_checkout(
    session: Session, stripe: StripeGateway, booking_id: int, timers: Timers, now: datetime
) -> None:
    """Close the open Checkout Session. A payment that wins the race is recorded."""
    payment = payments.live(session, booking_id)
    payment_id = payment.id if payment is not None else None
    release(session)
    if payment_id is None:
        return
    cause = Cause(Actor.STRIPE, "asked Stripe to end the checkout session at the end of the hold")
    closing.close(session, stripe, payment_id=payment_id, cause=cause, hold=timers.hold, now=now)


def release_event(
    session: Session,
    calendly: CalendlyClient,
    *,
    booking_id: int,
    event_uri: str,
    invitee_uri: str | None,
    reason: str,
) -> None:
    """Cancel an event in Calendly for our invitee, unless other people sit in it: a group event is not ours to
    cancel.

    Raises the client's errors; an event or a seat that is gone already is what was wanted.
    """
    booking = session.get(Booking, booking_id)
    tenant = session.get_one(Builder, booking.builder_id).tenant if booking else "platform"
    release(session)
    if _keeps(session, booking_id, invitee_uri):
        return
    holds, seats = _look(calendly, tenant, event_uri, invitee_uri)
    if not holds:
        # It is gone; but where it was moved before we came, its time is elsewhere now.
        moved = end_of_chain(calendly, tenant, invitee_uri, None) if invitee_uri else None
        if moved is None or moved[0].uri == invitee_uri or _keeps(session, booking_id, moved[0].uri):
            return
        event_uri, invitee_uri = moved[0].event, moved[0].uri
        holds, seats = _look(calendly, tenant, event_uri, invitee_uri)
    if not holds:
        return
    if seats is not None and _wanted(session, seats, invitee_uri):
        with transaction(session):
            attention.flag(bookings.lock(session, booking_id), SEAT)
        return
    calendly.cancel_event(tenant, event_uri, reason)


def _look(
    calendly: CalendlyClient, tenant: str, event_uri: str, invitee_uri: str | None
) -> tuple[bool, list[str] | None]:
    """Whether the invitee holds that time still, and who sits in it where it is a group's."""
    try:
        event = calendly.scheduled_event(tenant, event_uri)
        seats = _seats(calendly, tenant, event) if event.status == "active" else None
    except NotFound:
        return False, None
    return event.status == "active" and (seats is None or invitee_uri in seats), seats


def _keeps(session: Session, booking_id: int, invitee_uri: str | None) -> bool:
    """Whether the booking has that time now, and is to keep it: it may have got it (back) after its cancellation was
    owed.
    """
    booking = session.get(Booking, booking_id)
    release(session)
    is_its = booking is not None and booking.slot is Slot.ACTIVE and booking.invitee_uri == invitee_uri
    return booking is not None and is_its and not booking.status.is_final


def _seats(calendly: CalendlyClient, tenant: str, event: ScheduledEvent) -> list[str] | None:
    """Who sits in a group event: the invitees' canonical URIs. None for an event that has one seat."""
    counter = event.invitees_counter
    if counter is None or max(counter.active, counter.limit or 1) <= 1:
        return None
    everybody = calendly.invitees(tenant, event.uri)
    return [calendly.canonical_invitee_uri(one.uri) for one in everybody if one.status == "active"]


def _wanted(session: Session, seats: list[str], but: str | None) -> bool:
    """Whether anybody but ``but`` sits there who is to keep their seat: not a booking of ours that has ended, whose
    seat Calendly still counts because it cannot release one alone.
    """
    others = [uri for uri in seats if uri != but]
    ended = lookup.ended_among(session, others)
    release(session)
    return len(others) > len(ended)


def complete(session: Session, *, booking_id: int, now: datetime) -> None:
    """The session's end has passed."""
    with transaction(session):
        booking = bookings.lock(session, booking_id)
        has_ended = booking.ends_at is not None and booking.ends_at <= now
        # A time that is being moved is not the session's any more: its new one ends later.
        if booking.status is Status.CONFIRMED and has_ended and booking.moving_since is None:
            bookings.transition(
                session, booking, Event.COMPLETE, Cause(Actor.SYSTEM, "the session has ended"), now=now
            )
