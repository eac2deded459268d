"""Nobody is asked to cancel a time in Calendly that has begun, is over, or is canceled already."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from bookingapp.bookings.attention import flag
from bookingapp.bookings.codes import SESSION_FLAGS, FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.bookings.service import CANCEL_EVENT_JOB
from bookingapp.checkout.release_time import resolve_past_releases
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import WorkState
from tests.life.road import Road, Trip, name_of
from tests.life.test_groups_and_tabs import group, together
from tests.live import press

__all__ = ["group"]


@pytest.mark.parametrize("hours", [-0.5, -30], ids=["has begun", "is over"])
def test_a_time_that_cannot_be_canceled_any_more(road: Road, hours: float) -> None:
    """Calendly's 403 is an answer: the job is done, and the dashboard asks for nothing."""
    trip = road.scheduled()
    road.live.fault("500", path_prefix="/calendly-api/scheduled_events", method="POST")
    assert trip.browser.submit(f"/bookings/{trip.ref}/cancel").status_code == 303
    road.live.work()
    assert trip.truth[0] == "canceled"
    road.begin_in(trip, hours)
    road.calendly_returns()
    road.let_pass("cancel-event:")
    assert trip.attention() is None
    assert [job.state for job in road.live.jobs(CANCEL_EVENT_JOB)] == [WorkState.DONE]
    assert not road.live.browser("ada").page("/dashboard").select(".row__attention")


def at_the_same_time(road: Road) -> tuple[Trip, Trip]:
    """Two sessions of a builder, each with the flag of the other."""
    one, other = road.confirmed(), road.confirmed()
    other.change(starts_at=one.row.starts_at, ends_at=one.row.ends_at)
    for mine, name in ((one, other.row.tracking_id), (other, one.row.tracking_id)):
        with road.live.database() as session, transaction(session):
            booking = session.scalars(sa.select(Booking).where(Booking.ref == mine.ref)).one()
            flag(booking, FlagCode.OVERLAP, now=utcnow(), other=name)
    return one, other


def test_the_end_of_a_hold_after_the_start(road: Road) -> None:
    """The booking expires without a word about a cancellation by hand."""
    trip = road.scheduled()
    road.begin_in(trip, -0.25)
    road.end_hold(trip)
    assert (trip.truth[0], trip.attention()) == ("expired", None)


def test_a_seat_is_asked_for_until_the_session_is_over(group: Road) -> None:
    """Then nobody can remove it, and nobody has to."""
    first, _ = together(group, number=2)
    first.pay()
    builder = group.live.browser("maya")
    assert press(builder, f"/dashboard/bookings/{first.row.tracking_id}/cancel").status_code == 303
    group.live.work()
    assert first.attention() == FlagCode.SEAT_NOT_RELEASED
    ends_at = first.row.ends_at
    assert ends_at is not None
    for now, code in ((utcnow(), FlagCode.SEAT_NOT_RELEASED), (ends_at + timedelta(minutes=1), None)):
        with group.live.database() as session:
            resolve_past_releases(session, now=now)
        assert first.attention() == code
    assert not builder.page("/dashboard").select(".row__attention")


def test_a_time_that_the_builder_cancels_as_they_were_asked(road: Road) -> None:
    """Calendly's delivery ends the request; the next try of ours may be an hour away."""
    trip = road.scheduled()
    road.live.fault("500", path_prefix="/calendly-api/scheduled_events", method="POST")
    assert trip.press("cancel").status_code == 303
    road.live.work()
    while trip.attention() is None:
        road.let_pass("cancel-event:")
    assert trip.attention() == FlagCode.TIME_NOT_RELEASED
    road.live.hands.control(f"calendly/invitees/{name_of(trip.invitee['uri'])}/cancel")
    road.live.work()
    assert trip.attention() is None


def ask(trip: Trip, code: FlagCode) -> None:
    """Flag the booking."""
    with trip.live.database() as session, transaction(session):
        booking = session.scalars(sa.select(Booking).where(Booking.ref == trip.ref)).one()
        flag(booking, code, now=utcnow())


@pytest.mark.parametrize("code", [code for code in SESSION_FLAGS if code is not FlagCode.OVERLAP])
def test_a_question_about_a_session_that_is_canceled(road: Road, code: FlagCode) -> None:
    """It ends with the cancellation, whoever cancels."""
    trip = road.confirmed()
    ask(trip, code)
    assert trip.attention() == code
    assert trip.press("cancel").status_code == 303
    road.live.work()
    assert trip.attention() is None


@pytest.mark.parametrize("code", [code for code in SESSION_FLAGS if code is not FlagCode.OVERLAP])
def test_a_question_about_a_session_that_is_over(road: Road, code: FlagCode) -> None:
    """Also of a booking that had ended before: such flags stayed open."""
    trip = road.confirmed()
    trip.change(status="completed")
    ask(trip, code)
    for hours, left in ((-0.5, code), (-2, None)):
        road.begin_in(trip, hours)
        with road.live.database() as session:
            resolve_past_releases(session, now=utcnow())
        assert trip.attention() == left


def test_a_time_that_nobody_could_read(road: Road) -> None:
    """When it is, nobody knows: the builder is asked for as long as Calendly offers times, and no longer."""
    trip = road.book()
    ask(trip, FlagCode.TIME_NOT_READABLE)
    for days, status, left in (
        (61, "pending", FlagCode.TIME_NOT_READABLE),
        (59, "expired", FlagCode.TIME_NOT_READABLE),
        (61, "expired", None),
    ):
        trip.change(status=status)
        with road.live.database() as session:
            resolve_past_releases(session, now=utcnow() + timedelta(days=days))
        assert trip.attention() == left


def test_two_sessions_at_the_same_time_that_are_over(road: Road) -> None:
    """There is nothing left to move."""
    trip, _ = at_the_same_time(road)
    for hours, left in ((-0.5, FlagCode.OVERLAP), (-2, None)):
        with road.live.database() as session, transaction(session):
            starts_at = utcnow() + timedelta(hours=hours)
            session.execute(
                sa.update(Booking).values(starts_at=starts_at, ends_at=starts_at + timedelta(hours=1))
            )
        with road.live.database() as session:
            resolve_past_releases(session, now=utcnow())
        assert trip.attention() == left


def test_one_of_two_at_the_same_time_is_canceled(road: Road) -> None:
    """The builder is not asked any more to move the other one, which has the time for itself."""
    trip, other = at_the_same_time(road)
    assert press(road.live.browser("ada"), f"{other.dashboard}/cancel").status_code == 303
    road.live.work()
    assert other.attention() is None
    assert "at the same time" in road.live.browser("ada").page("/dashboard").words
    with road.live.database() as session:
        resolve_past_releases(session, now=utcnow())
    assert trip.attention() is None
    assert "at the same time" not in road.live.browser("ada").page("/dashboard").words
