"""What happens to invitees and their events: scheduled, canceled, rescheduled, marked as a no-show."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bookingapp.sandbox.behavior import current_behavior
from bookingapp.sandbox.calendly.availability import is_free
from bookingapp.sandbox.calendly.objects import DEFAULT_PLACES, TRACKING_KEYS, copied
from bookingapp.sandbox.calendly.webhooks import publish_invitee_event
from bookingapp.sandbox.clock import new_token, new_uuid, now_iso, parse_instant, to_iso, utcnow
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document


class SchedulingError(Exception):
    """Why a booking cannot be made or changed, in words for a person."""


class SlotTakenError(SchedulingError):
    """The time is not free."""


@dataclass(frozen=True, slots=True)
class Guest:
    """The person who books, with their own details and answers; ``place`` is one of the type's, else its first."""

    name: str
    email: str
    timezone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    tracking: dict[str, str | None] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    text_reminder_number: str | None = None
    event_guests: list[str] = field(default_factory=list)
    scheduling_method: str | None = None
    payment: dict[str, Any] | None = None
    place: Document | None = None


def schedule_invitee(
    sandbox: Sandbox,
    event_type: Document,
    start: datetime,
    guest: Guest,
    *,
    at_any_time: bool = False,
    single_use_code: str | None = None,
) -> Document:
    """Create an invitee, with a new event or as one more of a group; the stored invitee.

    Raises:
        SlotTakenError: the time is not free (never with ``at_any_time``), or the link was used.
    """
    with sandbox.store.transaction():
        if single_use_code is not None:
            link = sandbox.store.get("scheduling_link", single_use_code)
            if link is None or link["used"]:
                raise SlotTakenError("This link was for one booking, and that booking has been made.")
            sandbox.store.put("scheduling_link", single_use_code, {**link, "used": True})
        if not at_any_time:
            _require_free(sandbox, event_type, start)
        invitee = _add_invitee(sandbox, event_type, start, guest)
        publish_invitee_event(sandbox, "invitee.created", invitee)
    return invitee


def cancel_invitee(sandbox: Sandbox, invitee_id: str, reason: str | None) -> Document:
    """Cancel one invitee on their own behalf; the other people of a group stay.

    Raises:
        SchedulingError: the booking was canceled before, or has begun.
    """
    with sandbox.store.transaction():
        invitee = _changeable_invitee(sandbox, invitee_id)
        _cancel(sandbox, invitee, _cancellation(invitee["name"], reason, "invitee"))
        publish_invitee_event(sandbox, "invitee.canceled", invitee)
    return invitee


def cancel_event(sandbox: Sandbox, event_id: str, canceled_by: str, reason: str | None) -> Document:
    """Cancel a whole event for all of its invitees, as its host; the cancellation.

    Raises:
        SchedulingError: the event was canceled before, or has begun (Calendly API reference, Cancel Event).
    """
    with sandbox.store.transaction():
        event = sandbox.store.get("event", event_id)
        if event is None or event["status"] == "canceled":
            raise SchedulingError("Event is already canceled")
        if parse_instant(event["start_time"]) <= utcnow():
            raise SchedulingError("Event in the past")
        cancellation = _cancellation(canceled_by, reason, "host")
        event.update(status="canceled", cancellation=cancellation, updated_at=now_iso())
        sandbox.store.put("event", event_id, event)
        for invitee in sandbox.store.all("invitee", event=event_id, status="active"):
            _cancel(sandbox, invitee, cancellation)
            publish_invitee_event(sandbox, "invitee.canceled", invitee)
    return cancellation


def reschedule_invitee(
    sandbox: Sandbox,
    invitee_id: str,
    start: datetime,
    *,
    reason: str | None = None,
    by_host: bool = False,
    at_any_time: bool = False,
) -> Document:
    """Cancel an invitee and create a new one on a new event; the new one (Calendly docs, webhooks of a reschedule).

    Raises:
        SlotTakenError: the new time is not free.
        SchedulingError: the booking was canceled before, or has begun.
    """
    with sandbox.store.transaction():
        old = _changeable_invitee(sandbox, invitee_id)
        old_event = sandbox.store.get("event", old["event"]) or {}
        event_type = sandbox.store.get("event_type", old_event["event_type"]) or {}
        if not at_any_time:
            _require_free(sandbox, event_type, start, moving=old_event)
        guest = Guest(
            **copied(old, "name email timezone first_name last_name text_reminder_number"),
            tracking=old["tracking"] if current_behavior(sandbox.store)["reschedule_keeps_tracking"] else {},
            answers=old["questions_and_answers"],
            place=old_event.get("place"),
        )
        host = sandbox.store.get("user", old_event["user"]) or {"name": ""}
        by, canceler = (host["name"], "host") if by_host else (old["name"], "invitee")
        _cancel(sandbox, old, _cancellation(by, reason, canceler))
        new = _add_invitee(sandbox, event_type, start, guest)
        new["old_invitee"] = _path(old)
        old.update(rescheduled=True, new_invitee=_path(new))
        for invitee in (old, new):
            sandbox.store.put("invitee", invitee["id"], invitee)
        publish_invitee_event(sandbox, "invitee.canceled", old)
        publish_invitee_event(sandbox, "invitee.created", new)
    return new


