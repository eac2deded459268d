"""Calendly does not answer, however often it is tried: the booking is flagged, until a later try succeeds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.service import CANCEL_EVENT_JOB
from bookingapp.core.claims import BACKOFF
from bookingapp.core.clock import utcnow
from bookingapp.core.queue import WorkState
from bookingapp.dashboard.words.bookings import FLAGS
from tests.life.road import Road


def use_up(road: Road, key: str) -> None:
    """Let every try fail."""
    for _ in BACKOFF:
        road.let_pass(key)


def is_on_the_dashboard(road: Road, words: str) -> bool:
    return words in road.live.browser("ada").page("/dashboard").words


def test_a_cancellation(road: Road) -> None:
    """The client has canceled and has their refund; only Calendly does not know it yet."""
    trip = road.confirmed()
    road.live.fault("500", path_prefix="/calendly-api")
    assert trip.press("cancel").status_code == 303
    road.live.work()
    assert trip.truth[0] == "canceled"
    assert trip.attention() is None
    use_up(road, "cancel-event:")
    assert trip.attention() == FlagCode.TIME_NOT_RELEASED
    # The same job goes on being tried, and there is no second one beside it.
    assert [job.state for job in road.live.jobs(CANCEL_EVENT_JOB)] == [WorkState.FAILED]
    assert is_on_the_dashboard(road, str(FLAGS[FlagCode.TIME_NOT_RELEASED]))
    road.calendly_returns()
    road.let_pass("cancel-event:")
    assert trip.calendly_event()["status"] == "canceled"
    assert trip.attention() is None
    assert not is_on_the_dashboard(road, str(FLAGS[FlagCode.TIME_NOT_RELEASED]))


def test_a_cancellation_while_the_hold_ends(road: Road) -> None:
    """The end of the hold has begun to release the time and waits for Calendly: the cancellation releases it."""
    trip = road.scheduled()
    road.live.fault("500", path_prefix="/calendly-api")
    road.end_hold(trip)
    assert trip.truth[0] == "scheduled"
    assert trip.press("cancel").status_code == 303
    road.calendly_returns()
    road.live.work()
    assert trip.truth[0] == "canceled"
    assert trip.calendly_event()["status"] == "canceled"


@pytest.mark.any_database
def test_a_move_that_cannot_be_followed(road: Road) -> None:
    """Flagged after the last try, and resolved when the new time is found."""
    trip = road.confirmed()
    trip.move(deliver=("invitee.canceled",))
    road.live.fault("500", path_prefix="/calendly-api")
    use_up(road, "calendly.follow_move:")
    assert trip.attention() is None
    road.let_pass("calendly.follow_move:")
    assert trip.attention() == FlagCode.RESCHEDULED_UNKNOWN
    road.calendly_returns()
    road.let_pass("calendly.follow_move:")
    assert trip.row.invitee_uri == trip.invitee["uri"]
    assert trip.attention() is None


def test_the_end_of_a_hold(road: Road) -> None:
    """The booking expires after ten minutes; its time is released when Calendly answers again."""
    trip = road.scheduled()
    road.live.fault("500", path_prefix="/calendly-api")
    road.end_hold(trip)
    assert trip.row.status == "scheduled"
    assert "hold on this booking has ended" in trip.page.one("h1").text
    trip.change(hold_expires_at=utcnow() - timedelta(minutes=11))
    road.let_pass(f"expire:{trip.row.id}:")
    assert trip.truth[0] == "expired"
    road.calendly_returns()
    road.let_pass("cancel-event:")
    assert trip.calendly_event()["status"] == "canceled"
    assert trip.attention() is None
