"""Giving a time back: cancels an event in Calendly, unless other guests keep it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import attention, lookup
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking, Slot
from bookingapp.bookings.service import CANCEL_EVENT_JOB
from bookingapp.builders.models import Builder
from bookingapp.checkout.calendly_invitees import fetch_latest_invitee
from bookingapp.core.db import end_read, transaction
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import CalendlyClient, CalendlyNotFound, ScheduledEvent

NOT_KEPT = "This booking does not keep the time."


@job(CANCEL_EVENT_JOB, label="giving a time back to Calendly", flag=FlagCode.TIME_NOT_RELEASED)
def cancel_calendly_event(
    session: Session,
    calendly: CalendlyClient,
    *,
    booking_id: int,
    event_uri: str,
    invitee_uri: str | None,
    reason: str = NOT_KEPT,
    now: datetime,
) -> None:
    """Cancel an event in Calendly for our invitee, unless other people sit in it: a group event is not ours to
    cancel.

    Raises the client's errors; an event or a seat that is gone already is what was wanted.
    """
    booking = session.get(Booking, booking_id)
    tenant = session.get_one(Builder, booking.builder_id).tenant if booking else "platform"
    end_read(session)
    if _is_kept(session, booking_id, invitee_uri):
        return
    holds, seats = _fetch_seats(calendly, tenant, event_uri, invitee_uri)
    if not holds:
        # It is gone; but where it was moved before we came, its time is elsewhere now.
        moved = fetch_latest_invitee(calendly, tenant, invitee_uri, None) if invitee_uri else None
        if moved is None or moved[0].uri == invitee_uri or _is_kept(session, booking_id, moved[0].uri):
            return
        event_uri, invitee_uri = moved[0].event, moved[0].uri
        holds, seats = _fetch_seats(calendly, tenant, event_uri, invitee_uri)
    if not holds:
        return
    if seats is not None and _has_other_guests(session, seats, invitee_uri):
        with transaction(session):
            booking = bookings.lock_booking(session, booking_id)
            attention.flag(booking, FlagCode.SEAT_NOT_RELEASED, now=now)
        return
    calendly.cancel_event(tenant, event_uri, reason)


def _fetch_seats(
    calendly: CalendlyClient, tenant: str, event_uri: str, invitee_uri: str | None
) -> tuple[bool, list[str] | None]:
    """Whether the invitee holds that time still, and who sits in it where it is a group's."""
    try:
        event = calendly.scheduled_event(tenant, event_uri)
        seats = _list_seats(calendly, tenant, event) if event.status == "active" else None
    except CalendlyNotFound:
        return False, None
    return event.status == "active" and (seats is None or invitee_uri in seats), seats


def _is_kept(session: Session, booking_id: int, invitee_uri: str | None) -> bool:
    """Whether the booking has that time now, and is to keep it: it may have got it (back) after its cancellation was
    owed.
    """
    booking = session.get(Booking, booking_id)
    end_read(session)
    is_its = booking is not None and booking.slot is Slot.ACTIVE and booking.invitee_uri == invitee_uri
    return booking is not None and is_its and not booking.status.is_final


def _list_seats(calendly: CalendlyClient, tenant: str, event: ScheduledEvent) -> list[str] | None:
    """Who sits in a group event: the invitees' canonical URIs. None for an event that has one seat."""
    counter = event.invitees_counter
    if counter is None or max(counter.active, counter.limit or 1) <= 1:
        return None
    everybody = calendly.invitees(tenant, event.uri)
    return [calendly.canonical_invitee_uri(one.uri) for one in everybody if one.status == "active"]


def _has_other_guests(session: Session, seats: list[str], but: str | None) -> bool:
    """Whether anybody but ``but`` sits there who is to keep their seat: not a booking of ours that has ended, whose
    seat Calendly still counts because it cannot release one alone.
    """
    others = [uri for uri in seats if uri != but]
    ended = lookup.list_ended_invitees(session, others)
    end_read(session)
    return len(others) > len(ended)
