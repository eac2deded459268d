"""The session as an iCalendar file (RFC 5545)."""

from __future__ import annotations

from datetime import datetime

from icalendar import Calendar, Event

from bookingapp.bookings.models import Booking
from bookingapp.bookings.places import describe_place
from bookingapp.core.i18n import gettext


def calendar_file(booking: Booking, *, address: str, now: datetime) -> bytes:
    """The session as one event in UTC. ``address`` is the URL of the booking's page."""
    event = Event()
    # The same for every download, so that a calendar replaces the entry after a reschedule.
    event.add("uid", f"{booking.tracking_id}@bookingapp")
    event.add("dtstamp", now)
    event.add("dtstart", booking.starts_at)
    event.add("dtend", booking.ends_at)
    event.add(
        "summary",
        gettext("%(title)s with %(builder)s", title=booking.title, builder=booking.builder.display_name),
    )
    place = describe_place(booking)
    lines = [place, booking.join_url, gettext("Your booking: %(address)s", address=address)]
    event.add("description", "\n".join(dict.fromkeys(line for line in lines if line)))
    event.add("url", address)
    # Calendars open a link, and lead to an address.
    if booking.join_url or place:
        event.add("location", booking.join_url or place)
    calendar = Calendar()
    calendar.add("prodid", "-//bookingapp//EN")
    calendar.add("version", "2.0")
    calendar.add_component(event)
    return bytes(calendar.to_ical())
