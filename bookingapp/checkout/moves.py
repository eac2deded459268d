"""The second half of a reschedule that does not come: Calendly is asked where the time went."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import attention, moves
from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.builders.models import Builder
from bookingapp.checkout import cancellation
from bookingapp.checkout.slots import Timers, end_of_chain, ended_by, facts_of, take
from bookingapp.core.db import release, transaction
from bookingapp.integrations.calendly import CalendlyClient, Invitee, ScheduledEvent

ASKED = Cause(Actor.CALENDLY, "asked Calendly where the time was moved to")


def follow(
    session: Session,
    calendly: CalendlyClient,
    *,
    booking_id: int,
    old: str,
    new: str | None,
    timers: Timers,
    now: datetime,
) -> None:
    """Find the invitee that took the place of ``old``, unless a delivery was faster.

    A booking whose new time Calendly does not know stays as it is, and a person looks at it. Raises the client's
    errors, to be tried again.
    """
    booking = session.get(Booking, booking_id)
    tenant = session.get_one(Builder, booking.builder_id).tenant if booking is not None else ""
    release(session)
    if booking is None or _is_here(booking, old, new):
        return
    found = end_of_chain(calendly, tenant, old, new)
    with transaction(session):
        locked = bookings.lock(session, booking_id)
        if _is_here(locked, old, new):
            return
        if found is None:
            if locked.invitee_uri == old and locked.moving_since is not None:
                attention.flag(locked, bookings.HALF_MOVED)
            return
        apply(session, locked, *found, timers=timers, now=now)


def _is_here(booking: Booking, old: str, new: str | None) -> bool:
    """Whether the second half came by itself in the meantime."""
    return booking.invitee_uri not in (old, None) if new is None else booking.invitee_uri == new


def apply(
    session: Session,
    booking: Booking,
    invitee: Invitee,
    event: ScheduledEvent,
    *,
    timers: Timers,
    now: datetime,
) -> None:
    """Take over what Calendly says of where the booking's time went, in the caller's transaction."""
    is_active = invitee.status == "active"
    if invitee.uri == booking.invitee_uri:
        if is_active:
            moves.undo(booking, ASKED, now=now)
        elif booking.moving_since is not None:
            attention.flag(booking, bookings.HALF_MOVED)
        else:
            _lose(session, booking, invitee, now=now)
        return
    if not is_active and booking.moving_since is None:
        return  # Taken, moved and canceled before we heard of any of it.
    if not is_active:
        # Moved and then canceled: both happened, so both are done, in their order.
        booking.canceled_invitees = [uri for uri in booking.canceled_invitees if uri != invitee.uri]
    take(session, booking, facts_of(invitee, event), ASKED, hold=timers.hold, now=now)
    if not is_active and booking.invitee_uri == invitee.uri:
        _lose(session, booking, invitee, now=now)


def _lose(session: Session, booking: Booking, invitee: Invitee, *, now: datetime) -> None:
    by_host, at = ended_by(invitee)
    cancellation.canceled_in_calendly(
        session, booking, invitee.uri, ASKED, by_host=by_host, at=min(at, now), now=now
    )
