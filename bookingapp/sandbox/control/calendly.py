"""Control of the stand-in Calendly: what hosts, visitors and administrators do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, abort
from werkzeug.wrappers import Response

from bookingapp.sandbox.calendly.availability import HORIZON, free_slots
from bookingapp.sandbox.calendly.inviting import LOSE_RACE, take_time
from bookingapp.sandbox.calendly.objects import (
    TRACKING_KEYS,
    event_resource,
    event_type_resource,
    invitee_resource,
    new_event_type,
)
from bookingapp.sandbox.calendly.scheduling import (
    Guest,
    SchedulingError,
    cancel_event,
    cancel_invitee,
    mark_no_show,
    reschedule_invitee,
    schedule_invitee,
    unmark_no_show,
)
from bookingapp.sandbox.calendly.webhooks import APP_EVENTS, publish_event_type_event, subscribe_app
from bookingapp.sandbox.clock import new_uuid, now_iso, parse_instant, to_iso, utcnow
from bookingapp.sandbox.context import current_sandbox, get_or_404
from bookingapp.sandbox.control.http import answer, is_true, refuse, request_values
from bookingapp.sandbox.store import Document

blueprint = Blueprint("control_calendly", __name__, url_prefix="/control/api/calendly")

FLAGS = {"active", "secret", "is_paid"}
NUMBERS = {"duration", "seats"}
TEXTS = {
    "name",
    "color",
    "redirect_url",
    "description_html",
    "booking_method",
    "duration_options",
    "locations",
    "custom_questions",
    "pooling_type",
    "profile_owner",
}


@blueprint.errorhandler(SchedulingError)
def _refuse_as_calendly(error: SchedulingError) -> Response:
    return refuse(str(error))


def _chosen_start(body: Document, event_type: Document, after: datetime) -> datetime:
    """The ``start_time`` of the request, else the first free time after an instant."""
    if body.get("start_time"):
        return parse_instant(str(body["start_time"]))
    slots = free_slots(current_sandbox(), event_type, after, utcnow() + HORIZON)
    if not slots:
        raise SchedulingError("There is no free time.")
    return slots[0].start


@blueprint.post("/book")
def book_as_visitor() -> Response:
    """Book as a visitor at any time, even in the past; without a time, at the first free one."""
    sandbox, body = current_sandbox(), request_values()
    event_type = get_or_404("event_type", str(body.get("event_type", "")))
    start = _chosen_start(body, event_type, utcnow())
    guest = Guest(
        name=str(body.get("name", "Sam Visitor")),
        email=str(body.get("email", "sam@example.com")),
        timezone=body.get("timezone"),
        tracking=body.get("tracking") or {key: body.get(key) for key in TRACKING_KEYS},
        scheduling_method="instant_book",
        payment=body.get("payment"),
        place=body.get("place"),
        answers=body.get("answers") or [],
        text_reminder_number=body.get("text_reminder_number"),
    )
    invitee = schedule_invitee(sandbox, event_type, start, guest, at_any_time=True)
    return answer(invitee_resource(sandbox, invitee), "Booked.", "bookings")


@blueprint.post("/take")
def take_for_somebody_else() -> Response:
    """Take every seat of a free ``start_time`` for other people; with ``next``, the one that the next request to create
    an invitee asks for, just before it is answered.
    """
    sandbox, body = current_sandbox(), request_values()
    if is_true(body.get("next", False)):
        sandbox.store.set_setting(LOSE_RACE, value=True)
        return answer([], "Somebody else will be faster than the next request.", "bookings")
    event_type = get_or_404("event_type", str(body.get("event_type", "")))
    taken = take_time(sandbox, event_type, _chosen_start(body, event_type, utcnow()))
    if not taken:
        raise SchedulingError("This time is not free.")
    return answer([invitee_resource(sandbox, one) for one in taken], "The time is taken.", "bookings")


@blueprint.post("/events/<identifier>/cancel")
def cancel_as_host(identifier: str) -> Response:
    """Cancel an event for all of its invitees, as its host."""
    host = get_or_404("user", get_or_404("event", identifier)["user"])
    cancellation = cancel_event(current_sandbox(), identifier, host["name"], request_values().get("reason"))
    return answer(cancellation, "The event is canceled by its host.", "bookings")


@blueprint.post("/events/<identifier>/start")
def shift_event(identifier: str) -> Response:
    """Give an event another ``start_time`` without a webhook, as if time had passed."""
    sandbox, event = current_sandbox(), get_or_404("event", identifier)
    start = parse_instant(str(request_values()["start_time"]))
    length = parse_instant(event["end_time"]) - parse_instant(event["start_time"])
    event.update(start_time=to_iso(start), end_time=to_iso(start + length))
    sandbox.store.put("event", identifier, event)
    return answer(event_resource(sandbox, event), "The event begins at another time.", "bookings")


@blueprint.post("/events/<identifier>/change")
def change_event(identifier: str) -> Response:
    """Give an event another host (``user``, an id), ``place`` or ``end_time``: Calendly tells nobody of that."""
    sandbox, event = current_sandbox(), get_or_404("event", identifier)
    changes = {
        name: value for name, value in request_values().items() if name in {"user", "place", "end_time"}
    }
    if "end_time" in changes:
        changes["end_time"] = to_iso(parse_instant(str(changes["end_time"])))
    event.update(changes, updated_at=now_iso())
    sandbox.store.put("event", identifier, event)
    return answer(event_resource(sandbox, event), "The event is changed.", "bookings")


@blueprint.post("/invitees/<identifier>/cancel")
def cancel_as_invitee(identifier: str) -> Response:
    """Cancel one invitee on their own behalf."""
    get_or_404("invitee", identifier)
    sandbox = current_sandbox()
    invitee = cancel_invitee(sandbox, identifier, request_values().get("reason"))
    return answer(invitee_resource(sandbox, invitee), "The booking is canceled by the invitee.", "bookings")


@blueprint.post("/invitees/<identifier>/reschedule")
def reschedule_booking(identifier: str) -> Response:
    """Reschedule to ``start_time`` or the next free time; as the host unless ``by_host`` is false."""
    sandbox, body = current_sandbox(), request_values()
    event = get_or_404("event", get_or_404("invitee", identifier)["event"])
    after = max(utcnow(), parse_instant(event["start_time"]) + timedelta(minutes=1))
    new = reschedule_invitee(
        sandbox,
        identifier,
        _chosen_start(body, get_or_404("event_type", event["event_type"]), after),
        reason=body.get("reason"),
        by_host=is_true(body.get("by_host", True)),
        at_any_time=True,
    )
    return answer(invitee_resource(sandbox, new), "The booking is rescheduled.", "bookings")


@blueprint.post("/invitees/<identifier>/no-show")
def set_no_show(identifier: str) -> Response:
    """Mark an invitee as a no-show, or remove the mark where ``no_show`` is false."""
    sandbox = current_sandbox()
    get_or_404("invitee", identifier)
    change = mark_no_show if is_true(request_values().get("no_show", True)) else unmark_no_show
    change(sandbox, identifier)
    return answer(invitee_resource(sandbox, get_or_404("invitee", identifier)), "Saved.", "bookings")


@blueprint.post("/event-types")
def create_event_type() -> Response:
    """Create a type for a user: ``user`` (id), ``name``, ``slug``, ``duration`` in minutes."""
    sandbox, body = current_sandbox(), request_values()
    owner = get_or_404("user", str(body.get("user", "")))["id"]
    event_type = new_event_type(
        user=owner,
        identifier=new_uuid(),
        name=str(body["name"]),
        slug=str(body["slug"]),
        duration=int(body["duration"]),
        kind=str(body.get("kind", "solo")),
        seats=int(body.get("seats", 1)),
        position=len(sandbox.store.all("event_type", user=owner)),
        description=str(body.get("description", "")),
    )
    return _save_event_type(event_type, "created")


@blueprint.post("/event-types/<identifier>")
def change_event_type(identifier: str) -> Response:
    """Rename, deactivate, or otherwise change a type."""
    with current_sandbox().store.transaction():
        event_type = get_or_404("event_type", identifier)
        for name, value in request_values().items():
            if name in FLAGS | NUMBERS | TEXTS:
                event_type[name] = _typed(name, value)
        return _save_event_type({**event_type, "updated_at": now_iso()}, "updated")


def _typed(name: str, value: Any) -> Any:
    if name in FLAGS:
        return is_true(value)
    return int(value) if name in NUMBERS else value


@blueprint.post("/event-types/<identifier>/delete")
def delete_event_type(identifier: str) -> Response:
    """Delete a type; it can still be read by its id."""
    with current_sandbox().store.transaction():
        event_type, now = get_or_404("event_type", identifier), now_iso()
        return _save_event_type(
            {**event_type, "active": False, "deleted_at": now, "updated_at": now}, "deleted"
        )


def _save_event_type(event_type: Document, change: str) -> Response:
    sandbox = current_sandbox()
    with sandbox.store.transaction():
        sandbox.store.put("event_type", event_type["id"], event_type)
        publish_event_type_event(sandbox, f"event_type.{change}", event_type)
    return answer(event_type_resource(sandbox, event_type), f"The event type is {change}.", "types")


@blueprint.post("/subscriptions/<identifier>/state")
def set_subscription_state(identifier: str) -> Response:
    """Set ``disabled``, as after a day of failures, or ``active``; ``all`` for every subscription."""
    sandbox, state = current_sandbox(), str(request_values().get("state", "disabled"))
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
def add_app_subscription() -> Response:
    """Subscribe the booking app, as it does itself through the API."""
    subscribe_app(current_sandbox().store, current_sandbox().config)
    return answer({"events": APP_EVENTS}, "The app is subscribed.", "webhooks")


@blueprint.post("/token")
def set_token_state() -> Response:
    """Revoke the platform's token (``which``: ``primary`` or ``secondary``), or make it valid again."""
    sandbox, body = current_sandbox(), request_values()
    which, is_revoked = str(body.get("which", "primary")), is_true(body.get("revoked", True))
    with sandbox.store.transaction():
        others = set(sandbox.store.setting("revoked_tokens", [])) - {which}
        revoked = sorted(others | {which} if is_revoked else others)
        sandbox.store.set_setting("revoked_tokens", revoked)
    message = "The token is revoked." if is_revoked else "The token is valid again."
    return answer({"revoked_tokens": revoked}, message, "faults")


