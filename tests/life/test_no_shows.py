"""No-shows: marked in Calendly or on the dashboard, and undone in either."""

from __future__ import annotations

from typing import Any

import pytest

from bookingapp.bookings.attendance import NO_SHOW_JOB
from bookingapp.bookings.codes import FlagCode
from tests.life.road import Road, Trip, name_of
from tests.live import press
from tests.pages import PageClient

NOTED = "says that you did not come"


def begun(road: Road) -> Trip:
    """A confirmed session that has begun."""
    trip = road.confirmed()
    road.begin_in(trip, -0.5)
    return trip


def in_calendly(road: Road, trip: Trip, **how: Any) -> None:
    """The host marks it in Calendly, or undoes that."""
    road.live.hands.control(f"calendly/invitees/{name_of(trip.row.invitee_uri)}/no-show", **how)
    road.live.work()


def mark_of(road: Road, trip: Trip) -> str | None:
    """The URI of Calendly's own mark."""
    row = road.live.hands.server.sandbox.store.get("invitee", name_of(trip.row.invitee_uri))
    assert row is not None
    return row["no_show"]["id"] if row["no_show"] else None


def say(builder: PageClient, trip: Trip, came: str, **how: Any) -> int:
    """The builder's click."""
    return press(builder, f"{trip.dashboard}/no-show", {"came": came}, **how).status_code


@pytest.mark.any_database
def test_in_calendly_done_and_undone(road: Road) -> None:
    """A fact beside the status, on both pages, with a line of history each; reported twice, it is one."""
    trip = begun(road)
    dashboard = trip.dashboard
    builder = road.live.browser("ada")
    assert not builder.page(dashboard).select("#came-button")
    in_calendly(road, trip)
    assert trip.row.no_show_at is not None
    assert NOTED in trip.page.words
    assert builder.page(dashboard).one("#came-button")
    assert trip.truth == ("confirmed", "paid")
    road.resend("invitee_no_show.created", name_of(trip.row.invitee_uri))
    assert trip.causes().count("no_show") == 1
    in_calendly(road, trip, no_show=False)
    assert NOTED not in trip.page.words
    assert trip.causes()[-2:] == ["no_show", "no_show_undone"]
    assert "Calendly" in builder.page(dashboard).one("#timeline").text
    # Again, by another mark.
    in_calendly(road, trip)
    assert NOTED in trip.page.words
    assert trip.ledger() == [6000]


@pytest.mark.any_database
def test_undone_before_it_was_reported(road: Road) -> None:
    """The two deliveries change places: the client is not marked."""
    trip = begun(road)
    with road.silence():
        in_calendly(road, trip)
        in_calendly(road, trip, no_show=False)
    invitee = name_of(trip.row.invitee_uri)
    road.resend("invitee_no_show.deleted", invitee)
    road.resend("invitee_no_show.created", invitee)
    assert trip.row.no_show_at is None
    assert NOTED not in trip.page.words


@pytest.mark.any_database
def test_on_the_dashboard_done_and_undone(road: Road) -> None:
    """Calendly gets the mark, and its report of it changes nothing; also after the session has completed, when the
    page asks nobody who did not come how it was.
    """
    trip = begun(road)
    builder = road.live.browser("ada")
    assert say(builder, trip, "0") == 303
    assert say(builder, trip, "0") == 303
    road.live.work()
    assert mark_of(road, trip) == name_of(trip.row.no_show_uri)
    assert trip.causes().count("no_show") == 1
    assert NOTED in trip.page.words
    assert "the builder" in builder.page(trip.dashboard).one("#timeline").text
    road.let_pass(f"complete:{trip.row.id}:", ended=trip)
    assert trip.truth == ("completed", "paid")
    words = trip.page.words
    assert NOTED in words and "worth it" not in words
    assert say(builder, trip, "1") == 303
    road.live.work()
    assert mark_of(road, trip) is None
    assert trip.causes()[-1] == "no_show_undone"
    assert trip.truth == ("completed", "paid")
    assert NOTED not in trip.page.words
    assert trip.attention() is None


def test_undone_before_it_was_sent_to_calendly(road: Road) -> None:
    """Then there is nothing to send."""
    trip = begun(road)
    builder = road.live.browser("ada")
    say(builder, trip, "0")
    say(builder, trip, "1")
    road.live.hands.control("reset-requests")
    road.live.work()
    assert mark_of(road, trip) is None
    assert road.live.calls("/invitee_no_shows") == 0


def test_the_answer_is_lost(road: Road) -> None:
    """There is one mark, and it can be undone."""
    trip = begun(road)
    builder = road.live.browser("ada")
    with road.silence():
        road.live.fault("lost_answer", path_prefix="/calendly-api/invitee_no_shows", remaining=1)
        say(builder, trip, "0")
        road.live.work()
    assert trip.row.no_show_uri is None
    road.let_pass("no-show:")
    assert name_of(trip.row.no_show_uri) == mark_of(road, trip)
    assert road.live.calls("/invitee_no_shows", "POST") == 1
    say(builder, trip, "1")
    road.live.work()
    assert mark_of(road, trip) is None


def test_calendly_says_no(road: Road) -> None:
    """Our own mark stays, and the booking is flagged."""
    trip = begun(road)
    store = road.live.hands.server.sandbox.store
    say(road.live.browser("ada"), trip, "0")
    store.delete("invitee", name_of(trip.row.invitee_uri))
    road.live.work()
    assert trip.attention() == FlagCode.NO_SHOW_NOT_SENT
    assert trip.row.no_show_at is not None


def test_a_session_that_has_not_begun(road: Road) -> None:
    """No button, and 409 in words."""
    trip = road.confirmed()
    builder = road.live.browser("ada")
    assert not builder.page(trip.dashboard).select("#no-show-button")
    refused = press(builder, f"{trip.dashboard}/no-show", {"came": "0"})
    assert refused.status_code == 409
    assert "This session has not started yet." in refused.text
    assert road.live.jobs(NO_SHOW_JOB) == []


def test_a_mark_on_the_old_time_says_nothing_of_the_new_one(road: Road) -> None:
    trip = road.confirmed()
    in_calendly(road, trip)
    assert trip.row.no_show_at is not None
    trip.move()
    assert trip.row.no_show_at is None
