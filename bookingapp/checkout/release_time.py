"""Releasing a time: cancels an event in Calendly, unless other clients are in the same group event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import attention, lookup
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import RELEASE_FLAGS, SESSION_FLAGS, FlagCode
from bookingapp.bookings.models import AttentionFlag, Booking, Slot
from bookingapp.bookings.overlaps import resolve_overlap
from bookingapp.bookings.service import CANCEL_EVENT_JOB
from bookingapp.bookings.states import Event, Refusal, decide
from bookingapp.builders.models import Builder
from bookingapp.checkout.calendly_invitees import fetch_latest_invitee, seats_of
from bookingapp.core.clock import iso
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import N_, gettext, lazy_gettext, speaking
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyNotFound,
    CalendlyRejected,
    ScheduledEvent,
)

# A time that cannot be read may be this far ahead: Calendly offers 60 days, unless the host chose otherwise.
UNREADABLE_FOR = timedelta(days=60)
NOT_KEPT = N_("This booking was not kept.")


@job(CANCEL_EVENT_JOB, label=lazy_gettext("releasing a time in Calendly"), flag=FlagCode.TIME_NOT_RELEASED)
def cancel_calendly_event(
    session: Session,
    calendly: CalendlyClient,
    *,
    booking_id: int,
    event_uri: str,
    invitee_uri: str | None,
    reason: str = NOT_KEPT,
    everybody: bool = False,
    now: datetime,
) -> None:
    """Cancel an event in Calendly for our invitee. A group event with other clients is not canceled but flagged:
    Calendly cannot release one seat. It is canceled where it is to be for ``everybody``. ``reason``, a
    sentence of ours, is shown to the invitee by Calendly.

    Raises the client's errors. An event that is canceled already is a success, and one that has begun needs no more
    work: nobody can cancel it.
    """
    booking = session.get(Booking, booking_id)
    tenant = session.get_one(Builder, booking.builder_id).tenant if booking else "platform"
    end_read(session)
    with speaking(booking.language if booking else None):
        reason = gettext(reason)
    if _is_kept(session, booking_id, invitee_uri):
        return
    event, seats = _fetch_held_event(calendly, tenant, event_uri, invitee_uri, now)
    if event is None:
        # Canceled already; but a rescheduled invitee has another time, which is released instead.
        if _may_take_moved(session, booking_id):
            return
        moved = fetch_latest_invitee(calendly, tenant, invitee_uri, None) if invitee_uri else None
        if moved is None or moved[0].uri == invitee_uri or _is_kept(session, booking_id, moved[0].uri):
            return
        event_uri, invitee_uri = moved[0].event, moved[0].uri
        event, seats = _fetch_held_event(calendly, tenant, event_uri, invitee_uri, now)
    if event is None:
        return
    if seats is not None and not everybody and _has_other_guests(session, seats, invitee_uri):
        with transaction(session):
            booking = bookings.lock_booking(session, booking_id)
            attention.flag(booking, FlagCode.SEAT_NOT_RELEASED, now=now, until=iso(event.end_time))
        return
    with suppress_event_in_past():
        calendly.cancel_event(tenant, event_uri, reason)


@contextmanager
def suppress_event_in_past() -> Iterator[None]:
    """Accept that Calendly cancels nothing that has begun."""
    try:
        yield
    except CalendlyRejected as error:
        if error.code != "event_in_past":
            raise


@job(
    "calendly.past_releases",
    label=lazy_gettext("a check of times that are to be canceled in Calendly"),
    every=timedelta(minutes=15),
)
def resolve_past_releases(session: Session, *, now: datetime) -> None:
    """Resolve the flags that ask a builder to cancel, move or check a session, once that is over; of two at the same
    time, once one was canceled or moved.
    """
    query = sa.select(AttentionFlag, Booking).join(Booking, Booking.id == AttentionFlag.booking_id)
    codes = (*RELEASE_FLAGS, *SESSION_FLAGS, FlagCode.TIME_NOT_READABLE)
    asking = query.where(AttentionFlag.code.in_(codes), AttentionFlag.resolved_at.is_(None))
    with transaction(session):
        for flag, booking in session.execute(asking):
            end = _end_of(flag, booking)
            if end is not None and end <= now:
                attention.resolve(booking, flag.code, now=now)
            elif flag.code is FlagCode.OVERLAP:
                resolve_overlap(session, booking, now=now)


def _end_of(flag: AttentionFlag, booking: Booking) -> datetime | None:
    """When what is asked cannot be done any more, if that is known."""
    if flag.code is FlagCode.TIME_NOT_READABLE:
        return flag.raised_at + UNREADABLE_FOR if booking.status.is_final else None
    until = flag.facts.get("until")
    return datetime.fromisoformat(until) if until else booking.ends_at


def _fetch_held_event(
    calendly: CalendlyClient, tenant: str, event_uri: str, invitee_uri: str | None, now: datetime
) -> tuple[ScheduledEvent | None, list[str] | None]:
    """The event, if it is not over and the invitee still has that time; and the seats that are taken where it is a
    group event.
    """
    try:
        event = calendly.scheduled_event(tenant, event_uri)
        if event.status != "active" or event.end_time <= now:
            return None, None
        seats = _list_seats(calendly, tenant, event)
    except CalendlyNotFound:
        return None, None
    return (event if seats is None or invitee_uri in seats else None), seats


def _is_kept(session: Session, booking_id: int, invitee_uri: str | None) -> bool:
    """Whether the booking has that time now and keeps it: it may have been restored after this job was enqueued."""
    booking = session.get(Booking, booking_id)
    end_read(session)
    is_its = booking is not None and booking.slot is Slot.ACTIVE and booking.invitee_uri == invitee_uri
    return booking is not None and is_its and not booking.status.is_final


def _may_take_moved(session: Session, booking_id: int) -> bool:
    """Whether the booking takes a time that was rescheduled, instead of its own: which of them is the newest, and is
    kept, is decided when it is reported.
    """
    booking = session.get(Booking, booking_id)
    end_read(session)
    if booking is None or booking.slot is not Slot.ACTIVE:
        return False
    return not isinstance(decide(booking.status, Event.SLOT_MOVED), Refusal)


def _list_seats(calendly: CalendlyClient, tenant: str, event: ScheduledEvent) -> list[str] | None:
    """The active invitees of a group event, or of one that does not say how many seats it has, as canonical URIs. None
    for an event with one seat.
    """
    if event.invitees_counter is not None and seats_of(event) is None:
        return None
    everybody = calendly.invitees(tenant, event.uri)
    return [calendly.canonical_invitee_uri(one.uri) for one in everybody if one.status == "active"]


def _has_other_guests(session: Session, seats: list[str], but: str | None) -> bool:
    """Whether other invitees keep their seats. Bookings of ours that have ended do not count: Calendly still counts
    their seats, because it cannot release one.
    """
    others = [uri for uri in seats if uri != but]
    ended = lookup.list_ended_invitees(session, others)
    end_read(session)
    return len(others) > len(ended)
