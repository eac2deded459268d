"""What an event type asks beside the time: which fields, what may be typed into them, what Calendly is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bookingapp.checkout.time_form import LONGEST_LINE, LONGEST_TEXT, OTHER, DetailsForm, Kind, Typed
from bookingapp.integrations.calendly import EventType

START = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
QUESTIONS: dict[str, dict[str, Any]] = {
    "line": {"type": "string"},
    "text": {"type": "text"},
    "phone": {"type": "phone_number"},
    "one": {"type": "single_select", "answer_choices": ["Flask", "Django"]},
    "one-other": {"type": "single_select", "answer_choices": ["Flask", "Django"], "include_other": True},
    "many": {"type": "multi_select", "answer_choices": ["Web", "Data", "Shell"]},
    "many-other": {"type": "multi_select", "answer_choices": ["Web", "Data"], "include_other": True},
}
MEET, CALL, ASK = {"kind": "google_conference"}, {"kind": "outbound_call"}, {"kind": "ask_invitee"}
OFFICE, ANNEX = {"kind": "physical", "location": "1 High St"}, {"kind": "physical", "location": "2 High St"}


def event_type(*questions: dict[str, Any], **how: Any) -> EventType:
    asked = [{"name": f"Question {n}", "position": n, **one} for n, one in enumerate(questions)]
    uris = {
        "uri": "https://api.calendly.com/event_types/A",
        "scheduling_url": "https://calendly.com/ada/hour",
    }
    return EventType.model_validate(
        {**uris, "active": True, "duration": 60, "custom_questions": asked, **how}
    )


def form(kind: EventType, typed: Typed | None = None, *, guests: bool = False) -> DetailsForm:
    return DetailsForm(kind, builder_name="Ada", allows_guests=guests, typed=typed)


def ask(question: str, *typed: str, other: str = "", required: bool = False) -> DetailsForm:
    """The form of one question, with what was typed."""
    given = {"answer-0": list(typed), "answer-0-other": [other]}
    return form(event_type({**QUESTIONS[question], "required": required}), given)


@pytest.mark.parametrize(
    ("question", "typed", "other", "answer"),
    [
        ("line", ["  Two \u200b words \n"], "", "Two words"),
        ("text", [" a\r\n\r\nb \x07"], "", "a\n\nb"),
        ("phone", ["+49 (170) 123-45.67"], "", "+491701234567"),
        ("phone", ["0044 20 7946 0123"], "", "+442079460123"),
        ("one", ["Django"], "", "Django"),
        ("one-other", ["Flask"], "", "Flask"),
        ("one-other", [OTHER], "Quart", "Quart"),
        ("one-other", [], "Quart", "Quart"),
        ("one-other", ["Quart"], "", "Quart"),
        ("many", ["Shell", "Web"], "", "Web\nShell"),
        ("many-other", ["Data"], " Cooking ", "Data\nCooking"),
        ("many-other", ["Data", "Cooking"], "", "Data\nCooking"),
        *((name, [], "", "") for name in QUESTIONS),
    ],
)
def test_what_is_typed_and_what_calendly_is_sent(
    question: str, typed: list[str], other: str, answer: str
) -> None:
    """An answer that was left out is not sent."""
    found = ask(question, *typed, other=other)
    assert found.check(), [one.error for one in found.fields]
    expected = [{"question": "Question 0", "answer": answer, "position": 0}] if answer else []
    assert list(found.choice(START).answers) == expected


@pytest.mark.parametrize(
    ("question", "typed", "other"),
    [
        ("line", ["x" * (LONGEST_LINE + 1)], ""),
        ("text", ["x" * (LONGEST_TEXT + 1)], ""),
        *(
            ("phone", [number], "")
            for number in ("0170 1234567", "+0 170 1234567", "+49", "call me", "+٤٩١٧٠١٢٣٤٥٦")
        ),
        ("phone", ["+" + "1" * 16], ""),
        ("one", ["Rails"], ""),
        ("one", [OTHER], "Rails"),
        ("one-other", ["Flask"], "Quart"),
        ("one-other", [OTHER], " "),
        ("one-other", [OTHER], "x" * (LONGEST_LINE + 1)),
        ("many", ["Web", "Cooking"], ""),
        ("many-other", ["Web"], "x" * (LONGEST_LINE + 1)),
    ],
)
def test_what_cannot_be_used_is_said_at_its_field_and_kept(
    question: str, typed: list[str], other: str
) -> None:
    found = ask(question, *typed, other=other)
    assert not found.check()
    assert found.first_error == "answer-0"
    assert [one for part in found.fields for one in part.all() if one.error]
    assert {text for _, text in found.typed} >= set(typed)


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_required(question: str) -> None:
    """Also where nothing but spaces was typed; no word of it before somebody has tried."""
    for typed in ([], [""], [" \t"]):
        found = ask(question, *typed, required=True)
        assert not found.has_errors
        assert not found.check()
        assert found.first_error == "answer-0"
    found.forget_errors()
    assert not found.has_errors


def test_only_enabled_questions_are_asked_in_their_order() -> None:
    kind = event_type(
        {"position": 4, "type": "text"},
        {"position": 2, "type": "string"},
        {"enabled": False, "type": "string"},
    )
    assert [one.name for one in form(kind).fields] == ["answer-2", "answer-4"]
    # Where Calendly does not say where they stand, each still has a field of its own.
    alike = event_type({"position": 0, "type": "string"}, {"position": 0, "type": "string"})
    assert [one.name for one in form(alike).fields] == ["answer-0", "answer-1"]


@pytest.mark.parametrize(
    ("places", "typed", "sent"),
    [
        (None, {}, None),
        ([], {}, None),
        ([MEET], {}, MEET),
        ([OFFICE], {}, OFFICE),
        ([CALL], {"location": ["+44 20 7946 0123"]}, {**CALL, "location": "+442079460123"}),
        ([ASK], {"location": [" The  café "]}, {**ASK, "location": "The café"}),
        ([MEET, CALL], {"location": ["google_conference"]}, MEET),
        (
            [MEET, CALL],
            {"location": ["outbound_call"], "location-value": ["+44 20 7946 0123"]},
            {**CALL, "location": "+442079460123"},
        ),
        # What belongs to a place that was not chosen is not looked at.
        ([MEET, CALL], {"location": ["google_conference"], "location-value": ["x"]}, MEET),
        ([OFFICE, ANNEX], {"location": ["physical-1"]}, ANNEX),
        (
            [CALL, ASK],
            {"location": ["ask_invitee"], "location-value-ask_invitee": ["My office"]},
            {**ASK, "location": "My office"},
        ),
    ],
)
def test_places(places: list[dict[str, Any]] | None, typed: Typed, sent: dict[str, str] | None) -> None:
    found = form(event_type(locations=places), typed)
    assert found.check(), [one.error for one in found.fields]
    assert found.choice(START).place == sent


@pytest.mark.parametrize(
    ("places", "typed", "field"),
    [
        ([CALL], {}, "location"),
        ([CALL], {"location": ["me"]}, "location"),
        ([ASK], {"location": [" "]}, "location"),
        ([MEET, CALL], {}, "location"),
        ([MEET, CALL], {"location": ["zoom_conference"]}, "location"),
        ([MEET, CALL], {"location": ["outbound_call"]}, "location-value"),
        ([MEET, CALL], {"location": ["outbound_call"], "location-value": ["0170"]}, "location-value"),
    ],
)
def test_places_that_cannot_be_used(places: list[dict[str, Any]], typed: Typed, field: str) -> None:
    found = form(event_type(locations=places), typed)
    assert not found.check()
    assert [one.name for part in found.fields for one in part.all() if one.error] == [field]
    assert found.focus == field


def test_a_round_robin_has_no_place_to_choose() -> None:
    """The host whom Calendly picks has one."""
    found = form(event_type(locations=[MEET, CALL], pooling_type="round_robin"))
    assert found.fields == []
    assert found.choice(START).place is None


def test_guests() -> None:
    """Where the builder allows them: each once, however they are written below or beside each other."""
    kind = event_type()
    assert form(kind).fields == []
    found = form(kind, {"guests": ["A@example.org, b@example.org\na@example.org;\u200b"]}, guests=True)
    assert found.check()
    assert found.choice(START).guests == ("a@example.org", "b@example.org")
    many = form(kind, {"guests": ["\n".join(f"g{n}@example.org" for n in range(11))]}, guests=True)
    assert not many.check()
    assert "10 guests" in str(many.fields[0].error)
    odd = form(kind, {"guests": ["a@example.org nobody"]}, guests=True)
    assert not odd.check()
    assert "nobody" in str(odd.fields[0].error)


@pytest.mark.parametrize(
    "typed",
    [
        {
            "answer-0": ["x"],
            "answer-1": ["Web", "Data"],
            "answer-1-other": ["Cooking"],
            "guests": ["a@example.org"],
        },
        {"answer-2": [OTHER], "answer-2-other": ["Quart"], "location": ["google_conference"]},
        {"answer-2": ["Flask"], "location": ["outbound_call"], "location-value": ["+442079460123"]},
    ],
)
def test_the_answers_of_an_earlier_choice_fill_the_form(typed: dict[str, list[str]]) -> None:
    kind = event_type(
        {"type": "string"}, QUESTIONS["many-other"], QUESTIONS["one-other"], locations=[MEET, CALL]
    )
    first = form(kind, {"location": ["google_conference"], **typed}, guests=True)
    assert first.check()
    again = form(kind, first.from_details(first.choice(START).details), guests=True)
    assert again.check()
    assert again.choice(START) == first.choice(START)
    # The builder may have changed the type since.
    other = form(event_type({"type": "text", "name": "New"}, locations=[CALL]))
    assert isinstance(other.from_details(first.choice(START).details), dict)


def test_kinds_of_fields() -> None:
    kind = event_type(*QUESTIONS.values())
    kinds = [one.kind for one in form(kind).fields]
    assert kinds == [Kind.LINE, Kind.TEXT, Kind.PHONE, Kind.ONE, Kind.ONE, Kind.SEVERAL, Kind.SEVERAL]
