"""Calendly's API v2: scheduled events, invitees, cancellations, no-shows. New invitees are in ``inviting``."""

from __future__ import annotations

from flask import Response, request

from bookingapp.sandbox.calendly.http import (
    blueprint,
    caller,
    denied,
    get_stored,
    invalid,
    not_found,
    page_response,
    parse_body,
    parse_time,
    parse_uri,
    require_access,
    require_scope,
    resource_response,
)
from bookingapp.sandbox.calendly.objects import (
    event_resource,
    invitee_resource,
    no_show_reference,
    organization_uri,
    uri,
)
from bookingapp.sandbox.calendly.scheduling import (
    SchedulingError,
    cancel_event,
    mark_no_show,
    unmark_no_show,
)
from bookingapp.sandbox.clock import to_iso
from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.store import Document

# Calendly API reference, Cancel Event, ``reason``.
LONGEST_REASON = 10_000


@blueprint.get("/scheduled_events")
def list_scheduled_events() -> Response:
    """The events of a user or of the organization (Calendly API reference, List Events)."""
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
    # The stored form of a time sorts as the time does, so strings can be compared.
    if bound := args.get("min_start_time"):
        earliest = to_iso(parse_time(bound, "min_start_time"))
        rows = [row for row in rows if row["start_time"] >= earliest]
    if bound := args.get("max_start_time"):
        latest = to_iso(parse_time(bound, "max_start_time"))
        rows = [row for row in rows if row["start_time"] <= latest]
    return page_response(rows, event_resource, sort="start_time:asc", sortable={"start_time"})


def _visible_events(user: str | None, organization: str | None) -> list[Document]:
    sandbox = current_sandbox()
    if organization is not None and organization != organization_uri(sandbox):
        raise invalid("organization", "is not a valid URI")
    if user is not None:
        identifier = parse_uri(user, "users", "user")
        require_access(identifier)
        if identifier != caller().user and organization is None:
            raise denied(
                "Please also specify organization when requesting events for a user within your organization."
            )
        return sandbox.store.all("event", user=identifier)
    if organization is None:
        raise invalid("user", "either user, organization or group is required")
    require_access(None)
    return sandbox.store.all("event")


def _readable_event(identifier: str) -> Document:
    event = get_stored("event", identifier)
    require_access(event["user"], "You are not allowed to view this event")
    return event


@blueprint.get("/scheduled_events/<identifier>")
def get_scheduled_event(identifier: str) -> Response:
    """One event (Calendly API reference, Get Event)."""
    require_scope("scheduled_events:read")
    return resource_response(event_resource(current_sandbox(), _readable_event(identifier)))


@blueprint.get("/scheduled_events/<identifier>/invitees")
def list_invitees(identifier: str) -> Response:
    """The invitees of one event (Calendly API reference, List Event Invitees)."""
    require_scope("scheduled_events:read")
    wanted = {name: request.args[name] for name in ("status", "email") if request.args.get(name)}
    rows = current_sandbox().store.all("invitee", event=_readable_event(identifier)["id"], **wanted)
    return page_response(rows, invitee_resource, sort="created_at:asc", sortable={"created_at"})


@blueprint.get("/scheduled_events/<identifier>/invitees/<invitee_id>")
def get_invitee(identifier: str, invitee_id: str) -> Response:
    """One invitee of one event (Calendly API reference, Get Event Invitee)."""
    require_scope("scheduled_events:read")
    invitee = get_stored("invitee", invitee_id)
    if invitee["event"] != _readable_event(identifier)["id"]:
        raise not_found()
    return resource_response(invitee_resource(current_sandbox(), invitee))


@blueprint.post("/scheduled_events/<identifier>/cancellation")
def cancel_scheduled_event(identifier: str) -> Response:
    """Cancel a whole event as its host (Calendly API reference, Cancel Event)."""
    require_scope("scheduled_events:write")
    body = request.get_json(silent=True) if request.data else {}
    reason = body.get("reason") if isinstance(body, dict) else None
    if reason is not None and (not isinstance(reason, str) or len(reason) > LONGEST_REASON):
        raise invalid("reason", f"must be a text of at most {LONGEST_REASON} characters")
    event, owner = _readable_event(identifier), get_stored("user", caller().user)
    try:
        cancellation = cancel_event(current_sandbox(), event["id"], owner["name"], reason)
    except SchedulingError as error:
        raise denied(str(error)) from None
    return resource_response(cancellation, 201)


@blueprint.post("/invitee_no_shows")
def create_no_show() -> Response:
    """Mark an invitee as a no-show (Calendly API reference, Create Invitee No Show)."""
    require_scope("scheduled_events:write")
    sandbox = current_sandbox()
    reference = str(parse_body().get("invitee", ""))
    prefix, separator, identifier = reference.rpartition("/invitees/")
    if not separator or not prefix.startswith(uri(sandbox, "scheduled_events", "")):
        raise invalid("invitee", "is not a valid URI")
    _readable_event(get_stored("invitee", identifier)["event"])
    mark_no_show(sandbox, identifier)
    return _no_show_response(get_stored("invitee", identifier), 201)


@blueprint.get("/invitee_no_shows/<identifier>")
def get_no_show(identifier: str) -> Response:
    """The mark of one no-show (Calendly API reference, Get Invitee No Show)."""
    require_scope("scheduled_events:read")
    return _no_show_response(_invitee_of_no_show(identifier))


@blueprint.delete("/invitee_no_shows/<identifier>")
def delete_no_show(identifier: str) -> Response:
    """Remove the mark of a no-show (Calendly API reference, Delete Invitee No Show)."""
    require_scope("scheduled_events:write")
    unmark_no_show(current_sandbox(), _invitee_of_no_show(identifier)["id"])
    return Response(status=204)


def _invitee_of_no_show(identifier: str) -> Document:
    for found in current_sandbox().store.all("invitee"):
        if found["no_show"] is not None and found["no_show"]["id"] == identifier:
            _readable_event(found["event"])
            return found
    raise not_found()


def _no_show_response(invitee: Document, status: int = 200) -> Response:
    sandbox = current_sandbox()
    reference = no_show_reference(sandbox, invitee) or {}
    return resource_response({**reference, "invitee": invitee_resource(sandbox, invitee)["uri"]}, status)