@blueprint.post("/scopes")
def set_scope_state() -> Response:
    """Take a ``scope`` from every token, as if it had never been granted, or (``revoked`` false) give it back."""
    sandbox, body = current_sandbox(), request_values()
    scope, is_revoked = str(body.get("scope", "scheduled_events:write")), is_true(body.get("revoked", True))
    with sandbox.store.transaction():
        others = set(sandbox.store.setting("revoked_scopes", [])) - {scope}
        revoked = sorted(others | {scope} if is_revoked else others)
        sandbox.store.set_setting("revoked_scopes", revoked)
    message = "The scope is revoked." if is_revoked else "The scope is granted again."
    return answer({"revoked_scopes": revoked}, message, "faults")


@blueprint.post("/oauth/<user>/revoke")
def revoke_grants(user: str) -> Response:
    """Revoke the app's access to a builder, or (``expire``) let only its access tokens expire early."""
    sandbox, expire = current_sandbox(), is_true(request_values().get("expire", False))
    with sandbox.store.transaction():
        grants = sandbox.store.all("oauth_token", user=user)
        for grant in grants:
            if not expire:
                grant["revoked"] = True
            elif grant["type"] == "access":
                grant["expires_at"] = 0
            sandbox.store.put("oauth_token", grant["id"], grant)
    return answer({"tokens": len(grants)}, "Done.", "faults")
