"""The end of a session. Before a booking counts as completed, Calendly is asked whether its time stood: a cancellation
or a move that nobody told us of would otherwise keep money for a session that never was.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.checkout import expiry, moves
from bookingapp.checkout.slots import Timers, end_of_chain
from bookingapp.core.db import release, transaction
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, Invitee, ScheduledEvent

log = structlog.get_logger(__name__)


def complete(
    session: Session, calendly: CalendlyClient, *, booking_id: int, timers: Timers, now: datetime
) -> None:
    """Complete a confirmed booking whose end has passed, or do what its time's cancellation or move asks for.

    Raises the client's errors where asking again may help; where it cannot, the time is taken to have stood.
    """
    booking = session.get_one(Booking, booking_id)
    invitee_uri, ends_at = booking.invitee_uri, booking.ends_at
    tenant = session.get_one(Builder, booking.builder_id).tenant
    release(session)
    if booking.status is not Status.CONFIRMED or invitee_uri is None or ends_at is None or ends_at > now:
        return
    found = _where(calendly, tenant, invitee_uri, booking_id)
    if found is not None:
        with transaction(session):
            locked = bookings.lock(session, booking_id)
            if locked.invitee_uri == invitee_uri and locked.status is Status.CONFIRMED:
                moves.apply(session, locked, *found, timers=timers, now=now)
    expiry.complete(session, booking_id=booking_id, now=now)


def _where(
    calendly: CalendlyClient, tenant: str, invitee_uri: str, booking_id: int
) -> tuple[Invitee, ScheduledEvent] | None:
    try:
        return end_of_chain(calendly, tenant, invitee_uri, None)
    except CalendlyError as error:
        if error.retryable:
            raise
        log.warning("completed_unasked", booking=booking_id, category=error.category)
        return None
