"""Money after the end of a hold, where the session type has places and questions: its time is taken again with those
of the first invitee, because Calendly refuses it without them.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.life.road import CLIENT, Road, Trip, name_of
from tests.life.test_late_money import active_invitees, pay_late
from tests.live import HOUR

OFFICE, PHONE = "1 High Street, London", "+44 20 7946 0000"
GOAL = {"name": "What is your goal?", "type": "string", "required": True}
TOPIC = {
    "name": "Topic",
    "type": "single_select",
    "required": True,
    "answer_choices": ["Code", "Design"],
}


def expired_with(road: Road, *, place: dict[str, Any], **details: Any) -> Trip:
    """A booking whose invitee chose that place and gave those answers, and which was not paid in time."""
    trip = road.scheduled(place=place, **details)
    trip.open_checkout()
    road.end_hold(trip)
    assert trip.truth == ("expired", "expired")
    return trip


def change_type(road: Road, **how: Any) -> None:
    """The builder changes the session type in Calendly."""
    road.live.hands.control(f"calendly/event-types/{HOUR}", **how)
    road.live.work()


def invitee_and_event(road: Road, trip: Trip) -> tuple[dict[str, Any], dict[str, Any]]:
    """What Calendly has for the booking now."""
    (invitee,) = active_invitees(road, trip)
    store = road.live.hands.server.sandbox.store
    found = store.get("invitee", invitee)
    assert found is not None
    event = store.get("event", found["event"])
    assert event is not None
    return found, event


PLACES: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    ([{"kind": "physical", "location": OFFICE}], {"kind": "physical", "location": OFFICE}),
    (
        [{"kind": "zoom_conference"}, {"kind": "physical", "location": OFFICE}],
        {"kind": "zoom_conference"},
    ),
    (
        [{"kind": "physical", "location": "2 Low Road"}, {"kind": "physical", "location": OFFICE}],
        {"kind": "physical", "location": OFFICE},
    ),
    ([{"kind": "outbound_call"}], {"kind": "outbound_call", "location": PHONE}),
    ([{"kind": "zoom_conference"}, {"kind": "ask_invitee"}], {"kind": "ask_invitee", "location": "My café"}),
]


@pytest.mark.parametrize(("offered", "chosen"), PLACES)
def test_the_place_of_the_first_invitee_is_sent_again(
    road: Road, offered: list[dict[str, Any]], chosen: dict[str, Any]
) -> None:
    """The place that the client chose, with their own address or number where the kind asks for one."""
    change_type(road, locations=offered)
    trip = expired_with(road, place=chosen)
    pay_late(road, trip)
    assert trip.truth == ("confirmed", "paid")
    _, event = invitee_and_event(road, trip)
    assert event["place"] == chosen


def test_the_answers_and_the_reminder_number_are_sent_again(road: Road) -> None:
    """Also where a question was moved meanwhile; an answer to a question that is gone is left out."""
    answers = [
        {"question": "Gone by then", "answer": "Yes", "position": 0},
        {"question": GOAL["name"], "answer": "Ship it", "position": 1},
        {"question": TOPIC["name"], "answer": "Code", "position": 2},
    ]
    change_type(road, custom_questions=[{"name": "Gone by then"}, GOAL, TOPIC])
    trip = expired_with(
        road, place={"kind": "google_conference"}, answers=answers, text_reminder_number=PHONE
    )
    change_type(road, custom_questions=[TOPIC, GOAL])
    pay_late(road, trip)
    assert trip.truth == ("confirmed", "paid")
    invitee, _ = invitee_and_event(road, trip)
    assert {one["question"]: one["answer"] for one in invitee["questions_and_answers"]} == {
        "Topic": "Code",
        "What is your goal?": "Ship it",
    }
    assert invitee["text_reminder_number"] == PHONE


def test_a_place_that_is_gone_is_not_replaced_by_another(road: Road) -> None:
    """The client agreed to one of several places, so the money goes back."""
    change_type(road, locations=[{"kind": "zoom_conference"}, {"kind": "physical", "location": OFFICE}])
    trip = expired_with(road, place={"kind": "physical", "location": OFFICE})
    change_type(road, locations=[{"kind": "zoom_conference"}, {"kind": "physical", "location": "Elsewhere"}])
    pay_late(road, trip)
    assert trip.truth == ("expired", "refunded")
    assert active_invitees(road, trip) == []
    assert "We are refunding £60.00 to you" in road.subjects(CLIENT)


def test_a_new_required_question_cannot_be_answered(road: Road) -> None:
    """Calendly refuses the invitee, so the money goes back."""
    trip = expired_with(road, place={"kind": "google_conference"})
    change_type(road, custom_questions=[GOAL])
    pay_late(road, trip)
    assert trip.truth == ("expired", "refunded")
    assert trip.ledger() == [6000, -6000]


def test_round_robin_has_no_place_in_the_request(road: Road) -> None:
    """Each host brings their own place."""
    change_type(road, pooling_type="round_robin", locations=[{"kind": "physical", "location": OFFICE}])
    trip = expired_with(road, place={"kind": "physical", "location": OFFICE})
    pay_late(road, trip)
    assert trip.truth == ("confirmed", "paid")
    assert name_of(trip.row.invitee_uri) == active_invitees(road, trip)[0]