def mark_no_show(sandbox: Sandbox, invitee_id: str) -> None:
    """Mark an invitee as a no-show, if it is not marked yet."""
    with sandbox.store.transaction():
        invitee = sandbox.store.get("invitee", invitee_id)
        if invitee is not None and invitee["no_show"] is None:
            now = now_iso()
            invitee.update(no_show={"id": new_uuid(), "created_at": now}, updated_at=now)
            sandbox.store.put("invitee", invitee_id, invitee)
            publish_invitee_event(sandbox, "invitee_no_show.created", invitee)


def unmark_no_show(sandbox: Sandbox, invitee_id: str) -> None:
    """Remove the mark of a no-show; the webhook still names the removed mark."""
    with sandbox.store.transaction():
        invitee = sandbox.store.get("invitee", invitee_id)
        if invitee is not None and invitee["no_show"] is not None:
            publish_invitee_event(sandbox, "invitee_no_show.deleted", invitee)
            sandbox.store.put("invitee", invitee_id, {**invitee, "no_show": None, "updated_at": now_iso()})


def _require_free(
    sandbox: Sandbox, event_type: Document, start: datetime, *, moving: Document | None = None
) -> None:
    if not is_free(sandbox, event_type, start, moving=moving):
        raise SlotTakenError("That time is no longer available. Please choose another one.")


def _path(invitee: Document) -> str:
    return f"scheduled_events/{invitee['event']}/invitees/{invitee['id']}"


def _cancellation(by: str, reason: str | None, canceler_type: str) -> Document:
    return {"canceled_by": by, "reason": reason, "canceler_type": canceler_type, "created_at": now_iso()}


def _changeable_invitee(sandbox: Sandbox, invitee_id: str) -> Document:
    invitee = sandbox.store.get("invitee", invitee_id)
    if invitee is None or invitee["status"] == "canceled":
        raise SchedulingError("This booking is already canceled.")
    event = sandbox.store.get("event", invitee["event"])
    if event is None or parse_instant(event["start_time"]) <= utcnow():
        raise SchedulingError("This session has begun, so it can no longer be changed.")
    return invitee


def _cancel(sandbox: Sandbox, invitee: Document, cancellation: Document) -> None:
    """Cancel an invitee, and the event with its last one."""
    invitee.update(status="canceled", cancellation=cancellation, updated_at=now_iso())
    sandbox.store.put("invitee", invitee["id"], invitee)
    event = sandbox.store.get("event", invitee["event"])
    others = sandbox.store.all("invitee", event=invitee["event"], status="active")
    if event is not None and event["status"] == "active" and not others:
        event.update(status="canceled", cancellation=cancellation, updated_at=now_iso())
        sandbox.store.put("event", event["id"], event)


def _add_invitee(sandbox: Sandbox, event_type: Document, start: datetime, guest: Guest) -> Document:
    event = _shared_event(sandbox, event_type, start) or _new_event(sandbox, event_type, start, guest)
    now = now_iso()
    invitee = {
        "id": new_uuid(),
        "event": event["id"],
        "name": guest.name,
        "first_name": guest.first_name,
        "last_name": guest.last_name,
        "email": guest.email,
        "status": "active",
        "timezone": guest.timezone,
        "questions_and_answers": guest.answers,
        "tracking": {key: guest.tracking.get(key) or None for key in TRACKING_KEYS},
        "text_reminder_number": guest.text_reminder_number,
        "rescheduled": False,
        "old_invitee": None,
        "new_invitee": None,
        "cancellation": None,
        "no_show": None,
        "payment": guest.payment,
        "scheduling_method": guest.scheduling_method,
        "created_at": now,
        "updated_at": now,
    }
    sandbox.store.put("invitee", str(invitee["id"]), invitee)
    return invitee


def _shared_event(sandbox: Sandbox, event_type: Document, start: datetime) -> Document | None:
    if event_type["kind"] != "group":
        return None
    same_type = sandbox.store.all("event", event_type=event_type["id"], status="active")
    return next((event for event in same_type if event["start_time"] == to_iso(start)), None)


def _new_event(sandbox: Sandbox, event_type: Document, start: datetime, guest: Guest) -> Document:
    now = now_iso()
    event = {
        "id": new_uuid(),
        "event_type": event_type["id"],
        "user": event_type["user"],
        "name": event_type["name"],
        "status": "active",
        "start_time": to_iso(start),
        "end_time": to_iso(start + timedelta(minutes=event_type["duration"])),
        "location": new_token(10).lower(),
        "place": guest.place or next(iter(event_type.get("locations", DEFAULT_PLACES) or []), None),
        "guests": guest.event_guests,
        "seats": event_type["seats"],
        "cancellation": None,
        "created_at": now,
        "updated_at": now,
    }
    sandbox.store.put("event", str(event["id"]), event)
    return event
