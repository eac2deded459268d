"""What Calendly changes after the booking: links, places, hosts and lengths are read again before the session."""

from __future__ import annotations

from typing import Any

import pytest
from icalendar import Calendar

from bookingapp.bookings.codes import FlagCode
from bookingapp.core import services
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import db
from bookingapp.integrations.calendly import CalendlyClient, CalendlyForbidden
from bookingapp.sync.reconciliation import reconcile_everything
from bookingapp.webhooks.handlers import Context
from tests.life.road import CLIENT, Road, Trip, name_of
from tests.live import HOUR, KENJI, press
from tests.mailbox import text

OFFICE = "1 High Street, London"
MAIL = "Where to meet"


def change(trip: Trip, **how: Any) -> None:
    """The host changes the event in Calendly."""
    trip.road.live.hands.control(f"calendly/events/{name_of(trip.row.event_uri)}/change", **how)


def reconcile(road: Road) -> None:
    """The hourly comparison, and the mails that come of it."""
    with road.live.app.app_context():
        reconcile_everything(db.session(), services.get(Context), now=utcnow())
    road.live.work()


def session_entry(trip: Trip) -> Any:
    """The entry of the calendar file."""
    file: Any = Calendar.from_ical(trip.browser.get(f"/bookings/{trip.ref}/session.ics").data)
    return file.walk("VEVENT")[0]


PLACES: list[tuple[dict[str, Any], str]] = [
    ({"kind": "physical", "location": OFFICE}, OFFICE),
    ({"kind": "custom", "location": "By the fountain"}, "By the fountain"),
    ({"kind": "ask_invitee", "location": "My office"}, "My office"),
    ({"kind": "inbound_call", "location": "+44 20 7946 0000"}, "Call +44 20 7946 0000"),
    ({"kind": "outbound_call", "location": "+49 30 901820"}, "Ada calls +49 30 901820"),
    ({"kind": "zoom_conference"}, "Zoom"),
    ({"kind": "google_conference"}, "Google Meet"),
]


@pytest.mark.parametrize(("place", "words"), PLACES)
def test_places_of_every_kind(road: Road, place: dict[str, Any], words: str) -> None:
    """On page, mail, calendar file and dashboard."""
    road.live.hands.control(f"calendly/event-types/{HOUR}", locations=[place])
    trip = road.confirmed(place=place)
    dashboard = road.live.browser("ada").page(f"/dashboard/bookings/{trip.row.tracking_id}")
    assert words in trip.page.one(".ticket").text
    assert words in dashboard.words
    assert f"Where: {words}" in text(road.mails.one(CLIENT, "You are booked"))
    entry = session_entry(trip)
    assert words in str(entry["description"])
    link = trip.row.join_url
    assert str(entry["location"]) == (link or words)
    assert bool(link) is place["kind"].endswith("_conference")
    assert len(trip.page.select("#call-link")) == (1 if link else 0)


def test_a_place_in_ones_own_words_may_be_a_link(road: Road) -> None:
    """Then it is one."""
    link = "https://meet.example/ada"
    trip = road.confirmed(place={"kind": "custom", "location": link})
    assert trip.page.one("#call-link")["href"] == link


@pytest.mark.parametrize(
    ("words", "link"),
    [
        ("https://meet.example/ada Passcode: 123", "https://meet.example/ada"),
        ("Our room: https://meet.example/ada", "https://meet.example/ada"),
        ("By the fountain", None),
    ],
)
def test_a_link_among_a_places_own_words(road: Road, words: str, link: str | None) -> None:
    """The button opens it, and the words stay: a passcode is in them."""
    trip = road.confirmed(place={"kind": "custom", "location": words})
    assert [one["href"] for one in trip.page.select("#call-link")] == ([link] if link else [])
    assert words in trip.page.one(".ticket").text
    assert words in text(road.mails.one(CLIENT, "You are booked"))


def test_a_map_is_no_call(road: Road) -> None:
    """An address with a link beside it."""
    where = f"{OFFICE} https://maps.example/x"
    trip = road.confirmed(place={"kind": "physical", "location": where})
    assert where in trip.page.one(".ticket").text
    assert not trip.page.select("#call-link")


def test_a_long_place(road: Road) -> None:
    """Its beginning is better than no place at all."""
    trip = road.confirmed(place={"kind": "custom", "location": "Take the second door. " * 40})
    assert "Take the second door." in trip.page.one(".ticket").text
    assert "…" in trip.page.one(".ticket").text


def test_a_place_is_not_shown_before_the_booking_is_confirmed(road: Road) -> None:
    """A private address is for those who have booked."""
    trip = road.scheduled(place={"kind": "physical", "location": OFFICE})
    assert OFFICE not in trip.page.words


@pytest.mark.any_database
def test_a_link_that_comes_minutes_later(road: Road) -> None:
    """The provisional link of the delivery is replaced, without a mail about it: both work."""
    trip = road.confirmed()
    assert "/events/" in str(trip.row.join_url)
    store = road.live.hands.server.sandbox.store
    event = store.get("event", name_of(trip.row.event_uri))
    assert event is not None
    store.put("event", event["id"], {**event, "created_at": iso(trip.row.created_at).replace("2026", "2025")})
    road.let_pass("read-event:")
    assert trip.page.one("#call-link")["href"] == f"{road.live.hands.base}/meet/{event['location']}"
    assert MAIL not in road.subjects(CLIENT)


