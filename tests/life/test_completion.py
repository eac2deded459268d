"""A session's end: it is completed where Calendly still has its time, and only there."""

from __future__ import annotations

import pytest

from tests.life.road import CLIENT, Road, Trip, name_of
from tests.mailbox import text


def end(road: Road, trip: Trip) -> None:
    """Let the session's end pass by our clock, and its timer fire."""
    road.let_pass(f"complete:{trip.row.id}:", ended=trip)


def cancel_unreported(road: Road, what: str) -> None:
    """Cancel in Calendly, without a delivery."""
    with road.silence():
        road.live.hands.control(f"calendly/{what}/cancel")


def test_the_builder_had_canceled(road: Road) -> None:
    """Everything is refunded, as it would have been at once."""
    trip = road.confirmed()
    cancel_unreported(road, f"events/{name_of(trip.row.event_uri)}")
    assert trip.truth == ("confirmed", "paid")
    end(road, trip)
    assert trip.truth == ("canceled", "refunded")
    assert trip.history()[-1] == "confirmed>canceled"
    assert "£60.00" in text(road.mails.one(CLIENT, "Canceled"))


def test_the_client_had_canceled_in_time(road: Road) -> None:
    """The refund goes by when they did, not by when we found out."""
    trip = road.confirmed()
    road.begin_in(trip, 30)
    cancel_unreported(road, f"invitees/{name_of(trip.row.invitee_uri)}")
    end(road, trip)
    assert trip.truth == ("canceled", "refunded")


def test_it_had_been_moved(road: Road) -> None:
    """It is still to come, at its new time."""
    trip = road.confirmed()
    trip.move(deliver=())
    end(road, trip)
    assert trip.truth == ("confirmed", "paid")
    assert trip.row.invitee_uri == trip.invitee["uri"]


@pytest.mark.any_database
@pytest.mark.parametrize("moves", [1, 2])
def test_it_had_been_moved_and_canceled(road: Road, moves: int) -> None:
    """No webhook of either came: both are recorded, in this order, and the money goes back."""
    trip = road.confirmed()
    for _ in range(moves):
        trip.move(deliver=())
    cancel_unreported(road, f"invitees/{name_of(trip.invitee['uri'])}")
    end(road, trip)
    assert trip.truth == ("canceled", "refunded")
    assert trip.row.invitee_uri == trip.invitee["uri"]


def test_it_is_completed_when_calendly_answers_again(road: Road) -> None:
    trip = road.confirmed()
    road.live.fault("500", path_prefix="/calendly-api")
    end(road, trip)
    assert trip.truth == ("confirmed", "paid")
    road.calendly_returns()
    end(road, trip)
    assert trip.truth == ("completed", "paid")


def test_a_revoked_token_does_not_hold_it_up(road: Road) -> None:
    """Where asking cannot help, the session is taken to have happened."""
    trip = road.confirmed()
    road.live.hands.control("calendly/token", which="primary", revoked=True)
    end(road, trip)
    assert trip.truth == ("completed", "paid")
