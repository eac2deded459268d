"""What an event type asks of its invitees, place and answers, as the API demands them (Calendly API reference, Create
Event Invitee).
"""

from __future__ import annotations

import re
from typing import Any

from bookingapp.sandbox.calendly.http import invalid
from bookingapp.sandbox.store import Document

GIVEN_BY_INVITEE = {"ask_invitee", "outbound_call"}
CHOICES = {"single_select", "multi_select"}
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE_NUMBER = re.compile(r"\+?[0-9 ().-]{5,25}", re.ASCII)


def is_address(value: Any) -> bool:
    """Whether a value looks like an e-mail address."""
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None


def is_phone_number(value: Any) -> bool:
    """Whether a value looks like a phone number."""
    return isinstance(value, str) and _PHONE_NUMBER.fullmatch(value.strip()) is not None


def parse_place(event_type: Document, given: Any) -> Document | None:
    """The place of a request, which must be one that the type offers; None where it offers none.

    Raises:
        CalendlyApiError: 400.
    """
    offered = event_type["locations"] or []
    if not offered or event_type["pooling_type"] == "round_robin":
        if given is not None:
            raise invalid("location", "is not offered by this event type")
        return None
    if not isinstance(given, dict):
        raise invalid("location", "is missing")
    alike = [place for place in offered if place["kind"] == given.get("kind")]
    if not alike:
        raise invalid("location.kind", "is not offered by this event type")
    if given["kind"] in GIVEN_BY_INVITEE:
        if not str(given.get("location") or "").strip():
            raise invalid("location.location", "is missing")
        if given["kind"] == "outbound_call" and not is_phone_number(given["location"]):
            raise invalid("location.location", "is not a phone number")
        return {"kind": given["kind"], "location": given["location"]}
    if all(place.get("location") not in (None, given.get("location")) for place in alike):
        raise invalid("location.location", "is not offered by this event type")
    return given


def parse_answers(event_type: Document, given: Any) -> list[Document]:
    """The answers of a request: each to a question of the type, and every required one of those answered.

    Raises:
        CalendlyApiError: 400.
    """
    asked = {one["name"]: one for one in event_type["custom_questions"] if one["enabled"]}
    answers: list[Document] = []
    items = given if isinstance(given, list) else []
    for index, item in enumerate(one if isinstance(one, dict) else {} for one in items):
        where = f"questions_and_answers[{index}]"
        question = asked.get(item.get("question"))
        if question is None:
            raise invalid(f"{where}.question", "is invalid" if item.get("question") else "is missing")
        if item.get("position") != question["position"]:
            raise invalid(f"{where}.position", "is invalid")
        if question["name"] in {one["question"] for one in answers}:
            raise invalid(f"{where}.question", "is answered twice")
        answer = str(item.get("answer") or "")
        if question["type"] in CHOICES and not question["include_other"]:
            chosen = answer.split("\n") if question["type"] == "multi_select" else [answer]
            if not set(chosen) <= set(question["answer_choices"]):
                raise invalid(f"{where}.answer", "is not one of the choices")
        if question["type"] == "phone_number" and answer and not is_phone_number(answer):
            raise invalid(f"{where}.answer", "is not a phone number")
        answers.append({"question": question["name"], "answer": answer, "position": question["position"]})
    answered = {one["question"] for one in answers if one["answer"].strip()}
    for question in asked.values():
        if question["required"] and question["name"] not in answered:
            raise invalid("questions_and_answers", f"{question['name']} is required")
    return answers
