"""Scenarios 18 to 20: a time is moved in Calendly, which reports it in two deliveries."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.reschedule import FOLLOW_MOVE_JOB
from bookingapp.core import clock
from bookingapp.dashboard.words.bookings import FLAGS
from tests.life.road import BUILDER, CLIENT, Road, Trip, name_of

CANCELED, CREATED = "invitee.canceled", "invitee.created"
ORDERS = [(CANCELED, CREATED), (CREATED, CANCELED)]


def follow(road: Road, trip: Trip) -> None:
    """End the grace time."""
    road.let_pass(f"{FOLLOW_MOVE_JOB}:{trip.row.id}:")


@pytest.mark.any_database
@pytest.mark.parametrize("order", ORDERS)
def test_scenario_18_reschedule_before_payment(road: Road, order: tuple[str, ...]) -> None:
    """It stays scheduled with the new time; the old Checkout page is closed, the next names the new time; the hold
    begins anew once.
    """
    trip = road.scheduled()
    old = trip.row
    assert old.starts_at is not None
    assert clock.day_time(old.starts_at, old.client_timezone) in trip.order(trip.open_checkout())
    trip.move(deliver=order)
    moved = trip.row
    assert moved.status == "scheduled"
    assert (moved.invitee_uri, moved.moving_since) == (trip.invitee["uri"], None)
    assert moved.starts_at is not None and old.starts_at is not None and moved.starts_at > old.starts_at
    assert moved.hold_expires_at is not None and old.hold_expires_at is not None
    assert moved.hold_expires_at > old.hold_expires_at
    assert [one["status"] for one in trip.sessions()] == ["expired"]
    assert clock.day_time(moved.starts_at, moved.client_timezone) in trip.order(trip.open_checkout())
    first, second = trip.sessions()
    assert (first["status"], second["status"]) == ("expired", "open")
    assert second["amount_total"] == first["amount_total"] == 6000
    begun = ["move_begun"] if order[0] == CANCELED else []
    assert trip.causes() == ["slot_taken", *begun, "slot_moved"]
    assert trip.calendly_event()["status"] == "active"
    trip.pay()
    assert trip.truth == ("confirmed", "paid")
    assert trip.ledger() == [6000]


def test_scenario_18_the_hold_is_reset_once(road: Road) -> None:
    """An unpaid time that is moved again and again is not kept for ever."""
    trip = road.scheduled()
    trip.move()
    held = trip.row.hold_expires_at
    trip.move()
    trip.move(deliver=(CREATED, CANCELED))
    assert trip.row.hold_expires_at == held
    road.end_hold(trip)
    assert trip.row.status == "expired"
    assert trip.calendly_event()["status"] == "canceled"


def test_scenario_18_between_the_deliveries_the_page_says_so(road: Road) -> None:
    """The old time is not shown, and cannot be paid."""
    trip = road.scheduled()
    trip.open_checkout()
    trip.move(deliver=(CANCELED,))
    page = trip.page
    assert "being rescheduled" in page.one("h1").text
    assert page.one(".ticket__date").text == "Being rescheduled"
    assert not page.select("#pay-button")
    refused = trip.press("pay")
    assert refused.status_code == 409
    assert "being rescheduled" in refused.text
    assert [one["status"] for one in trip.sessions()] == ["expired"]
    road.resend(CREATED, name_of(trip.invitee["uri"]))
    assert trip.page.one("#pay-button")


@pytest.mark.any_database
@pytest.mark.parametrize("order", ORDERS)
def test_scenario_19_reschedule_after_payment(road: Road, order: tuple[str, ...]) -> None:
    """Confirmed with the new time, no refund and no charge, and one mail to each side."""
    trip = road.confirmed()
    old = trip.row
    trip.move(deliver=order)
    moved = trip.row
    assert trip.truth == ("confirmed", "paid")
    assert moved.starts_at is not None and old.starts_at is not None and moved.starts_at > old.starts_at
    assert trip.ledger() == [6000]
    assert len(trip.sessions()) == 1
    assert road.subjects(CLIENT) == ["New time", "You are booked"]
    assert road.subjects(BUILDER) == ["New booking", "New time"]
    assert moved.attention is None
    assert clock.time_range(moved.starts_at, moved.ends_at or moved.starts_at, "UTC") in trip.page.words
    calendar = trip.browser.get(f"/bookings/{trip.ref}/session.ics").text
    assert moved.starts_at.strftime("%Y%m%dT%H%M%SZ") in calendar
    assert old.starts_at.strftime("%Y%m%dT%H%M%SZ") not in calendar


def test_scenario_19_two_minutes_apart(road: Road) -> None:
    """The second delivery comes within the grace time: Calendly is not asked, and nothing is flagged."""
    trip = road.confirmed()
    trip.move(deliver=(CANCELED,))
    assert trip.truth == ("confirmed", "paid")
    (job,) = road.live.jobs(FOLLOW_MOVE_JOB)
    since = trip.row.moving_since
    assert since is not None and job.run_at - since > timedelta(minutes=2)
    road.resend(CREATED, name_of(trip.invitee["uri"]))
    assert trip.row.moving_since is None
    road.live.hands.control("reset-requests")
    follow(road, trip)
    assert road.live.calls("/scheduled_events") == 0
    assert (trip.attention(), trip.ledger()) == (None, [6000])


def test_scenario_19_moved_twice(road: Road) -> None:
    """A chain of moves, the middle of which was never reported: the last time counts."""
    trip = road.confirmed()
    trip.move(deliver=(CANCELED,))
    trip.move(deliver=())
    follow(road, trip)
    assert trip.row.invitee_uri == trip.invitee["uri"]
    assert (trip.truth, trip.attention()) == (("confirmed", "paid"), None)
    assert trip.row.slot_source == "asked"


@pytest.mark.any_database
def test_scenario_20_second_delivery_missing(road: Road) -> None:
    """After the grace time Calendly is asked for the new time."""
    trip = road.confirmed()
    trip.move(deliver=(CANCELED,))
    assert "being rescheduled" in trip.page.one("h1").text
    assert trip.browser.get(f"/bookings/{trip.ref}/session.ics").status_code == 404
    follow(road, trip)
    assert trip.row.invitee_uri == trip.invitee["uri"]
    assert (trip.truth, trip.attention()) == (("confirmed", "paid"), None)
    assert trip.ledger() == [6000]
    assert road.subjects(CLIENT) == ["New time", "You are booked"]
    # The delivery that was thought lost changes nothing.
    road.resend(CREATED, name_of(trip.invitee["uri"]))
    assert trip.history().count("confirmed>confirmed") == 2
    assert road.subjects(CLIENT) == ["New time", "You are booked"]


def test_scenario_20_moved_before_the_old_time_was_reported(road: Road) -> None:
    """The cancellation of the old time leads to the new one."""
    trip = road.book()
    with road.silence():
        trip.choose()
    trip.move(deliver=(CANCELED,))
    assert trip.row.status == "pending"
    follow(road, trip)
    assert (trip.row.status, trip.row.invitee_uri) == ("scheduled", trip.invitee["uri"])
    trip.pay()
    assert trip.truth == ("confirmed", "paid")


def test_scenario_20_calendly_does_not_know_either(road: Road) -> None:
    """It is flagged, nothing is refunded, and the flag is resolved when the new time comes after all."""
    trip = road.confirmed()
    old = name_of(trip.row.invitee_uri)
    trip.move(deliver=(CANCELED,))
    store = road.live.hands.server.sandbox.store
    hidden = store.get("invitee", name_of(trip.invitee["uri"]))
    assert hidden is not None
    store.delete("invitee", hidden["id"])
    follow(road, trip)
    assert trip.attention() == FlagCode.RESCHEDULED_UNKNOWN
    assert trip.truth == ("confirmed", "paid")
    assert trip.ledger() == [6000]
    assert str(FLAGS[FlagCode.RESCHEDULED_UNKNOWN]) in road.attention_list()
    assert name_of(trip.row.invitee_uri) == old
    store.put("invitee", hidden["id"], hidden)
    road.resend(CREATED, hidden["id"])
    assert (trip.attention(), trip.truth) == (None, ("confirmed", "paid"))


def test_scenario_20_moved_and_then_canceled(road: Road) -> None:
    """Only the cancellation of the new time is reported: both happened, so the policy applies."""
    trip = road.confirmed(start_time=None)
    trip.move(deliver=())
    new = name_of(trip.invitee["uri"])
    road.live.hands.control(f"calendly/invitees/{new}/cancel")
    road.live.work()
    assert trip.row.moving_since is not None
    follow(road, trip)
    assert trip.row.status == "canceled"
    assert trip.causes()[-2:] == ["slot_moved", "slot_lost"]


def test_scenario_20_an_unpaid_time_on_the_move_expires_and_is_released(road: Road) -> None:
    """The hold ends before the new time is reported: both times are released."""
    trip = road.scheduled()
    trip.move(deliver=(CANCELED,))
    road.end_hold(trip)
    assert trip.row.status == "expired"
    follow(road, trip)
    road.live.work()
    assert trip.calendly_event()["status"] == "canceled"
    assert trip.row.status == "expired"


def test_scenario_20_a_time_that_was_moved_before_it_could_be_released(road: Road) -> None:
    """The client cancels here and then moves in Calendly, which does not report it: the new time is released."""
    trip = road.confirmed()
    assert trip.press("cancel").status_code == 303
    trip.move(deliver=())
    road.live.work()
    assert trip.truth[0] == "canceled"
    assert trip.calendly_event()["status"] == "canceled"


@pytest.mark.any_database
def test_scenario_20_the_old_time_leads_to_a_new_one_without_our_reference(road: Road) -> None:
    """Calendly need not copy it to the new invitee, and the old one was never reported."""
    road.live.hands.server.sandbox.store.set_setting("reschedule_keeps_tracking", value=False)
    trip = road.book()
    with road.silence():
        trip.choose()
    trip.move(deliver=(CANCELED,))
    assert trip.truth[0] == "pending"
    follow(road, trip)
    assert trip.truth[0] == "scheduled"
    assert trip.row.invitee_uri == trip.invitee["uri"]
