"""Calendly's API v2: users, event types, available and busy times, single-use links."""

from __future__ import annotations

from flask import Response, jsonify, request

from bookingapp.sandbox.calendly.availability import free_slots
from bookingapp.sandbox.calendly.http import (
    blueprint,
    caller,
    get_stored,
    invalid,
    page_response,
    parse_body,
    parse_future_window,
    parse_uri,
    require_access,
    require_scope,
    resource_response,
)
from bookingapp.sandbox.calendly.objects import (
    event_type_resource,
    membership_resource,
    organization_uri,
    uri,
    user_resource,
)
from bookingapp.sandbox.clock import new_token, now_iso, parse_instant, to_iso_seconds
from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.store import Document


@blueprint.get("/users/me")
def get_current_user() -> Response:
    """The owner of the token (Calendly API reference, Get current user)."""
    return get_user(caller().user)


@blueprint.get("/users/<identifier>")
def get_user(identifier: str) -> Response:
    """Any user of the organization for its owner, oneself for a member (Calendly API reference, Get user)."""
    require_scope("users:read")
    require_access(identifier)
    return resource_response(user_resource(current_sandbox(), get_stored("user", identifier)))


@blueprint.get("/organization_memberships")
def list_organization_memberships() -> Response:
    """The users of the organization, for its owner (Calendly API reference, List Organization Memberships)."""
    require_scope("users:read")
    if request.args.get("organization") != organization_uri(current_sandbox()):
        raise invalid("organization", "is not a valid URI")
    require_access(None)
    rows = current_sandbox().store.all("user")
    return page_response(rows, membership_resource, sort="created_at:asc", sortable={"created_at"})


@blueprint.get("/event_types")
def list_event_types() -> Response:
    """The types of a user or of the organization, without deleted ones (Calendly API reference, List Event Types)."""
    require_scope("event_types:read")
    sandbox = current_sandbox()
    rows = [row for row in sandbox.store.all("event_type") if row["deleted_at"] is None]
    owner, organization = request.args.get("user"), request.args.get("organization")
    if owner:
        identifier = parse_uri(owner, "users", "user")
        require_access(identifier)
        rows = [row for row in rows if row["user"] == identifier]
    elif not organization:
        raise invalid("user", "either user or organization is required")
    elif organization != organization_uri(sandbox):
        raise invalid("organization", "is not a valid URI")
    else:
        require_access(None)
    active = request.args.get("active")
    if active is not None:
        if active not in {"true", "false"}:
            raise invalid("active", "must be true or false")
        rows = [row for row in rows if row["active"] is (active == "true")]
    sortable = {"name", "position", "created_at", "updated_at"}
    return page_response(rows, event_type_resource, sort="name:asc", sortable=sortable)


@blueprint.get("/event_types/<identifier>")
def get_event_type(identifier: str) -> Response:
    """One type, deleted ones included, for old bookings (Calendly API reference, Get Event Type)."""
    require_scope("event_types:read")
    return resource_response(event_type_resource(current_sandbox(), _readable_event_type(identifier)))


def _readable_event_type(identifier: str) -> Document:
    found = get_stored("event_type", identifier)
    require_access(found["user"])
    return found


@blueprint.get("/event_type_available_times")
def list_available_times() -> Response:
    """The free times of one type in at most 31 days (Calendly API reference, List Event Type Available Times)."""
    require_scope("event_types:read", "availability:read")
    sandbox = current_sandbox()
    identifier = parse_uri(request.args.get("event_type", ""), "event_types", "event_type")
    event_type = _readable_event_type(identifier)
    start, end = parse_future_window(31, "date range can be no greater than 31 days")
    booking_page = event_type_resource(sandbox, event_type)["scheduling_url"]
    rows = [
        {
            "status": "available",
            "invitees_remaining": slot.remaining,
            "start_time": to_iso_seconds(slot.start),
            "scheduling_url": f"{booking_page}/{to_iso_seconds(slot.start)}"
            f"?month={slot.start:%Y-%m}&date={slot.start:%Y-%m-%d}",
        }
        for slot in free_slots(sandbox, event_type, start, end)
    ]
    return jsonify({"collection": rows})


@blueprint.get("/user_busy_times")
def list_busy_times() -> Response:
    """The booked times of a user in at most seven days (Calendly API reference, List User Busy Times)."""
    require_scope("availability:read")
    sandbox = current_sandbox()
    identifier = parse_uri(request.args.get("user", ""), "users", "user")
    require_access(identifier)
    start, end = parse_future_window(7, "date range can be no greater than 1 week (7 days)")
    rows = [
        {
            "type": "calendly",
            "start_time": event["start_time"],
            "end_time": event["end_time"],
            "buffered_start_time": event["start_time"],
            "buffered_end_time": event["end_time"],
            "event": {"uri": uri(sandbox, "scheduled_events", event["id"])},
        }
        for event in sandbox.store.all("event", user=identifier, status="active")
        if parse_instant(event["start_time"]) < end and start < parse_instant(event["end_time"])
    ]
    return jsonify({"collection": rows})


@blueprint.post("/scheduling_links")
def create_single_use_link() -> Response:
    """A link for one booking of one type (Calendly API reference, Create Single-Use Scheduling Link)."""
    require_scope("scheduling_links:write")
    sandbox, body = current_sandbox(), parse_body()
    if body.get("max_event_count") != 1:
        raise invalid("max_event_count", "must be 1")
    if body.get("owner_type") != "EventType":
        raise invalid("owner_type", "must be EventType")
    owner = str(body.get("owner", ""))
    event_type = _readable_event_type(parse_uri(owner, "event_types", "owner"))
    code = new_token(16).lower()
    link = {"id": code, "event_type": event_type["id"], "used": False, "created_at": now_iso()}
    sandbox.store.put("scheduling_link", code, link)
    url = f"{sandbox.config.base_url}/d/{code}/{event_type['slug']}"
    return resource_response({"booking_url": url, "owner": owner, "owner_type": "EventType"}, 201)
