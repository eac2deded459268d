"""Calendly cannot be told, however often it is tried: a person sees it, and it comes right by itself later."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.bookings.service import CANCEL_EVENT_JOB
from bookingapp.core.claims import BACKOFF
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.dashboard.words.bookings import FLAGS
from tests.life.road import Road, Trip


def use_up(road: Road, key: str) -> None:
    """Every try there is, each in vain."""
    for _ in BACKOFF:
        road.let_pass(key)


def is_on_the_dashboard(road: Road, words: str) -> bool:
    """Whether the builder's first page says so."""
    return words in road.live.browser("ada").page("/dashboard").words


@pytest.mark.any_database
def test_a_cancellation_that_is_owed(road: Road) -> None:
    """The client has canceled and has their money; only Calendly does not know it yet."""
    trip = road.confirmed()
    road.live.fault("500", path_prefix="/calendly-api")
    assert trip.browser.submit(f"/bookings/{trip.ref}/cancel").status_code == 303
    road.live.work()
    assert trip.truth[0] == "canceled"
    assert trip.attention() is None
    use_up(road, "cancel-event:")
    assert trip.attention() == FlagCode.TIME_NOT_RELEASED
    # It is the same row that goes on being tried, and no second one beside it.
    with road.live.database() as session:
        owed = session.scalars(sa.select(Job.state).where(Job.name == CANCEL_EVENT_JOB)).all()
    assert owed == [WorkState.FAILED]
    assert is_on_the_dashboard(road, str(FLAGS[FlagCode.TIME_NOT_RELEASED]))
    road.calendly_returns()
    road.let_pass("cancel-event:")
    assert trip.calendly_event()["status"] == "canceled"
    assert trip.attention() is None
    assert not is_on_the_dashboard(road, str(FLAGS[FlagCode.TIME_NOT_RELEASED]))


@pytest.mark.any_database
def test_a_move_that_cannot_be_followed(road: Road) -> None:
    """The flag goes up after the last try, and down when the new time is found."""
    trip = road.confirmed()
    trip.move(tell=("invitee.canceled",))
    road.live.fault("500", path_prefix="/calendly-api")
    use_up(road, "calendly.follow_move:")
    assert trip.attention() is None
    road.let_pass("calendly.follow_move:")
    assert trip.attention() == FlagCode.RESCHEDULED_UNKNOWN
    road.calendly_returns()
    road.let_pass("calendly.follow_move:")
    assert trip.row.invitee_uri == trip.invitee["uri"]
    assert trip.attention() is None


def over_for(road: Road, trip: Trip, minutes: int) -> None:
    """The hold ended so many minutes ago."""
    with road.live.database() as session, transaction(session):
        row = sa.update(Booking).where(Booking.ref == trip.ref)
        session.execute(row.values(hold_expires_at=utcnow() - timedelta(minutes=minutes)))


@pytest.mark.any_database
def test_the_end_of_a_hold(road: Road) -> None:
    """The booking ends after ten minutes of silence; its time is given back when Calendly is there again."""
    trip = road.scheduled()
    road.live.fault("500", path_prefix="/calendly-api")
    road.end_hold(trip)
    assert trip.row.status == "scheduled"
    assert "hold on this booking has ended" in trip.page.one("h1").text
    over_for(road, trip, 11)
    road.let_pass(f"expire:{trip.row.id}:")
    assert trip.truth[0] == "expired"
    road.calendly_returns()
    road.let_pass("cancel-event:")
    assert trip.calendly_event()["status"] == "canceled"
    assert trip.attention() is None
