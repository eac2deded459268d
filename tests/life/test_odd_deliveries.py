"""Deliveries of Calendly's with a part that is not in its format: what a booking does not need is not needed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from bookingapp.webhooks.models import InboxEvent
from tests.life.road import Road, Trip, name_of

PLACE = ("scheduled_event", "location")
ODD: dict[str, tuple[tuple[str, ...], Any]] = {
    "a place that is text": (PLACE, "By the fountain"),
    "a place that is a list": (PLACE, []),
    "a place without a kind": (PLACE, {"type": None}),
    "a kind of a later time": (PLACE, {"type": "hologram", "join_url": {"web": "https://meet.example"}}),
    "a conference that failed": (PLACE, {"type": "google_conference", "status": "failed", "join_url": None}),
    "seats without numbers": (("scheduled_event", "invitees_counter"), {"total": None, "active": None}),
    "hosts without users": (("scheduled_event", "event_memberships"), [{"user": None}, "Ada", None]),
    "no event type": (("scheduled_event", "event_type"), None),
    "no links": (("cancel_url",), None),
    "tracking in numbers": (("tracking", "utm_term"), 5),
    "an amount in words": (("payment",), {"amount": "unknown", "successful": False}),
}


def deliver(road: Road, trip: Trip, where: tuple[str, ...], value: Any) -> str:
    """Let Calendly report the trip's time with another value there; what became of the delivery."""
    with road.silence():
        trip.choose()
    store, about = road.live.hands.server.sandbox.store, name_of(trip.invitee["uri"])
    (row,) = (one for one in store.all("delivery", event="invitee.created") if one["about"] == about)
    body = json.loads(row["body"])
    part = body["payload"]
    for name in where[:-1]:
        part = part[name]
    part[where[-1]] = value
    store.put("delivery", row["id"], {**row, "body": json.dumps(body)})
    road.live.hands.control(f"deliveries/{row['id']}/resend")
    road.live.work()
    with road.live.database() as session:
        return str(session.scalars(sa.select(InboxEvent.state)).one())


@pytest.mark.parametrize(("where", "value"), ODD.values(), ids=ODD.keys())
def test_a_part_that_no_booking_needs(road: Road, where: tuple[str, ...], value: Any) -> None:
    """The booking has its time, and can be paid."""
    trip = road.book()
    assert deliver(road, trip, where, value) == "done"
    assert trip.truth[0] == "scheduled"
    trip.pay()
    assert trip.truth == ("confirmed", "paid")


def test_whether_calendly_was_paid_is_not_guessed(road: Road) -> None:
    """The delivery waits for a person: otherwise the client might pay twice."""
    trip = road.book()
    assert deliver(road, trip, ("payment",), {"successful": "perhaps"}) == "dead"
    assert trip.truth[0] == "pending"


def test_tracking_that_is_no_record(road: Road) -> None:
    """It carries no reference, and the builder is shown the time."""
    trip = road.book()
    assert deliver(road, trip, ("tracking",), []) == "done"
    assert road.live.browser("ada").page("/dashboard").one("[data-unattached]")


@pytest.mark.any_database
def test_half_a_character_in_an_answer(road: Road) -> None:
    """No page and no file could be written with it: the rest of the answer is shown."""
    trip = road.book()
    answers = [{"question": "What do you\0 build?", "answer": "A \ud83dboat\0", "position": 0}]
    assert deliver(road, trip, ("questions_and_answers",), answers) == "done"
    page = road.live.browser("ada").page(trip.dashboard).words
    assert "What do you build?" in page and "A boat" in page
