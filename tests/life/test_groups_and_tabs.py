"""Scenarios 46 and 47: several people on one event, and one person in several tabs."""

from __future__ import annotations

import pytest

from bookingapp.bookings.codes import FlagCode
from bookingapp.dashboard.words.bookings import FLAGS
from tests.life.road import Road, Trip, name_of
from tests.live import Live

MAYA, GROUP = "SBXMAYALINDQV003", "ETMAYAGRPHALF240"


@pytest.fixture
def group(live: Live) -> Road:
    """A builder with a group session."""
    live.builder("maya", MAYA, {GROUP: {}})
    return Road(live)


def together(road: Road, *, number: int) -> list[Trip]:
    """So many people on one event, none of them paid."""
    trips = [road.scheduled(GROUP, "maya")]
    start = trips[0].calendly_event()["start_time"]
    trips += [road.scheduled(GROUP, "maya", start_time=start) for _ in range(number - 1)]
    assert len({trip.row.event_uri for trip in trips}) == 1
    return trips


def test_scenario_46_one_of_a_group_does_not_pay(group: Road) -> None:
    """The others stay confirmed, the event stays, and the builder is asked to release the seat."""
    first, second, third = together(group, number=3)
    first.pay()
    second.pay()
    third.open_checkout()
    group.end_hold(third)
    assert third.truth == ("expired", "expired")
    assert third.attention() == FlagCode.SEAT_NOT_RELEASED
    assert [trip.truth for trip in (first, second)] == [("confirmed", "paid")] * 2
    assert first.calendly_event()["status"] == "active"
    assert group.live.calls("/cancellation") == 0
    assert str(FLAGS[FlagCode.SEAT_NOT_RELEASED]) in group.attention_list("maya")
    # The builder releases it in Calendly: its report changes nothing.
    group.live.hands.control(f"calendly/invitees/{name_of(third.row.invitee_uri)}/cancel")
    group.live.work()
    assert [trip.truth for trip in (first, second)] == [("confirmed", "paid")] * 2
    assert third.history()[-1] == "scheduled>expired"


@pytest.mark.any_database
def test_scenario_46_nobody_of_a_group_pays(group: Road) -> None:
    """The event is canceled with the last of them."""
    first, second = together(group, number=2)
    group.end_hold(first)
    assert first.attention() == FlagCode.SEAT_NOT_RELEASED
    assert first.calendly_event()["status"] == "active"
    group.end_hold(second)
    assert second.truth[0] == "expired"
    assert second.calendly_event()["status"] == "canceled"


def test_scenario_47_two_tabs_one_time(road: Road) -> None:
    """Both claim it: the one whose reference it carries has it, the other is refused, and expires."""
    one, other = road.book(), road.book()
    with road.silence():
        one.choose()
    assert other.claim(one.invitee) == 409
    assert one.claim() == 303
    assert other.claim(one.invitee) == 409
    assert (one.truth[0], other.truth[0]) == ("scheduled", "pending")
    road.resend("invitee.created", name_of(one.invitee["uri"]))
    assert (one.truth[0], other.truth[0]) == ("scheduled", "pending")
    assert one.history() == [">pending", "pending>scheduled"]
    road.end_hold(other)
    assert (one.truth[0], other.truth[0]) == ("scheduled", "expired")
    assert one.calendly_event()["status"] == "active"
    assert other.row.invitee_uri is None


def test_scenario_47_one_booking_two_times(road: Road) -> None:
    """The same link in two tabs, a time picked in each: the first is the booking's, the second is canceled."""
    trip = road.book().choose()
    first = trip.invitee
    road.live.work()
    tracking = road.live.context().signer.sign(trip.row.tracking_id)
    second = road.live.hands.control("calendly/book", event_type=trip.event_type, utm_content=tracking)
    road.live.work()
    assert trip.row.invitee_uri == first["uri"]
    assert trip.calendly_event()["status"] == "active"
    trip.invitee = second
    assert trip.calendly_event()["status"] == "canceled"
    assert trip.truth[0] == "scheduled"
    assert trip.history() == [">pending", "pending>scheduled"]


def test_scenario_47_the_second_time_is_moved_before_it_is_reported(road: Road) -> None:
    """Then it takes the first one's place. The late report of where it was does not release it."""
    trip = road.confirmed()
    first = trip.invitee
    tracking = road.live.context().signer.sign(trip.row.tracking_id)
    with road.silence():
        second = road.live.hands.control("calendly/book", event_type=trip.event_type, utm_content=tracking)
    trip.invitee = second
    trip.move(deliver=())
    road.resend("invitee.created", name_of(second["uri"]))
    assert trip.calendly_event()["status"] == "active"
    road.resend("invitee.created", name_of(trip.invitee["uri"]))
    assert trip.row.invitee_uri == trip.invitee["uri"]
    assert trip.truth == ("confirmed", "paid")
    trip.invitee = first
    assert trip.calendly_event()["status"] == "canceled"
