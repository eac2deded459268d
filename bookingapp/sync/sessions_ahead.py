"""Reads sessions ahead again: a meeting link, a place, a host or a length that Calendly changes after the booking.

Calendly sends no webhook about any of these. The hourly listing of a builder's events has them all, so that keeping
them costs no call of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.hosts import flag_other_host, other_hosts
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import Seats, SlotFacts
from bookingapp.builders.models import Builder
from bookingapp.checkout.calendly_invitees import canonical_event, fetch_latest_invitee, known_slot_facts
from bookingapp.checkout.calendly_slot import READ_EVENT_JOB, Timers, record_invitee
from bookingapp.checkout.reschedule import apply_latest_invitee
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyForbidden,
    CalendlyNotFound,
    ScheduledEvent,
)

MOST_UNLISTED = 20
LAST_DAY = timedelta(days=1)
HALF = 0.5
READ = Cause(Actor.CALENDLY, CauseCode.MISSED_TIMES_FETCHED)


def refresh_events(
    session: Session, events: Mapping[str, ScheduledEvent], timers: Timers, *, now: datetime
) -> int:
    """Record what changed about active events (canonical, by their URIs) in each of their bookings. Returns how many
    changed; a booking that has it all already is not written.
    """
    query = sa.select(Booking).where(Booking.event_uri.in_(events), Booking.slot == Slot.ACTIVE)
    found = session.scalars(query.options(joinedload(Booking.builder))).unique().all()
    changed = [
        one.id for one in found if not _is_known(one, known_slot_facts(one, events[one.event_uri or ""]))
    ]
    end_read(session)
    for booking_id in changed:
        with transaction(session):
            booking = bookings.lock_booking(session, booking_id)
            event = events.get(booking.event_uri or "") if booking.slot is Slot.ACTIVE else None
            facts = known_slot_facts(booking, event) if event is not None else None
            if facts is not None:
                record_invitee(session, booking, facts, READ, hold=timers.hold, now=now)
    return len(changed)


def read_unlisted_events(
    session: Session,
    calendly: CalendlyClient,
    builder_id: int,
    listed: Collection[str],
    timers: Timers,
    *,
    since: datetime,
    now: datetime,
) -> None:
    """Read the events of sessions ahead that Calendly does not list for the builder: another host holds them. At most
    ``MOST_UNLISTED`` of them, the next one first, and only while half of the minute's requests is left. One that is
    known to be another host's is read again on its last day. Raises the client's retryable errors.
    """
    tenant = session.get_one(Builder, builder_id).tenant
    query = sa.select(Booking.id, Booking.event_uri).where(
        Booking.builder_id == builder_id,
        Booking.slot == Slot.ACTIVE,
        Booking.starts_at > max(since, now),
        sa.or_(Booking.host_name.is_(None), Booking.starts_at < now + LAST_DAY),
    )
    rows = session.execute(query.order_by(Booking.starts_at)).all()
    end_read(session)
    unlisted = [row.id for row in rows if row.event_uri not in listed]
    for booking_id in unlisted[:MOST_UNLISTED]:
        if calendly.budget_left(tenant) < HALF:
            return
        try:
            read_event(session, calendly, booking_id=booking_id, timers=timers, now=now)
        except CalendlyForbidden:
            with transaction(session):
                flag_other_host(bookings.lock_booking(session, booking_id), now=now)


@job(READ_EVENT_JOB, label=lazy_gettext("reading the meeting link in Calendly"))
def read_event(
    session: Session, calendly: CalendlyClient, *, booking_id: int, timers: Timers, now: datetime
) -> None:
    """Read the event of a booking whose meeting link was still being made, or that another host holds: of its
    cancellation or reschedule nothing else may tell us. Raises the client's errors.
    """
    booking = session.get(Booking, booking_id)
    tenant = session.get_one(Builder, booking.builder_id).tenant if booking is not None else ""
    old = booking.invitee_uri if booking is not None else None
    end_read(session)
    if booking is None or old is None or booking.slot is not Slot.ACTIVE or booking.event_uri is None:
        return
    try:
        event = canonical_event(calendly, calendly.scheduled_event(tenant, booking.event_uri))
    except CalendlyNotFound:
        return
    if event.status == "active":
        refresh_events(session, {booking.event_uri: event}, timers, now=now)
        return
    found = fetch_latest_invitee(calendly, tenant, old, None)
    if found is None:
        return
    with transaction(session):
        locked = bookings.lock_booking(session, booking_id)
        if locked.invitee_uri == old and locked.slot is Slot.ACTIVE:
            apply_latest_invitee(session, locked, *found, old=old, timers=timers, now=now)


def _is_known(booking: Booking, facts: SlotFacts | None) -> bool:
    """Whether the booking has all of it. Another start is a reschedule, which comes with an invitee of its own."""
    if facts is None or facts.starts_at != booking.starts_at:
        return True
    seats = Seats(booking.seats_taken or 0, booking.seats_limit) if booking.seats_limit else None
    known = (booking.join_url, booking.ends_at, seats, booking.host_name)
    host_name = other_hosts(booking, facts)[1] if facts.hosts else booking.host_name
    place = (booking.place_kind, booking.place)
    return known == (facts.join_url or booking.join_url, facts.ends_at, facts.seats, host_name) and (
        facts.place_kind is None or place == (facts.place_kind, facts.place)
    )
