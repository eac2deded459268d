"""Scenario 51: a session across a clock change, for a client in Sydney with a builder in London.

London's clocks go forward on Sunday 28 March 2027 at 01:00 UTC; Sydney's go back a week later.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from icalendar import Calendar

from bookingapp.checkout import views
from tests.life.road import BUILDER, CLIENT, Road, Trip
from tests.mailbox import text

START = datetime(2027, 3, 28, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
SYDNEY = "Australia/Sydney"


def from_sydney(road: Road, start: datetime) -> Trip:
    """A confirmed booking of a client in Sydney."""
    trip = road.book(timezone=SYDNEY).choose(start_time=start.strftime("%Y-%m-%dT%H:%M:%SZ"))
    road.live.work()
    trip.pay()
    assert trip.truth == ("confirmed", "paid")
    return trip


def test_scenario_51_both_local_times_are_right(road: Road) -> None:
    """On the page, in both mails and in the calendar file: it begins in GMT and ends in BST."""
    trip = from_sydney(road, START)
    page = trip.page
    ticket = page.one(".ticket__when").get_text(" ").replace("\N{EN DASH}", "-")
    assert "Sunday 28 March 2027" in " ".join(ticket.split())
    assert "11:30-12:30 AEDT" in ticket
    assert "Sydney time" in ticket
    assert "in London that is 00:30 GMT-02:30 BST" in ticket
    assert page.one(".ticket__when time")["datetime"] == "2027-03-28T00:30:00Z"

    to_client, to_builder = road.mails.one(CLIENT, "You are booked"), road.mails.one(BUILDER, "New booking")
    assert "Sunday 28 March 2027, 11:30-12:30 AEDT (Sydney time)" in text(to_client)
    assert "Sunday 28 March 2027, 00:30 GMT-02:30 BST (London time)" in text(to_client)
    assert "Sunday 28 March 2027, 00:30 GMT-02:30 BST (London time)" in text(to_builder)
    assert "11:30-12:30 AEDT (Sydney time)" in text(to_builder)

    files: list[Any] = [trip.browser.get(f"/bookings/{trip.ref}/session.ics").data]
    files += [part.get_content() for part in to_client.iter_attachments()]
    assert len(files) == 2
    for file in files:
        found: list[Any] = Calendar.from_ical(file).walk("VEVENT")
        assert [(event["DTSTART"].dt, event["DTEND"].dt) for event in found] == [(START, START + HOUR)]

    dashboard = road.live.browser("ada").page(trip.dashboard)
    words = dashboard.words.replace("\N{EN DASH}", "-")
    assert "00:30 GMT-02:30 BST London time" in words
    assert "11:30 AEDT Sydney time" in words


@pytest.mark.parametrize(
    ("hours_before", "back"), [(24, 6000), (23.99, 3000), (23, 3000), (12, 3000), (11.99, 0)]
)
def test_scenario_51_refunds_go_by_absolute_hours(
    road: Road, monkeypatch: pytest.MonkeyPatch, hours_before: float, back: int
) -> None:
    """At noon on the Saturday in London it is a day before noon on the Sunday by the clock, and 23 hours in truth."""
    noon = datetime(2027, 3, 28, 11, 0, tzinfo=UTC)  # 12:00 BST.
    trip = from_sydney(road, noon)
    now = noon - timedelta(hours=hours_before)
    monkeypatch.setattr(views, "utcnow", lambda: now)
    preview = trip.browser.page(f"/bookings/{trip.ref}/cancel")
    assert preview.one("[data-refund-minor]")["data-refund-minor"] == str(back)
    assert trip.press("cancel").status_code == 303
    monkeypatch.undo()
    # The jobs are due at the time of the click, which is still to come by the machine's clock.
    for key in ("refund:", "cancel-event:") if back else ("cancel-event:",):
        road.let_pass(key)
    assert sum(trip.ledger()) == 6000 - back
