"""Calendly's API v2: ``POST /invitees``, with the limits of its own, and what a control orders for the next one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response

from bookingapp.sandbox.behavior import current_behavior
from bookingapp.sandbox.calendly.availability import is_free
from bookingapp.sandbox.calendly.details import is_address, is_phone_number, parse_answers, parse_place
from bookingapp.sandbox.calendly.http import (
    CalendlyApiError,
    blueprint,
    caller,
    get_stored,
    invalid,
    parse_body,
    parse_time,
    parse_uri,
    require_access,
    require_scope,
    resource_response,
)
from bookingapp.sandbox.calendly.objects import TRACKING_KEYS, event_type_resource, invitee_resource
from bookingapp.sandbox.calendly.scheduling import Guest, SlotTakenError, schedule_invitee
from bookingapp.sandbox.clock import parse_instant, to_iso, utcnow
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.store import Document

# Calendly API reference, Create Event Invitee, ``event_guests``.
MOST_GUESTS = 10
LATELY = "invitee_requests"
LOSE_RACE = "lose_next_race"
_WINDOWS = {
    "invitees_per_minute": timedelta(minutes=1),
    "invitees_per_hour": timedelta(hours=1),
    "invitees_per_day": timedelta(days=1),
}
_SOMEBODY = Guest(
    name="Robin Faster", email="robin@example.com", timezone="UTC", scheduling_method="instant_book"
)


@blueprint.post("/invitees")
def create_invitee() -> Response:
    """Schedule an invitee at a free time (Calendly API reference, Create Event Invitee)."""
    require_scope("scheduled_events:write")
    sandbox = current_sandbox()
    _count_request(sandbox, caller().user)
    body = parse_body()
    identifier = parse_uri(str(body.get("event_type", "")), "event_types", "event_type")
    event_type = get_stored("event_type", identifier)
    require_access(event_type["user"])
    resource = event_type_resource(sandbox, event_type)
    if resource["booking_method"] != "instant" or resource["is_paid"]:
        # Not documented for a type with Calendly's own payment: no answer of the API could collect it.
        raise invalid("event_type", "can only be booked on its scheduling page")
    start = parse_time(body.get("start_time"), "start_time")
    if start <= utcnow():
        raise invalid("start_time", "start_time must be in the future")
    guest = _parse_guest(body, resource)
    if sandbox.store.setting(LOSE_RACE, default=False):
        sandbox.store.set_setting(LOSE_RACE, value=False)
        take_time(sandbox, event_type, start)
    try:
        invitee = schedule_invitee(sandbox, event_type, start, guest)
    except SlotTakenError:
        raise _not_free(sandbox) from None
    return resource_response(invitee_resource(sandbox, invitee), 201)


def take_time(sandbox: Sandbox, event_type: Document, start: datetime) -> list[Document]:
    """Book a free time for other people until it has no seat left; the invitees, none where it is not free."""
    taken = []
    with sandbox.store.transaction():
        while is_free(sandbox, event_type, start):
            taken.append(schedule_invitee(sandbox, event_type, start, _SOMEBODY))
    return taken


def _not_free(sandbox: Sandbox) -> CalendlyApiError:
    """The refusal of a start that is not free: 400 by the reference, 409 in one report."""
    if current_behavior(sandbox.store)["taken_status"] == "409":
        return CalendlyApiError(409, "Conflict", "The selected time slot is no longer available.")
    details = [{"parameter": "start_time", "message": "is not available", "code": "already_filled"}]
    return CalendlyApiError(400, "Invalid Argument", "The supplied parameters are invalid.", details)


def _count_request(sandbox: Sandbox, user: str) -> None:
    """Count a request of this user against the endpoint's limits (Calendly docs, Rate Limits).

    Raises:
        CalendlyApiError: 429, with the headers of the general limit as after any other request.
    """
    limits, now = current_behavior(sandbox.store), utcnow()
    with sandbox.store.transaction():
        lately = sandbox.store.setting(LATELY, {})
        times = [one for one in lately.get(user, []) if parse_instant(one) > now - timedelta(days=1)]
        for name, window in _WINDOWS.items():
            if sum(parse_instant(one) > now - window for one in times) >= limits[name]:
                raise CalendlyApiError(429, "Too Many Requests", "The limit of this endpoint was reached.")
        sandbox.store.set_setting(LATELY, {**lately, user: [*times, to_iso(now)]})


def _parse_guest(body: Document, event_type: Document) -> Guest:
    person = body.get("invitee")
    if not isinstance(person, dict):
        raise invalid("invitee", "is missing")
    for name in ("email", "timezone"):
        if not person.get(name):
            raise invalid(f"invitee.{name}", "is missing")
    full_name = person.get("name") or " ".join(
        filter(None, (person.get("first_name"), person.get("last_name")))
    )
    if not full_name:
        raise invalid("invitee.name", "is missing")
    if not is_address(person["email"]):
        raise invalid("invitee.email", "is invalid")
    if person.get("text_reminder_number") and not is_phone_number(person["text_reminder_number"]):
        raise invalid("invitee.text_reminder_number", "is invalid")
    try:
        ZoneInfo(person["timezone"])
    except (KeyError, ValueError, TypeError):
        raise invalid("invitee.timezone", "is invalid") from None
    return Guest(
        name=full_name,
        email=person["email"],
        timezone=person["timezone"],
        first_name=person.get("first_name"),
        last_name=person.get("last_name"),
        tracking={key: (body.get("tracking") or {}).get(key) for key in TRACKING_KEYS},
        answers=parse_answers(event_type, body.get("questions_and_answers")),
        place=parse_place(event_type, body.get("location")),
        text_reminder_number=person.get("text_reminder_number"),
        event_guests=_parse_guests(body.get("event_guests")),
        scheduling_method="api",
    )


def _parse_guests(given: Any) -> list[str]:
    guests = given or []
    if not isinstance(guests, list) or len(guests) > MOST_GUESTS:
        raise invalid("event_guests", f"must be a list of at most {MOST_GUESTS} addresses")
    for index, guest in enumerate(guests):
        if not is_address(guest):
            raise invalid(f"event_guests[{index}]", "is invalid")
    return guests
