"""Calendar files, read by two readers that know nothing of each other: icalendar, and vobject, which computes local
times from the time zone inside of the file.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import vobject
from icalendar import Calendar

from bookingapp.bookings.calendar_file import calendar_file
from bookingapp.bookings.calendar_revision import revising
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
START = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PAGE = "https://hours.example/bookings/0123456789abcdef0123456789abcdef"


def booking(**how: Any) -> Booking:
    """A confirmed session of a client in Berlin."""
    values: dict[str, Any] = {
        "tracking_id": "abc",
        "status": Status.CONFIRMED,
        "title": "60 Minute Consultation",
        "client_name": "Grace Hall",
        "client_timezone": "Europe/Berlin",
        "starts_at": START,
        "ends_at": START + HOUR,
        "join_url": "https://zoom.example/j/1?a=1;b=2,3",
        "place_kind": "zoom_conference",
        "calendar_sequence": 0,
        "created_at": NOW,
        "builder": Builder(display_name="Ada Okonkwo"),
        **how,
    }
    return Booking(**values)


def made(one: Booking, attendee: str | None = None, now: datetime = NOW) -> bytes:
    return calendar_file(one, address=PAGE, organizer="ada@example.com", attendee=attendee, now=now)


def read(file: bytes) -> tuple[Any, Any]:
    """The file and its event, by icalendar."""
    calendar = Calendar.from_ical(file)
    (event,) = calendar.walk("VEVENT")
    return calendar, event


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("Europe/Berlin", START),
        ("Europe/Berlin", datetime(2027, 3, 28, 0, 30, tzinfo=UTC)),  # Begins in CET, ends in CEST.
        ("Europe/Berlin", datetime(2027, 3, 28, 1, 0, tzinfo=UTC)),  # The first moment of CEST.
        ("Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # Ends where the hour comes again.
        ("Europe/Berlin", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),  # 02:30 for the second time.
        ("Australia/Sydney", datetime(2027, 3, 28, 0, 30, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2027, 4, 3, 15, 10, tzinfo=UTC)),  # Half an hour.
        ("America/New_York", datetime(2027, 3, 14, 6, 59, tzinfo=UTC)),
        ("Africa/Casablanca", datetime(2027, 2, 20, 0, 30, tzinfo=UTC)),
        ("Asia/Kathmandu", START),
        ("UTC", START),
        ("Nowhere/At_All", START),
    ],
)
def test_both_readers_find_the_same_moments(zone: str, start: datetime) -> None:
    """Whatever the client's clock does that day, and with its zone described in the file."""
    file = made(booking(client_timezone=zone, starts_at=start, ends_at=start + HOUR))
    calendar, event = read(file)
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (start, start + HOUR)
    theirs = vobject.readOne(file.decode()).vevent
    assert (theirs.dtstart.value, theirs.dtend.value) == (start, start + HOUR)
    named = {str(one["TZID"]) for one in calendar.walk("VTIMEZONE")}
    used = {str(event[name].params["TZID"]) for name in ("DTSTART", "DTEND") if "TZID" in event[name].params}
    assert named == used - {"UTC"}


def test_the_clients_zone_is_in_the_file() -> None:
    """With the offsets of summer and winter; the change in spring is written by the clock before it."""
    file = made(booking()).decode()
    assert "DTSTART;TZID=Europe/Berlin:20261201T150000" in file
    assert "BEGIN:DAYLIGHT\r\nDTSTART:20270328T020000\r\nTZNAME:CEST\r\nTZOFFSETFROM:+0100" in file


def test_what_it_says() -> None:
    """The page, the link and the place, and that answering changes nothing; both readers agree on each word."""
    file = made(booking(client_name='Grace ";:, Hall', title="One; two, three"), "grace@exämple.org")
    calendar, event = read(file)
    theirs = vobject.readOne(file.decode())
    assert str(calendar["METHOD"]) == theirs.method.value == "REQUEST"
    assert str(event["SUMMARY"]) == theirs.vevent.summary.value == "One; two, three with Ada Okonkwo"
    assert str(event["UID"]) == theirs.vevent.uid.value == "abc@bookingapp"
    assert str(event["URL"]) == theirs.vevent.url.value == PAGE
    assert str(event["LOCATION"]) == theirs.vevent.location.value == "https://zoom.example/j/1?a=1;b=2,3"
    assert str(event["DESCRIPTION"]) == theirs.vevent.description.value
    assert PAGE in event["DESCRIPTION"] and "changes nothing" in event["DESCRIPTION"]
    assert str(event["ORGANIZER"]) == theirs.vevent.organizer.value == "mailto:ada@example.com"
    invited = event["ATTENDEE"]
    assert str(invited) == theirs.vevent.attendee.value == "mailto:grace@xn--exmple-cua.org"
    assert (invited.params["RSVP"], invited.params["PARTSTAT"]) == ("FALSE", "ACCEPTED")
    assert invited.params["CN"] == "Grace ';:, Hall"
    assert all(len(line.encode()) <= 75 for line in file.decode().split("\r\n")), "RFC 5545, 3.1"


def test_a_file_that_is_downloaded_invites_nobody() -> None:
    calendar, event = read(made(booking()))
    assert str(calendar["METHOD"]) == "PUBLISH"
    assert "ATTENDEE" not in event


def test_each_change_replaces_the_entry() -> None:
    """The same UID, with a higher SEQUENCE and a later LAST-MODIFIED; the last one cancels it."""
    one, seen = booking(), []
    changes: list[dict[str, Any]] = [
        {},
        {"starts_at": START + HOUR, "ends_at": START + 2 * HOUR},
        {"join_url": "https://zoom.example/j/2"},
        {"host_name": "Bob"},
        {"status": Status.CANCELED},
    ]
    for number, change in enumerate(changes):
        now = NOW + number * HOUR
        with revising(one, now=now):
            for name, value in change.items():
                setattr(one, name, value)
        calendar, event = read(made(one, now=now))
        seen.append((int(event["SEQUENCE"]), event["LAST-MODIFIED"].dt, str(event["UID"])))
    assert seen == [(number, NOW + number * HOUR, "abc@bookingapp") for number in range(len(changes))]
    assert (str(calendar["METHOD"]), str(event["STATUS"])) == ("CANCEL", "CANCELLED")


def test_what_calendars_do_not_show_is_no_change() -> None:
    one = booking()
    with revising(one, now=NOW):
        one.status, one.cancel_url, one.join_url = Status.COMPLETED, "https://calendly.com/x", one.join_url
    assert (one.calendar_sequence, one.calendar_changed_at) == (0, None)
