"""Calendly's API v2: users, event types, free times, single-use links."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import quote

from flask import Blueprint, Response, g, jsonify, request

from bookingapp.sandbox.calendly import bookings_api, subscriptions_api
from bookingapp.sandbox.calendly.availability import free_slots
from bookingapp.sandbox.calendly.http import (
    RATE_LIMIT,
    CalendlyApiError,
    RateLimiter,
    authenticate,
    caller,
    collection,
    denied,
    error_response,
    invalid,
    json_body,
    last_segment,
    not_found,
    require_scope,
    resource,
    sorted_rows,
)
from bookingapp.sandbox.calendly.objects import event_type_resource, organization_uri, user_resource
from bookingapp.sandbox.clock import new_token, now_iso, parse_instant, to_iso_seconds, utcnow
from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.store import Document

LONGEST_WINDOW = timedelta(days=31)
blueprint = Blueprint("calendly_api", __name__, url_prefix="/calendly-api")
_limiter = RateLimiter()


@blueprint.before_request
def _identify() -> None:
    sandbox = current_sandbox()
    g.calendly_rate = _limiter.count(f"{sandbox.config.base_url} {request.headers.get('Authorization', '')}")
    g.calendly_caller = authenticate(sandbox)


@blueprint.errorhandler(CalendlyApiError)
def _explain(error: CalendlyApiError) -> Response:
    return error_response(error)


@blueprint.after_request
def _rate_limit_headers(response: Response) -> Response:
    if "calendly_rate" in g:
        remaining, reset = g.calendly_rate
        response.headers["X-RateLimit-Limit"] = str(RATE_LIMIT)
        response.headers["X-RateLimit-Remaining"] = str(remaining)
        response.headers["X-RateLimit-Reset"] = str(reset)
    return response


@blueprint.get("/users/me")
def me() -> Response:
    """The owner of the token."""
    require_scope("users:read")
    return _user(caller().user)


@blueprint.get("/users/<identifier>")
def user(identifier: str) -> Response:
    """Any user of the organization, for its owner; oneself, for a member."""
    require_scope("users:read")
    if not caller().is_owner and identifier != caller().user:
        raise denied()
    return _user(identifier)


def _user(identifier: str) -> Response:
    sandbox = current_sandbox()
    found = sandbox.store.get("user", identifier)
    if found is None:
        raise not_found()
    return resource(user_resource(sandbox, found))


@blueprint.get("/event_types")
def event_types() -> Response:
    """The types of a user or of the organization; deleted ones are left out."""
    require_scope("event_types:read")
    sandbox = current_sandbox()
    rows = [row for row in sandbox.store.all("event_type") if row["deleted_at"] is None]
    owner, organization = request.args.get("user"), request.args.get("organization")
    if owner:
        identifier = last_segment(owner, "users", "user")
        if not caller().is_owner and identifier != caller().user:
            raise denied()
        rows = [row for row in rows if row["user"] == identifier]
    elif organization:
        if organization != organization_uri(sandbox):
            raise invalid("organization", "is not a valid URI")
        if not caller().is_owner:
            raise denied()
    else:
        raise invalid("user", "either user or organization is required")
    active = request.args.get("active")
    if active is not None:
        if active not in {"true", "false"}:
            raise invalid("active", "must be true or false")
        rows = [row for row in rows if row["active"] is (active == "true")]
    return collection(
        sorted_rows(
            rows, request.args.get("sort", "name:asc"), {"name", "position", "created_at", "updated_at"}
        ),
        lambda row: event_type_resource(sandbox, row),
        lambda row: str(row["id"]),
    )


@blueprint.get("/event_types/<identifier>")
def event_type(identifier: str) -> Response:
    """One type; a deleted one can still be read for the sake of old bookings."""
    require_scope("event_types:read")
    sandbox = current_sandbox()
    return resource(event_type_resource(sandbox, _readable_type(identifier)))


def _readable_type(identifier: str) -> Document:
    found = current_sandbox().store.get("event_type", identifier)
    if found is None:
        raise not_found()
    if not caller().is_owner and found["user"] != caller().user:
        raise denied()
    return found


@blueprint.get("/event_type_available_times")
def available_times() -> Response:
    """The free times of one type inside a window of at most 31 days that begins in the future."""
    require_scope("event_types:read", "availability:read")
    sandbox = current_sandbox()
    found = _readable_type(last_segment(request.args.get("event_type", ""), "event_types", "event_type"))
    start, end = _instant("start_time"), _instant("end_time")
    if start <= utcnow():
        raise invalid("start_time", "start_time must be in the future")
    if end <= start:
        raise invalid("end_time", "end_time must be after start_time")
    if end - start > LONGEST_WINDOW:
        raise invalid("end_time", "date range can be no greater than 31 days")
    booking_page = event_type_resource(sandbox, found)["scheduling_url"]
    rows = [
        {
            "status": "available",
            "invitees_remaining": slot.remaining,
            "start_time": to_iso_seconds(slot.start),
            "scheduling_url": f"{booking_page}/{quote(to_iso_seconds(slot.start), safe=':')}"
            f"?month={slot.start:%Y-%m}&date={slot.start:%Y-%m-%d}",
        }
        for slot in free_slots(sandbox, found, start, end)
    ]
    return _bare_collection(rows)


@blueprint.get("/user_busy_times")
def busy_times() -> Response:
    """What is booked with a user inside a window of at most seven days."""
    require_scope("availability:read")
    sandbox = current_sandbox()
    identifier = last_segment(request.args.get("user", ""), "users", "user")
    if not caller().is_owner and identifier != caller().user:
        raise denied()
    start, end = _instant("start_time"), _instant("end_time")
    if start <= utcnow():
        raise invalid("start_time", "start_time must be in the future")
    if end <= start or end - start > timedelta(days=7):
        raise invalid("end_time", "date range can be no greater than 1 week (7 days)")
    rows = [
        {
            "type": "calendly",
            "start_time": event["start_time"],
            "end_time": event["end_time"],
            "buffered_start_time": event["start_time"],
            "buffered_end_time": event["end_time"],
            "event": {"uri": f"{sandbox.config.calendly_api}/scheduled_events/{event['id']}"},
        }
        for event in sandbox.store.all("event", user=identifier, status="active")
        if parse_instant(event["start_time"]) < end and start < parse_instant(event["end_time"])
    ]
    return _bare_collection(rows)


@blueprint.post("/scheduling_links")
def scheduling_links() -> Response:
    """A link that is good for one booking of one type."""
    require_scope("scheduling_links:write")
    sandbox, body = current_sandbox(), json_body()
    if body.get("max_event_count") != 1:
        raise invalid("max_event_count", "must be 1")
    if body.get("owner_type") != "EventType":
        raise invalid("owner_type", "must be EventType")
    owner = str(body.get("owner", ""))
    found = _readable_type(last_segment(owner, "event_types", "owner"))
    code = new_token(16).lower()
    sandbox.store.put(
        "scheduling_link",
        code,
        {"id": code, "event_type": found["id"], "used": False, "created_at": now_iso()},
    )
    url = f"{sandbox.config.base_url}/d/{code}/{found['slug']}"
    return resource({"booking_url": url, "owner": owner, "owner_type": "EventType"}, 201)


def _instant(parameter: str) -> datetime:
    try:
        return parse_instant(request.args.get(parameter, ""))
    except ValueError:
        raise invalid(parameter, "is missing or not an ISO 8601 time") from None


def _bare_collection(rows: list[Document]) -> Response:
    return jsonify({"collection": rows})


bookings_api.register(blueprint)
subscriptions_api.register(blueprint)
