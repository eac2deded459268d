"""Which event types our own list of times can book by Calendly's API."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from bookingapp.integrations.calendly import EventType, Question, QuestionType
from bookingapp.session_types.listing import NotListed, why_not_listed
from bookingapp.session_types.words import describe_not_listed
from tests.factories import published

CHOICE = {"name": "Topic", "type": "single_select", "position": 0, "enabled": True}


def event_type(**how: Any) -> EventType:
    """A published event type with changes."""
    shape = published("calendly/event_types.page1.json")["collection"][0]
    return EventType.model_validate({**shape, **how})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"kind": "group"}, None),
        ({"secret": True}, None),
        ({"pooling_type": "round_robin"}, None),
        ({"pooling_type": "collective"}, None),
        ({"pooling_type": "round_robin", "locations": [{"kind": "by_carrier_pigeon"}]}, None),
        ({"locations": None}, None),
        ({"locations": []}, None),
        ({"locations": [{"kind": "outbound_call"}, {"kind": "physical", "location": "Here"}]}, None),
        ({"active": False}, NotListed.SWITCHED_OFF),
        ({"deleted_at": "2026-11-01T10:00:00Z"}, NotListed.SWITCHED_OFF),
        ({"booking_method": "poll"}, NotListed.NOT_INSTANT),
        ({"is_paid": True}, NotListed.PAID_IN_CALENDLY),
        ({"type": "AdhocEventType"}, NotListed.ONE_OFF),
        ({"type": "NewEventType"}, NotListed.UNKNOWN_KIND),
        ({"kind": "crowd"}, NotListed.UNKNOWN_KIND),
        ({"pooling_type": "multi_pool"}, NotListed.UNKNOWN_KIND),
        ({"locations": [{"kind": "physical"}, {"kind": "by_carrier_pigeon"}]}, NotListed.UNKNOWN_PLACE),
        ({"custom_questions": [{**CHOICE, "answer_choices": ["Code"]}]}, None),
        ({"custom_questions": [{**CHOICE, "answer_choices": [], "include_other": True}]}, None),
        ({"custom_questions": [{**CHOICE, "type": "drawing", "enabled": False}]}, None),
        ({"custom_questions": [{**CHOICE, "answer_choices": None}]}, NotListed.UNKNOWN_QUESTION),
        ({"custom_questions": [{**CHOICE, "type": "drawing"}]}, NotListed.UNKNOWN_QUESTION),
        ({"custom_questions": [{**CHOICE, "type": None}]}, NotListed.UNKNOWN_QUESTION),
    ],
)
def test_which_types_are_listed(change: dict[str, Any], reason: NotListed | None) -> None:
    assert why_not_listed(event_type(**change)) is reason


def test_a_type_of_the_published_webhook_is_listed() -> None:
    """With questions of every kind."""
    payload = published("calendly/event_type.created.json")["payload"]
    found = EventType.model_validate({**payload, "active": True, "booking_method": "instant"})
    assert why_not_listed(found) is None
    assert found.custom_questions[0] == Question(
        name="Company Name", type="string", position=0, enabled=True, required=True
    )
    assert {one.type for one in found.custom_questions} == set(QuestionType)
    assert found.custom_questions[2].answer_choices == ("1", "2-10", "11-20", "20+")


@pytest.mark.parametrize("code", NotListed)
def test_builders_read_why(app: Flask, code: NotListed) -> None:
    with app.app_context():
        assert describe_not_listed(code).endswith(".")
