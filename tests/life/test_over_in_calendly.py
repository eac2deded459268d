"""Nobody is asked to cancel a time in Calendly that has begun or is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.service import CANCEL_EVENT_JOB
from bookingapp.checkout.release_time import resolve_past_releases
from bookingapp.core.clock import utcnow
from bookingapp.core.queue import WorkState
from tests.life.road import Road
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
    for now, flag in ((utcnow(), FlagCode.SEAT_NOT_RELEASED), (ends_at + timedelta(minutes=1), None)):
        with group.live.database() as session:
            resolve_past_releases(session, now=now)
        assert first.attention() == flag
    assert not builder.page("/dashboard").select(".row__attention")
