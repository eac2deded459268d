"""What the stand-in Calendly refuses of ``POST /invitees``, as Calendly does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.support import Hands, last_segment

HOUR, GROUP, REVIEW, MEETING = "ETADACONSULT0060", "ETMAYAGRPHALF240", "ETKENJIREVIEW030", "ETMAYACONSULT060"
GOAL = {"name": "What is your goal?", "required": True, "position": 0}
TOPIC = {"name": "Topic", "type": "single_select", "answer_choices": ["Code", "Design"], "position": 1}
PHONE = {"name": "Phone", "type": "phone_number", "position": 2}
WHERE = [{"kind": "zoom_conference"}, {"kind": "physical", "location": "Here"}, {"kind": "outbound_call"}]
GOOD = {"question": GOAL["name"], "answer": "Ship it", "position": 0}
MEET = {"kind": "google_conference"}
PERSON = {"name": "Grace Hall", "email": "grace@example.org", "timezone": "UTC"}


def ask(hands: Hands, event_type: str = HOUR, **body: Any) -> Any:
    """Ask for the first free time; the answer."""
    if "start_time" not in body:
        body["start_time"] = hands.slots(event_type)[0]["start_time"]
    return hands.post(
        "/invitees", {"event_type": hands.event_type(event_type), "invitee": PERSON, "location": MEET, **body}
    )


def invite(hands: Hands, event_type: str = HOUR, **body: Any) -> tuple[int, list[str]]:
    """Ask for the first free time; the status, and the parameters that are refused."""
    answer = ask(hands, event_type, **body)
    return answer.status_code, [one["parameter"] for one in answer.json().get("details", [])]


@pytest.mark.parametrize(
    ("place", "refused"),
    [
        (None, ["location"]),
        ({"kind": "ask_invitee", "location": "There"}, ["location.kind"]),
        ({"kind": "physical", "location": "There"}, ["location.location"]),
        ({"kind": "physical"}, ["location.location"]),
        ({"kind": "outbound_call"}, ["location.location"]),
        ({"kind": "outbound_call", "location": "at home"}, ["location.location"]),
        ({"kind": "outbound_call", "location": "+44 20 7946 0000"}, []),
        ({"kind": "physical", "location": "Here"}, []),
        ({"kind": "zoom_conference"}, []),
    ],
)
def test_places(hands: Hands, place: dict[str, Any] | None, refused: list[str]) -> None:
    """A place is demanded, also of a type with a single one, and is one that is offered."""
    hands.control(f"calendly/event-types/{HOUR}", locations=WHERE)
    assert invite(hands, location=place) == (400 if refused else 201, refused)


@pytest.mark.parametrize("change", [{"pooling_type": "round_robin"}, {"locations": []}, {"locations": None}])
def test_no_place_is_sent_where_none_is_offered(hands: Hands, change: dict[str, Any]) -> None:
    hands.control(f"calendly/event-types/{HOUR}", **change)
    assert invite(hands, location=MEET) == (400, ["location"])
    assert invite(hands, location=None) == (201, [])


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        ([], ["questions_and_answers"]),
        ([{**GOOD, "answer": " "}], ["questions_and_answers"]),
        ([{**GOOD, "question": "what is your goal?"}], ["questions_and_answers[0].question"]),
        ([{"answer": "Ship it", "position": 0}], ["questions_and_answers[0].question"]),
        ([{**GOOD, "position": 1}], ["questions_and_answers[0].position"]),
        ([GOOD, GOOD], ["questions_and_answers[1].question"]),
        ([GOOD, {"question": "Topic", "answer": "Art", "position": 1}], ["questions_and_answers[1].answer"]),
        ([GOOD, {"question": "Phone", "answer": "none", "position": 2}], ["questions_and_answers[1].answer"]),
        ([GOOD, {"question": "Topic", "answer": "Code", "position": 1}], []),
        ([GOOD, {"question": "Phone", "answer": "020 7946 0000", "position": 2}], []),
        ([GOOD], []),
    ],
)
def test_answers(hands: Hands, answers: list[dict[str, Any]], refused: list[str]) -> None:
    """Required questions are answered, by their exact text and position, with one of their choices."""
    hands.control(f"calendly/event-types/{HOUR}", custom_questions=[GOAL, TOPIC, PHONE])
    found = invite(hands, questions_and_answers=answers)
    assert found == (400 if refused else 201, refused)


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"invitee": {**PERSON, "timezone": "Mars/Olympus"}}, ["invitee.timezone"]),
        ({"invitee": {**PERSON, "timezone": ""}}, ["invitee.timezone"]),
        ({"invitee": {**PERSON, "email": "grace@"}}, ["invitee.email"]),
        ({"invitee": {**PERSON, "name": ""}}, ["invitee.name"]),
        ({"invitee": {**PERSON, "text_reminder_number": "soon"}}, ["invitee.text_reminder_number"]),
        ({"event_guests": [f"g{number}@example.org" for number in range(11)]}, ["event_guests"]),
        ({"event_guests": ["g@example.org", "nobody"]}, ["event_guests[1]"]),
        ({"event_guests": [f"g{number}@example.org" for number in range(10)]}, []),
        ({"start_time": "2026-01-05T10:00:00Z"}, ["start_time"]),
        ({"start_time": "2099-01-05T10:00:00Z"}, ["start_time"]),
        ({"start_time": "soon"}, ["start_time"]),
    ],
)
def test_people_and_times(hands: Hands, body: dict[str, Any], refused: list[str]) -> None:
    assert invite(hands, **body) == (400 if refused else 201, refused)


@pytest.mark.parametrize("change", [{"is_paid": True}, {"booking_method": "poll"}])
def test_types_for_the_booking_page_alone(hands: Hands, change: dict[str, Any]) -> None:
    start = hands.slots()[0]["start_time"]
    hands.control(f"calendly/event-types/{HOUR}", **change)
    assert invite(hands, start_time=start) == (400, ["event_type"])


@pytest.mark.parametrize("status", [400, 409])
def test_a_time_is_lost_to_somebody_else(hands: Hands, status: int) -> None:
    """Before the request, or between the list of times and the request."""
    hands.control("settings", taken_status=status)
    first, second = (slot["start_time"] for slot in hands.slots()[:2])
    hands.control("calendly/take", event_type=HOUR, start_time=first)
    assert ask(hands, start_time=first).status_code == status
    hands.control("calendly/take", next=True)
    lost = ask(hands, start_time=second)
    assert lost.status_code == status
    if status == 400:
        assert lost.json()["details"][0]["code"] == "already_filled"
    assert second not in [slot["start_time"] for slot in hands.slots()]
    assert ask(hands).status_code == 201


def test_a_group_is_full_after_its_last_seat(hands: Hands) -> None:
    hands.control(f"calendly/event-types/{GROUP}", seats=2)
    start = hands.slots(GROUP)[0]["start_time"]
    answers = [
        ask(hands, GROUP, start_time=start, invitee={**PERSON, "email": f"p{number}@example.org"})
        for number in range(3)
    ]
    assert [each.status_code for each in answers] == [201, 201, 400]
    assert len({each.json()["resource"]["event"] for each in answers[:2]}) == 1
    later = hands.slots(GROUP)[0]["start_time"]
    ask(hands, GROUP, start_time=later)
    assert hands.slots(GROUP)[0] | {"scheduling_url": ""} == {
        "status": "available",
        "invitees_remaining": 1,
        "start_time": later,
        "scheduling_url": "",
    }
    assert len(hands.control("calendly/take", event_type=GROUP, start_time=later)) == 1


def test_the_endpoint_has_limits_of_its_own(hands: Hands) -> None:
    """They leave the general limit alone, and the booking pages know no limit."""
    answers = [ask(hands) for _ in range(11)]
    assert [each.status_code for each in answers] == [201] * 10 + [429]
    assert int(answers[-1].headers["X-RateLimit-Remaining"]) > 400
    assert hands.get("/users/me").status_code == 200
    hands.book()
    hands.control("settings", invitees_per_minute=1000, invitees_per_day=11)
    assert [ask(hands).status_code for _ in range(2)] == [201, 429]


def test_without_the_scope_nothing_is_booked(hands: Hands) -> None:
    hands.control("calendly/scopes", scope="scheduled_events:write")
    refused = ask(hands)
    assert (refused.status_code, refused.json()["required_scopes"]) == (403, ["scheduled_events:write"])
    assert hands.get("/scheduled_events", organization=hands.organization).json()["collection"] == []
    hands.control("calendly/scopes", scope="scheduled_events:write", revoked=False)
    assert ask(hands).status_code == 201


def test_the_demo_has_questions_and_places(hands: Hands) -> None:
    questions = hands.resource(f"/event_types/{REVIEW}")["custom_questions"]
    assert [(one["type"], one["required"], one["include_other"]) for one in questions] == [
        ("text", True, False),
        ("single_select", False, True),
        ("phone_number", False, False),
    ]
    answers = [
        {"question": questions[0]["name"], "answer": "The tests", "position": 0},
        {"question": questions[1]["name"], "answer": "Pyramid", "position": 1},
    ]
    assert invite(hands, REVIEW, questions_and_answers=answers) == (201, [])
    call = {"kind": "outbound_call", "location": "+46 8 123 456"}
    made = ask(hands, MEETING, location=call).json()["resource"]
    event = hands.resource(f"/scheduled_events/{last_segment(made['event'])}")
    assert event["location"] == {"type": "outbound_call", "location": "+46 8 123 456"}