@pytest.mark.any_database
def test_another_place(road: Road) -> None:
    """The client is mailed once, the old link is gone everywhere, and one listing of events is all that it costs."""
    trip = road.confirmed()
    change(trip, place={"kind": "physical", "location": OFFICE})
    road.live.hands.control("reset-requests")
    for _ in range(2):
        reconcile(road)
    assert road.live.calls("/calendly-api/scheduled_events") == 2
    mail = road.mails.one(CLIENT, MAIL)
    assert f"Where: {OFFICE}" in text(mail)
    assert "Join the call" not in text(mail)
    assert OFFICE in trip.page.one(".ticket").text
    assert not trip.page.select("#call-link")
    assert str(session_entry(trip)["location"]) == OFFICE


def test_another_host(road: Road) -> None:
    """Flagged for the builder, named to the client, and resolved when the builder takes it back."""
    trip = road.confirmed()
    change(trip, user=KENJI)
    reconcile(road)
    assert trip.attention() == FlagCode.OTHER_HOST
    assert "Kenji Mori" in trip.page.one(".ticket").text
    assert "Host: Kenji Mori" in text(road.mails.one(CLIENT, MAIL))
    change(trip, user="SBXADAOKONKWO001")
    reconcile(road)
    assert trip.attention() is None


def test_another_host_whom_the_builder_accepts(road: Road) -> None:
    """The question that a builder has resolved does not come back, however often Calendly says the same; for a third
    host it is asked anew.
    """
    trip = road.confirmed()
    change(trip, user=KENJI)
    reconcile(road)
    path = f"/dashboard/bookings/{trip.row.tracking_id}"
    assert press(road.live.browser("ada"), f"{path}/seen").status_code == 303
    assert trip.attention() is None
    road.begin_in(trip, 20)
    for place in (OFFICE, "By the fountain"):
        change(trip, place={"kind": "physical", "location": place})
        reconcile(road)
        assert place in trip.page.one(".ticket").text
        assert trip.attention() is None
    change(trip, user="SBXMAYALINDQV003")
    reconcile(road)
    assert trip.attention() == FlagCode.OTHER_HOST


def test_an_event_that_calendly_refuses_to_show(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """403 on another host's event: the builder is asked once, until they have resolved it."""
    trip = road.confirmed()
    change(trip, user=KENJI)

    def refuse(*_: object) -> None:
        raise CalendlyForbidden("You are not allowed to view this event", status=403)

    monkeypatch.setattr(CalendlyClient, "scheduled_event", refuse)
    path = f"/dashboard/bookings/{trip.row.tracking_id}"
    reconcile(road)
    assert trip.attention() == FlagCode.OTHER_HOST
    assert press(road.live.browser("ada"), f"{path}/seen").status_code == 303
    reconcile(road)
    assert trip.attention() is None


@pytest.mark.any_database
@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("by_host", [False, True])
def test_another_host_cancels(road: Road, is_known: bool, by_host: bool) -> None:
    """Neither a webhook of ours nor the builder's list of events has it: the event is read by itself."""
    trip = road.confirmed()
    road.begin_in(trip, 23 if is_known else 48)
    change(trip, user=KENJI)
    if is_known:
        reconcile(road)
        assert trip.attention() == FlagCode.OTHER_HOST
    what = f"events/{name_of(trip.row.event_uri)}" if by_host else f"invitees/{name_of(trip.row.invitee_uri)}"
    with road.silence():
        road.live.hands.control(f"calendly/{what}/cancel")
    reconcile(road)
    refunded = "refunded" if by_host or not is_known else "partially_refunded"
    assert (*trip.truth, trip.attention()) == ("canceled", refunded, None)


@pytest.mark.any_database
def test_another_host_moves_it(road: Road) -> None:
    """Likewise: the booking has its new time."""
    trip = road.confirmed()
    change(trip, user=KENJI)
    trip.move(deliver=(), by_host=True)
    store = road.live.hands.server.sandbox.store
    event = store.get("event", name_of(trip.invitee["event"]))
    assert event is not None
    store.put("event", event["id"], {**event, "user": KENJI})
    reconcile(road)
    assert trip.truth == ("confirmed", "paid")
    assert trip.row.invitee_uri == trip.invitee["uri"]


def test_another_length(road: Road) -> None:
    """The end moves: pages and the completion follow."""
    trip = road.confirmed()
    start = trip.row.starts_at
    assert start is not None
    change(trip, end_time=iso(start.replace(minute=start.minute) + (trip.row.ends_at - start) * 2))  # type: ignore[operator]
    reconcile(road)
    assert "2 hours" in trip.page.one(".ticket").text
    jobs = {job.key for job in road.live.jobs("bookings.complete")}
    ends_at = trip.row.ends_at
    assert ends_at is not None
    assert f"complete:{trip.row.id}:{int(ends_at.timestamp())}" in jobs


def test_nothing_changed(road: Road) -> None:
    """Nothing is written and nobody is mailed."""
    trip = road.confirmed()
    before = trip.row
    reconcile(road)
    reconcile(road)
    after = trip.row
    assert (after.updated_at, after.slot_checked_at) == (before.updated_at, before.slot_checked_at)
    assert road.subjects(CLIENT) == ["You are booked"]
