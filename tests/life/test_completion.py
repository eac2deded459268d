"""A session's end: it is completed where its time stood, and only there."""

from __future__ import annotations

import pytest

from tests.life.road import CLIENT, Road, Trip, name_of
from tests.mailbox import text


def end(road: Road, trip: Trip) -> None:
    """The session's end has passed, by our clock, and its timer fires."""
    road.let_pass(f"complete:{trip.row.id}:", ended=trip)


def cancel_unheard(road: Road, trip: Trip, *, by_host: bool) -> None:
    """Canceled in Calendly, and nobody tells us."""
    order = (
        f"events/{name_of(trip.row.event_uri)}" if by_host else f"invitees/{name_of(trip.row.invitee_uri)}"
    )
    with road.silence():
        road.live.hands.control(f"calendly/{order}/cancel")


@pytest.mark.any_database
def test_a_session_that_took_place(road: Road) -> None:
    """Calendly says that the time stood."""
    trip = road.confirmed()
    end(road, trip)
    assert trip.truth == ("completed", "paid")
    assert trip.ledger()[0] == 6000


@pytest.mark.any_database
def test_the_builder_had_canceled_and_nobody_told_us(road: Road) -> None:
    """Everything goes back, as it would have at once."""
    trip = road.confirmed()
    cancel_unheard(road, trip, by_host=True)
    assert trip.truth == ("confirmed", "paid")
    end(road, trip)
    assert trip.truth == ("canceled", "refunded")
    assert trip.history()[-1] == "confirmed>canceled"
    assert "£60.00" in text(road.mails.one(CLIENT, "Canceled"))


def test_the_client_had_canceled_in_time(road: Road) -> None:
    """The refund is by when they did, not by when we found out."""
    trip = road.confirmed()
    road.begin_in(trip, 30)
    cancel_unheard(road, trip, by_host=False)
    end(road, trip)
    assert trip.truth == ("canceled", "refunded")


def test_it_had_been_moved_and_nobody_told_us(road: Road) -> None:
    """It is still to come, at its new time."""
    trip = road.confirmed()
    trip.move(tell=())
    end(road, trip)
    assert trip.truth == ("confirmed", "paid")
    assert trip.row.invitee_uri == trip.invitee["uri"]


def test_calendly_away_makes_it_late_and_not_wrong(road: Road) -> None:
    """Nobody is asked twice for nothing: it is completed when Calendly answers again."""
    trip = road.confirmed()
    road.live.fault("500", path_prefix="/calendly-api")
    end(road, trip)
    assert trip.truth == ("confirmed", "paid")
    road.calendly_returns()
    end(road, trip)
    assert trip.truth == ("completed", "paid")


def test_a_token_that_was_taken_back_does_not_hold_it_up(road: Road) -> None:
    """Where asking cannot help, the time is taken to have stood."""
    trip = road.confirmed()
    road.live.hands.control("calendly/token", which="primary", revoked=True)
    end(road, trip)
    assert trip.truth == ("completed", "paid")
