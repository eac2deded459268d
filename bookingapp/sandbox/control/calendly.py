"""Control over the stand-in Calendly: what a host, a visitor or an administrator would do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, abort
from werkzeug.wrappers import Response

from bookingapp.sandbox.calendly.availability import HORIZON, free_slots
from bookingapp.sandbox.calendly.objects import (
    TRACKING_KEYS,
    event_resource,
    event_type_resource,
    invitee_resource,
)
from bookingapp.sandbox.calendly.scheduling import (
    Guest,
    SchedulingError,
    book,
    cancel_event,
    cancel_invitee,
    mark_no_show,
    reschedule,
    unmark_no_show,
)
from bookingapp.sandbox.calendly.webhooks import announce_event_type
from bookingapp.sandbox.clock import new_uuid, now_iso, parse_instant, to_iso, utcnow
from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.control.http import answer, flag, given, refuse, required
from bookingapp.sandbox.seed import CALENDLY_EVENTS, event_type_document, subscribe_app

blueprint = Blueprint("control_calendly", __name__, url_prefix="/control/api/calendly")

CHANGEABLE = (
    "name",
    "active",
    "secret",
    "duration",
    "color",
    "seats",
    "is_paid",
    "redirect_url",
    "description_html",
    "booking_method",
    "duration_options",
    "locations",
)
FLAGS = {"active", "secret", "is_paid"}
NUMBERS = {"duration", "seats"}


@blueprint.post("/book")
def book_anything() -> Response:
    """Book as somebody, at any time, even in the past; without a time, at the first free one."""
    sandbox, body = current_sandbox(), given()
    event_type = required(sandbox.store.get("event_type", str(body.get("event_type", ""))))
    if body.get("start_time"):
        start = parse_instant(str(body["start_time"]))
    else:
        slots = free_slots(sandbox, event_type, utcnow(), utcnow() + HORIZON)
        if not slots:
            return refuse("There is no free time.")
        start = slots[0].start
    tracking = body.get("tracking") or {key: body.get(key) for key in TRACKING_KEYS}
    guest = Guest(
        name=str(body.get("name", "Sam Visitor")),
        email=str(body.get("email", "sam@example.com")),
        timezone=body.get("timezone", "Europe/London"),
        tracking=tracking,
        scheduling_method="instant_book",
        payment=body.get("payment"),
    )
    invitee = book(sandbox, event_type, start, guest, at_any_time=True)
    return answer(invitee_resource(sandbox, invitee), "Booked.", "bookings")


@blueprint.post("/events/<identifier>/cancel")
def cancel_as_host(identifier: str) -> Response:
    """The host cancels for everybody."""
    sandbox = current_sandbox()
    event = required(sandbox.store.get("event", identifier))
    host = required(sandbox.store.get("user", event["user"]))
    try:
        cancellation = cancel_event(sandbox, identifier, host["name"], given().get("reason"))
    except SchedulingError as error:
        return refuse(str(error))
    return answer(cancellation, "The event is canceled by its host.", "bookings")


@blueprint.post("/events/<identifier>/start")
def shift(identifier: str) -> Response:
    """Let an event begin at another time without telling anybody, as if time had passed."""
    sandbox = current_sandbox()
    event = required(sandbox.store.get("event", identifier))
    start = parse_instant(str(given()["start_time"]))
    length = parse_instant(event["end_time"]) - parse_instant(event["start_time"])
    event.update(start_time=to_iso(start), end_time=to_iso(start + length))
    sandbox.store.put("event", identifier, event)
    return answer(event_resource(sandbox, event), "The event begins at another time.", "bookings")


@blueprint.post("/invitees/<identifier>/cancel")
def cancel_as_invitee(identifier: str) -> Response:
    """The invitee cancels for themselves."""
    sandbox = current_sandbox()
    required(sandbox.store.get("invitee", identifier))
    try:
        invitee = cancel_invitee(sandbox, identifier, given().get("reason"))
    except SchedulingError as error:
        return refuse(str(error))
    return answer(invitee_resource(sandbox, invitee), "The booking is canceled by the invitee.", "bookings")


@blueprint.post("/invitees/<identifier>/reschedule")
def move(identifier: str) -> Response:
    """Move a booking to ``start_time``, or to the next free time; by the host unless ``by_host`` is false."""
    sandbox, body = current_sandbox(), given()
    invitee = required(sandbox.store.get("invitee", identifier))
    event = required(sandbox.store.get("event", invitee["event"]))
    event_type = required(sandbox.store.get("event_type", event["event_type"]))
    if body.get("start_time"):
        start = parse_instant(str(body["start_time"]))
    else:
        after = max(utcnow(), parse_instant(event["start_time"]) + timedelta(minutes=1))
        slots = free_slots(sandbox, event_type, after, utcnow() + HORIZON)
        if not slots:
            return refuse("There is no free time.")
        start = slots[0].start
    try:
        new = reschedule(
            sandbox,
            identifier,
            start,
            reason=body.get("reason"),
            by_host=flag(body.get("by_host", True)),
            at_any_time=True,
        )
    except SchedulingError as error:
        return refuse(str(error))
    return answer(invitee_resource(sandbox, new), "The booking is moved.", "bookings")


@blueprint.post("/invitees/<identifier>/no-show")
def note_no_show(identifier: str) -> Response:
    """Mark or unmark that an invitee did not come."""
    sandbox = current_sandbox()
    invitee = required(sandbox.store.get("invitee", identifier))
    if flag(given().get("no_show", True)):
        invitee = required(mark_no_show(sandbox, identifier))
    elif invitee["no_show"] is not None:
        unmark_no_show(sandbox, invitee)
        invitee = required(sandbox.store.get("invitee", identifier))
    return answer(invitee_resource(sandbox, invitee), "Noted.", "bookings")


@blueprint.post("/event-types")
def add_event_type() -> Response:
    """A new type of a user: ``user`` (id), ``name``, ``slug``, ``duration`` in minutes."""
    sandbox, body = current_sandbox(), given()
    owner = required(sandbox.store.get("user", str(body.get("user", ""))))
    event_type = event_type_document(
        user=owner["id"],
        id=new_uuid(),
        name=str(body["name"]),
        slug=str(body["slug"]),
        duration=int(body["duration"]),
        kind=str(body.get("kind", "solo")),
        seats=int(body.get("seats", 1)),
        position=len(sandbox.store.all("event_type", user=owner["id"])),
        plain=str(body.get("description", "")),
    )
    with sandbox.store.transaction():
        sandbox.store.put("event_type", event_type["id"], event_type)
        announce_event_type(sandbox, "event_type.created", event_type)
    return answer(event_type_resource(sandbox, event_type), "The type is made.", "types")


@blueprint.post("/event-types/<identifier>")
def change_event_type(identifier: str) -> Response:
    """Rename, deactivate, or otherwise change a type."""
    sandbox, body = current_sandbox(), given()
    with sandbox.store.transaction():
        event_type = required(sandbox.store.get("event_type", identifier))
        for name in CHANGEABLE:
            if name in body:
                event_type[name] = _typed(name, body[name])
        event_type["updated_at"] = now_iso()
        sandbox.store.put("event_type", identifier, event_type)
        announce_event_type(sandbox, "event_type.updated", event_type)
    return answer(event_type_resource(sandbox, event_type), "The type is changed.", "types")


def _typed(name: str, value: Any) -> Any:
    if name in FLAGS:
        return flag(value)
    return int(value) if name in NUMBERS else value


@blueprint.post("/event-types/<identifier>/delete")
def delete_event_type(identifier: str) -> Response:
    """Delete a type; it can still be read by its id."""
    sandbox = current_sandbox()
    with sandbox.store.transaction():
        event_type = required(sandbox.store.get("event_type", identifier))
        event_type.update(active=False, deleted_at=now_iso(), updated_at=now_iso())
        sandbox.store.put("event_type", identifier, event_type)
        announce_event_type(sandbox, "event_type.deleted", event_type)
    return answer(event_type_resource(sandbox, event_type), "The type is deleted.", "types")


@blueprint.post("/subscriptions/<identifier>/state")
def set_subscription_state(identifier: str) -> Response:
    """``disabled``, as after a day of failures, or ``active`` again; ``all`` for every subscription."""
    sandbox, state = current_sandbox(), str(given().get("state", "disabled"))
    if state not in {"active", "disabled"}:
        abort(400)
    with sandbox.store.transaction():
        chosen = [row for row in sandbox.store.all("subscription") if identifier in {"all", row["id"]}]
        for row in chosen:
            started = now_iso() if state == "disabled" else None
            row.update(state=state, retry_started_at=started, updated_at=now_iso())
            sandbox.store.put("subscription", row["id"], row)
    return answer(chosen, f"The subscription is {state}.", "webhooks")


@blueprint.post("/subscriptions")
def subscribe() -> Response:
    """Subscribe the booking app, as it would do itself through the API."""
    sandbox = current_sandbox()
    subscribe_app(sandbox.store, sandbox.config)
    return answer({"events": CALENDLY_EVENTS}, "The app is subscribed.", "webhooks")


@blueprint.post("/token")
def set_token() -> Response:
    """Revoke the platform's token (``which``: ``primary`` or ``secondary``) or make it good again."""
    sandbox, body = current_sandbox(), given()
    which, is_revoked = str(body.get("which", "primary")), flag(body.get("revoked", True))
    with sandbox.store.transaction():
        revoked = set(sandbox.store.setting("revoked_tokens", []))
        revoked = revoked | {which} if is_revoked else revoked - {which}
        sandbox.store.set_setting("revoked_tokens", sorted(revoked))
    words = "The token is revoked." if is_revoked else "The token is good again."
    return answer({"revoked_tokens": sorted(revoked)}, words, "faults")


@blueprint.post("/oauth/<user>/revoke")
def revoke_grants(user: str) -> Response:
    """A builder takes the app's access back, or (``expire``) its access tokens run out early."""
    sandbox, expire = current_sandbox(), flag(given().get("expire", False))
    with sandbox.store.transaction():
        grants = sandbox.store.all("oauth_token", user=user)
        for grant in grants:
            if not expire:
                grant["revoked"] = True
            elif grant["type"] == "access":
                grant["expires_at"] = 0
            sandbox.store.put("oauth_token", grant["id"], grant)
    return answer({"tokens": len(grants)}, "Done.", "faults")
