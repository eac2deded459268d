"""The session as an iCalendar file (RFC 5545), as it is downloaded or mailed (RFC 5546)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import (
    Calendar,
    Component,
    Event,
    Timezone,
    TimezoneDaylight,
    TimezoneStandard,
    vCalAddress,
    vText,
)

from bookingapp.bookings.models import Booking
from bookingapp.bookings.places import describe_place
from bookingapp.bookings.states import Status
from bookingapp.core import clock
from bookingapp.core.i18n import gettext
from bookingapp.core.mailboxes import in_ascii
from bookingapp.text import one_line

# How far from the session its zone is described.
AROUND = timedelta(days=366)


def has_calendar_file(booking: Booking) -> bool:
    """Whether the booking is a session to enter in a calendar, or was one and is canceled."""
    if booking.is_booked:
        return True
    return booking.status is Status.CANCELED and was_confirmed(booking)


def was_confirmed(booking: Booking) -> bool:
    """Whether the client has got a calendar file of it: it has a time, and is paid (here or in Calendly) or free."""
    is_paid = booking.paid_at is not None or booking.paid_in_calendly
    return booking.starts_at is not None and (booking.is_free or is_paid)


class Method(enum.StrEnum):
    """What a calendar does with the file."""

    PUBLISH = "PUBLISH"  # Somebody downloads it.
    REQUEST = "REQUEST"  # It is mailed.
    CANCEL = "CANCEL"


def calendar_method(booking: Booking, *, is_mailed: bool) -> Method:
    """What a calendar does with the file of this booking."""
    if booking.status is Status.CANCELED:
        return Method.CANCEL
    return Method.REQUEST if is_mailed else Method.PUBLISH


def calendar_file(
    booking: Booking, *, address: str, organizer: str, attendee: str | None = None, now: datetime
) -> bytes:
    """The session as one event in the client's zone. ``address`` is the URL of the booking's page, ``organizer`` the
    builder's e-mail address, ``attendee`` the client's where the file is mailed to it.
    """
    event = Event()
    # The same for every file, so that a calendar replaces the entry; the higher sequence wins.
    event.add("uid", f"{booking.tracking_id}@bookingapp")
    event.add("sequence", booking.calendar_sequence)
    event.add("dtstamp", now)
    event.add("created", booking.created_at)
    event.add("last-modified", booking.calendar_changed_at or booking.created_at)
    event.add("status", _status_of(booking))
    times = {"dtstart": booking.starts_at, "dtend": booking.ends_at}
    zone = _zone_of(booking, [at for at in times.values() if at is not None])
    for name, at in times.items():
        if at is not None:
            event.add(name, at.astimezone(zone or UTC))
    builder = booking.builder.display_name
    event.add("summary", gettext("%(title)s with %(builder)s", title=booking.title, builder=builder))
    event.add("description", _describe(booking, address))
    event.add("url", address)
    place = describe_place(booking)
    # Calendars open a link, and lead to an address.
    if booking.join_url or place:
        event.add("location", booking.join_url or place)
    # An answer to the invitation goes to a person, and none is asked for: only the booking's page changes anything.
    event.add("organizer", _person(builder, organizer))
    if attendee is not None:
        event.add("attendee", _invited(booking.client_name, attendee))
    calendar = Calendar()
    calendar.add("prodid", "-//bookingapp//EN")
    calendar.add("version", "2.0")
    calendar.add("method", calendar_method(booking, is_mailed=attendee is not None))
    if zone is not None and booking.starts_at is not None:
        calendar.add_component(_describe_zone(zone, around=booking.starts_at))
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def _status_of(booking: Booking) -> str:
    if booking.is_booked:
        return "CONFIRMED"
    return "CANCELLED" if booking.status.is_final else "TENTATIVE"


def _describe(booking: Booking, address: str) -> str:
    lines = [describe_place(booking), booking.join_url, gettext("Your booking: %(address)s", address=address)]
    if booking.status is not Status.CANCELED:
        lines.append(
            gettext(
                "To reschedule or cancel, please use that page: answering this invitation changes nothing."
            )
        )
    return "\n".join(dict.fromkeys(line for line in lines if line))


def _person(name: str, email: str) -> vCalAddress:
    found = vCalAddress(f"mailto:{in_ascii(email) or email}")
    # A parameter's value has no quotation mark (RFC 5545, 3.2).
    found.params["CN"] = vText(one_line(name).replace('"', "'"))
    return found


def _invited(name: str, email: str) -> vCalAddress:
    found = _person(name, email)
    found.params.update({"ROLE": "REQ-PARTICIPANT", "PARTSTAT": "ACCEPTED", "RSVP": "FALSE"})
    return found


def _zone_of(booking: Booking, times: Iterable[datetime]) -> ZoneInfo | None:
    """The client's zone; None for UTC, and where its clock shows one of the times for the second time, because a local
    time in a file means the first (RFC 5545, 3.3.5).
    """
    zone = clock.zone(booking.client_timezone)
    is_plain = all(at.astimezone(zone).fold == 0 for at in times)
    return zone if is_plain and zone.key != "UTC" else None


def _describe_zone(zone: ZoneInfo, *, around: datetime) -> Timezone:
    """The zone's offsets in the years around a moment. The library describes one from tables of its own, an hour late
    in spring.
    """
    found, day = Timezone(), timedelta(days=1)
    found.add("tzid", zone.key)
    at = (around - AROUND).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found.add_component(_observance(zone, at.astimezone(zone), before=at.astimezone(zone)))
    while at < around + AROUND:
        before, after = at.astimezone(zone), (at + day).astimezone(zone)
        if before.utcoffset() != after.utcoffset():
            low, high = at, at + day
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                is_before = middle.astimezone(zone).utcoffset() == before.utcoffset()
                low, high = (middle, high) if is_before else (low, middle)
            found.add_component(
                _observance(zone, high.replace(microsecond=0).astimezone(zone), before=before)
            )
        at += day
    return found


def _observance(zone: ZoneInfo, since: datetime, *, before: datetime) -> Component:
    """One offset from a moment on, which is written by the offset ``before`` it (RFC 5545, 3.6.5)."""
    made = TimezoneDaylight() if since.dst() else TimezoneStandard()
    earlier, offset = before.utcoffset() or timedelta(), since.utcoffset() or timedelta()
    made.add("dtstart", (since.astimezone(UTC) + earlier).replace(tzinfo=None))
    made.add("tzoffsetfrom", earlier)
    made.add("tzoffsetto", offset)
    made.add("tzname", clock.zone_label(since, zone.key))
    return made
