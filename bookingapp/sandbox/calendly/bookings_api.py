"""Calendly's API v2: scheduled events, invitees, cancellations, no-shows."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request

from bookingapp.sandbox.calendly.http import (
    caller,
    collection,
    denied,
    invalid,
    json_body,
    last_segment,
    not_found,
    require_scope,
    resource,
    sorted_rows,
)
from bookingapp.sandbox.calendly.objects import (
    QUESTION,
    TRACKING_KEYS,
    event_resource,
    invitee_resource,
    no_show_reference,
    organization_uri,
    uri,
)
from bookingapp.sandbox.calendly.scheduling import (
    Guest,
    SchedulingError,
    SlotTakenError,
    book,
    cancel_event,
    mark_no_show,
    unmark_no_show,
)
from bookingapp.sandbox.clock import parse_instant, to_iso
from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.store import Document

LONGEST_REASON = 10_000


def register(blueprint: Blueprint) -> None:
    """Put these endpoints on the API."""
    blueprint.get("/scheduled_events")(scheduled_events)
    blueprint.get("/scheduled_events/<identifier>")(scheduled_event)
    blueprint.get("/scheduled_events/<identifier>/invitees")(invitees)
    blueprint.get("/scheduled_events/<identifier>/invitees/<invitee_id>")(invitee)
    blueprint.post("/scheduled_events/<identifier>/cancellation")(cancellation)
    blueprint.post("/invitees")(create_invitee)
    blueprint.post("/invitee_no_shows")(create_no_show)
    blueprint.get("/invitee_no_shows/<identifier>")(no_show)
    blueprint.delete("/invitee_no_shows/<identifier>")(delete_no_show)


def scheduled_events() -> Response:
    """The events of a user or of the organization."""
    require_scope("scheduled_events:read")
    sandbox, args = current_sandbox(), request.args
    rows = _visible_events(args.get("user"), args.get("organization"))
    if status := args.get("status"):
        if status not in {"active", "canceled"}:
            raise invalid("status", "must be active or canceled")
        rows = [row for row in rows if row["status"] == status]
    if email := args.get("invitee_email"):
        with_email = {row["event"] for row in sandbox.store.all("invitee", email=email)}
        rows = [row for row in rows if row["id"] in with_email]
    if bound := args.get("min_start_time"):
        rows = [row for row in rows if row["start_time"] >= _bound("min_start_time", bound)]
    if bound := args.get("max_start_time"):
        rows = [row for row in rows if row["start_time"] <= _bound("max_start_time", bound)]
    rows = sorted_rows(rows, args.get("sort", "start_time:asc"), {"start_time"})
    return collection(rows, lambda row: event_resource(sandbox, row), lambda row: str(row["id"]))


def _visible_events(user: str | None, organization: str | None) -> list[Document]:
    sandbox = current_sandbox()
    if organization is not None and organization != organization_uri(sandbox):
        raise invalid("organization", "is not a valid URI")
    if user is not None:
        identifier = last_segment(user, "users", "user")
        if identifier != caller().user and not caller().is_owner:
            raise denied()
        if identifier != caller().user and organization is None:
            message = (
                "Please also specify organization when requesting events for a user within your organization."
            )
            raise denied(message)
        return sandbox.store.all("event", user=identifier)
    if organization is None:
        raise invalid("user", "either user, organization or group is required")
    if not caller().is_owner:
        raise denied()
    return sandbox.store.all("event")


def _bound(parameter: str, text: str) -> str:
    try:
        return to_iso(parse_instant(text))
    except ValueError:
        raise invalid(parameter, "is not an ISO 8601 time") from None


def _event(identifier: str) -> Document:
    event = current_sandbox().store.get("event", identifier)
    if event is None:
        raise not_found()
    if not caller().is_owner and event["user"] != caller().user:
        message = "You are not allowed to view this event"
        raise denied(message)
    return event


def scheduled_event(identifier: str) -> Response:
    """One event."""
    require_scope("scheduled_events:read")
    return resource(event_resource(current_sandbox(), _event(identifier)))


def invitees(identifier: str) -> Response:
    """The invitees of one event."""
    require_scope("scheduled_events:read")
    sandbox, args = current_sandbox(), request.args
    rows = sandbox.store.all("invitee", event=_event(identifier)["id"])
    for name in ("status", "email"):
        if value := args.get(name):
            rows = [row for row in rows if row[name] == value]
    rows = sorted_rows(rows, args.get("sort", "created_at:asc"), {"created_at"})
    return collection(rows, lambda row: invitee_resource(sandbox, row), lambda row: str(row["id"]))


def invitee(identifier: str, invitee_id: str) -> Response:
    """One invitee of one event."""
    require_scope("scheduled_events:read")
    sandbox = current_sandbox()
    found = sandbox.store.get("invitee", invitee_id)
    if found is None or found["event"] != _event(identifier)["id"]:
        raise not_found()
    return resource(invitee_resource(sandbox, found))


def cancellation(identifier: str) -> Response:
    """Cancel a whole event, as its host."""
    require_scope("scheduled_events:write")
    sandbox = current_sandbox()
    body = request.get_json(silent=True) if request.data else {}
    reason = body.get("reason") if isinstance(body, dict) else None
    if reason is not None and (not isinstance(reason, str) or len(reason) > LONGEST_REASON):
        raise invalid("reason", f"must be a text of at most {LONGEST_REASON} characters")
    event = _event(identifier)
    owner = sandbox.store.get("user", caller().user) or {"name": ""}
    try:
        made = cancel_event(sandbox, event["id"], owner["name"], reason)
    except SchedulingError as error:
        raise denied(str(error)) from None
    return resource(made, 201)


def create_invitee() -> Response:
    """Book through the API."""
    require_scope("scheduled_events:write")
    sandbox, body = current_sandbox(), json_body()
    event_type = sandbox.store.get(
        "event_type", last_segment(str(body.get("event_type", "")), "event_types", "event_type")
    )
    if event_type is None:
        raise not_found()
    try:
        start = parse_instant(str(body.get("start_time", "")))
    except ValueError:
        raise invalid("start_time", "is missing or not an ISO 8601 time") from None
    try:
        made = book(sandbox, event_type, start, _guest(body))
    except SlotTakenError:
        raise invalid("start_time", "is not available") from None
    return resource(invitee_resource(sandbox, made), 201)


def _guest(body: Document) -> Guest:
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
    if "@" not in person["email"]:
        raise invalid("invitee.email", "is invalid")
    try:
        ZoneInfo(person["timezone"])
    except (KeyError, ValueError):
        raise invalid("invitee.timezone", "is invalid") from None
    return Guest(
        name=full_name,
        email=person["email"],
        timezone=person["timezone"],
        first_name=person.get("first_name"),
        last_name=person.get("last_name"),
        tracking={key: (body.get("tracking") or {}).get(key) for key in TRACKING_KEYS},
        answers=_answers(body.get("questions_and_answers") or []),
        text_reminder_number=person.get("text_reminder_number"),
        event_guests=list(body.get("event_guests") or []),
        scheduling_method="api",
    )


def _answers(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for index, item in enumerate(given):
        if item.get("question") != QUESTION:
            raise invalid(f"questions_and_answers[{index}].question", "is missing")
    return [
        {"question": QUESTION, "answer": str(item.get("answer", "")), "position": index}
        for index, item in enumerate(given)
    ]


def create_no_show() -> Response:
    """Note that an invitee did not come."""
    require_scope("scheduled_events:write")
    sandbox = current_sandbox()
    reference = str(json_body().get("invitee", ""))
    identifier = reference.rpartition("/invitees/")[2]
    if not reference.startswith(uri(sandbox, "scheduled_events", "")) or "/invitees/" not in reference:
        raise invalid("invitee", "is not a valid URI")
    found = sandbox.store.get("invitee", identifier)
    if found is None:
        raise not_found()
    _event(found["event"])
    marked = mark_no_show(sandbox, identifier)
    if marked is None:
        raise not_found()
    return resource(_no_show_resource(marked), 201)


def no_show(identifier: str) -> Response:
    """One such note."""
    require_scope("scheduled_events:read")
    return resource(_no_show_resource(_noted(identifier)))


def delete_no_show(identifier: str) -> Response:
    """Take such a note back."""
    require_scope("scheduled_events:write")
    unmark_no_show(current_sandbox(), _noted(identifier))
    return Response(status=204)


def _noted(identifier: str) -> Document:
    for found in current_sandbox().store.all("invitee"):
        if found["no_show"] is not None and found["no_show"]["id"] == identifier:
            _event(found["event"])
            return found
    raise not_found()


def _no_show_resource(found: Document) -> Document:
    sandbox = current_sandbox()
    reference = no_show_reference(sandbox, found) or {}
    return {**reference, "invitee": invitee_resource(sandbox, found)["uri"]}
