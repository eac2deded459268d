"""What the stand-in Calendly refuses of ``POST /invitees``, as Calendly does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.support import Hands

HOUR = "ETADACONSULT0060"
GOAL = {"name": "What is your goal?", "required": True, "position": 0}
TOPIC = {"name": "Topic", "type": "single_select", "answer_choices": ["Code", "Design"], "position": 1}
WHERE = [{"kind": "zoom_conference"}, {"kind": "physical", "location": "Here"}, {"kind": "outbound_call"}]
GOOD = {"question": GOAL["name"], "answer": "Ship it", "position": 0}


def invite(hands: Hands, **body: Any) -> tuple[int, list[str]]:
    """Ask for the first free time; the status, and the parameters that are refused."""
    headers = {"Authorization": "Bearer sandbox-calendly-token"}
    event_type = hands.event_type(HOUR)
    begin = datetime.now(UTC) + timedelta(days=1)
    window = {
        "event_type": event_type,
        "start_time": begin.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end_time": (begin + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    api = f"{hands.base}/calendly-api"
    free = hands.http.get(f"{api}/event_type_available_times", params=window, headers=headers, timeout=10)
    person = {"name": "Grace Hall", "email": "grace@example.org", "timezone": "UTC"}
    start = free.json()["collection"][0]["start_time"]
    asked = {"event_type": event_type, "start_time": start, "invitee": person, **body}
    answer = hands.http.post(f"{api}/invitees", json=asked, headers=headers, timeout=10)
    return answer.status_code, [one["parameter"] for one in answer.json().get("details", [])]


@pytest.mark.parametrize(
    ("place", "refused"),
    [
        (None, ["location"]),
        ({"kind": "ask_invitee", "location": "There"}, ["location.kind"]),
        ({"kind": "physical", "location": "There"}, ["location.location"]),
        ({"kind": "outbound_call"}, ["location.location"]),
        ({"kind": "outbound_call", "location": "+44 20 7946 0000"}, []),
        ({"kind": "physical", "location": "Here"}, []),
        ({"kind": "zoom_conference"}, []),
    ],
)
def test_places(hands: Hands, place: dict[str, Any] | None, refused: list[str]) -> None:
    """A place is demanded, also of a type with a single one, and is one that is offered."""
    hands.control(f"calendly/event-types/{HOUR}", locations=WHERE)
    assert invite(hands, **({"location": place} if place else {})) == (400 if refused else 201, refused)


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        ([], ["questions_and_answers"]),
        ([{**GOOD, "answer": " "}], ["questions_and_answers"]),
        ([{**GOOD, "question": "what is your goal?"}], ["questions_and_answers[0].question"]),
        ([{"answer": "Ship it", "position": 0}], ["questions_and_answers[0].question"]),
        ([{**GOOD, "position": 1}], ["questions_and_answers[0].position"]),
        ([GOOD, {"question": "Topic", "answer": "Art", "position": 1}], ["questions_and_answers[1].answer"]),
        ([GOOD, {"question": "Topic", "answer": "Code", "position": 1}], []),
        ([GOOD], []),
    ],
)
def test_answers(hands: Hands, answers: list[dict[str, Any]], refused: list[str]) -> None:
    """Required questions are answered, by their exact text and position, with one of their choices."""
    hands.control(f"calendly/event-types/{HOUR}", custom_questions=[GOAL, TOPIC])
    place = {"kind": "google_conference"}
    found = invite(hands, location=place, questions_and_answers=answers)
    assert found == (400 if refused else 201, refused)
