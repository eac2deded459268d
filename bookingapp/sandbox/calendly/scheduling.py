"""What can happen to a booking at Calendly's: made, canceled, moved, not attended."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bookingapp.sandbox.calendly.availability import is_free
from bookingapp.sandbox.calendly.objects import TRACKING_KEYS
from bookingapp.sandbox.calendly.webhooks import announce_invitee
from bookingapp.sandbox.clock import new_token, new_uuid, now_iso, parse_instant, to_iso, utcnow

if TYPE_CHECKING:
    from bookingapp.sandbox.context import Sandbox
    from bookingapp.sandbox.store import Document


class SchedulingError(Exception):
    """Why a booking cannot be made or changed, in words for a person."""


class SlotTakenError(SchedulingError):
    """The time is not free, or no longer."""


class AlreadyCanceledError(SchedulingError):
    """There is nothing left to cancel."""


class PastEventError(SchedulingError):
    """The event has begun."""


@dataclass(frozen=True, slots=True)
class Guest:
    """The person who books, as they describe themselves."""

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


def book(
    sandbox: Sandbox,
    event_type: Document,
    start: datetime,
    guest: Guest,
    *,
    at_any_time: bool = False,
    single_use_code: str | None = None,
) -> Document:
    """Book one place and tell the subscribers; the stored invitee.

    Raises:
        SlotTakenError: the time is not free (never with ``at_any_time``), or the link was used.
    """
    with sandbox.store.transaction():
        if single_use_code is not None:
            link = sandbox.store.get("scheduling_link", single_use_code)
            if link is None or link["used"]:
                message = "This link was good for one booking, and that booking has been made."
                raise SlotTakenError(message)
            sandbox.store.put("scheduling_link", single_use_code, {**link, "used": True})
        if not at_any_time and not is_free(sandbox, event_type, start):
            message = "That time is no longer available. Please choose another one."
            raise SlotTakenError(message)
        invitee = _place(sandbox, event_type, start, guest)
        announce_invitee(sandbox, "invitee.created", invitee)
    return invitee


def cancel_invitee(sandbox: Sandbox, invitee_id: str, reason: str | None) -> Document:
    """The invitee cancels for themselves; the other people of a group stay.

    Raises:
        AlreadyCanceledError: it was canceled before.
        PastEventError: it has begun.
    """
    with sandbox.store.transaction():
        invitee = _active_invitee(sandbox, invitee_id)
        _cancel(sandbox, invitee, _cancellation(invitee["name"], reason, "invitee"))
        announce_invitee(sandbox, "invitee.canceled", invitee)
    return invitee


def cancel_event(sandbox: Sandbox, event_id: str, canceled_by: str, reason: str | None) -> Document:
    """The host cancels the whole event for everybody; the cancellation.

    Raises:
        AlreadyCanceledError: it was canceled before.
        PastEventError: it has begun.
    """
    with sandbox.store.transaction():
        event = sandbox.store.get("event", event_id)
        if event is None or event["status"] == "canceled":
            message = "Event is already canceled"
            raise AlreadyCanceledError(message)
        if parse_instant(event["start_time"]) <= utcnow():
            message = "Event in the past"
            raise PastEventError(message)
        cancellation = _cancellation(canceled_by, reason, "host")
        event.update(status="canceled", cancellation=cancellation, updated_at=now_iso())
        sandbox.store.put("event", event_id, event)
        for invitee in sandbox.store.all("invitee", event=event_id):
            if invitee["status"] == "active":
                _cancel(sandbox, invitee, cancellation)
                announce_invitee(sandbox, "invitee.canceled", invitee)
    return cancellation


def reschedule(
    sandbox: Sandbox,
    invitee_id: str,
    start: datetime,
    *,
    reason: str | None = None,
    by_host: bool = False,
    at_any_time: bool = False,
) -> Document:
    """Move a booking: the old invitee is canceled, a new one is made on a new event, both are announced.

    Raises:
        SlotTakenError: the new time is not free.
        AlreadyCanceledError: the booking was canceled before.
        PastEventError: it has begun.
    """
    with sandbox.store.transaction():
        old = _active_invitee(sandbox, invitee_id)
        old_event = sandbox.store.get("event", old["event"]) or {}
        event_type = sandbox.store.get("event_type", old_event["event_type"]) or {}
        without = old_event["id"] if old_event["seats"] == 1 else None
        if not at_any_time and not is_free(sandbox, event_type, start, without_event=without):
            message = "That time is no longer available. Please choose another one."
            raise SlotTakenError(message)
        keeps_tracking = sandbox.store.setting("reschedule_keeps_tracking", default=True)
        guest = Guest(
            name=old["name"],
            email=old["email"],
            timezone=old["timezone"],
            first_name=old["first_name"],
            last_name=old["last_name"],
            tracking=old["tracking"] if keeps_tracking else {},
            answers=old["questions_and_answers"],
            text_reminder_number=old["text_reminder_number"],
        )
        host = sandbox.store.get("user", old_event["user"]) or {"name": ""}
        by, canceler = (host["name"], "host") if by_host else (old["name"], "invitee")
        _cancel(sandbox, old, _cancellation(by, reason, canceler))
        new = _place(sandbox, event_type, start, guest)
        new["old_invitee"] = _path(old)
        old.update(rescheduled=True, new_invitee=_path(new))
        sandbox.store.put("invitee", old["id"], old)
        sandbox.store.put("invitee", new["id"], new)
        announce_invitee(sandbox, "invitee.canceled", old)
        announce_invitee(sandbox, "invitee.created", new)
    return new


def mark_no_show(sandbox: Sandbox, invitee_id: str) -> Document | None:
    """Note that an invitee did not come; the invitee, or None if there is none such."""
    with sandbox.store.transaction():
        invitee = sandbox.store.get("invitee", invitee_id)
        if invitee is not None and invitee["no_show"] is None:
            invitee["no_show"] = {"id": new_uuid(), "created_at": now_iso()}
            invitee["updated_at"] = now_iso()
            sandbox.store.put("invitee", invitee_id, invitee)
            announce_invitee(sandbox, "invitee_no_show.created", invitee)
    return invitee


def unmark_no_show(sandbox: Sandbox, invitee: Document) -> None:
    """Take the note back; the webhook still names the note that is gone."""
    with sandbox.store.transaction():
        announce_invitee(sandbox, "invitee_no_show.deleted", invitee)
        sandbox.store.put("invitee", invitee["id"], {**invitee, "no_show": None, "updated_at": now_iso()})


def _path(invitee: Document) -> str:
    return f"scheduled_events/{invitee['event']}/invitees/{invitee['id']}"


def _cancellation(by: str, reason: str | None, canceler_type: str) -> Document:
    return {"canceled_by": by, "reason": reason, "canceler_type": canceler_type, "created_at": now_iso()}


def _active_invitee(sandbox: Sandbox, invitee_id: str) -> Document:
    invitee = sandbox.store.get("invitee", invitee_id)
    if invitee is None or invitee["status"] == "canceled":
        message = "This booking is already canceled."
        raise AlreadyCanceledError(message)
    event = sandbox.store.get("event", invitee["event"])
    if event is None or parse_instant(event["start_time"]) <= utcnow():
        message = "This session has begun, so it can no longer be changed."
        raise PastEventError(message)
    return invitee


def _cancel(sandbox: Sandbox, invitee: Document, cancellation: Document) -> None:
    invitee.update(status="canceled", cancellation=cancellation, updated_at=now_iso())
    sandbox.store.put("invitee", invitee["id"], invitee)
    event = sandbox.store.get("event", invitee["event"])
    others = [
        other for other in sandbox.store.all("invitee", event=invitee["event"]) if other["status"] == "active"
    ]
    if event is not None and event["status"] == "active" and not others:
        event.update(status="canceled", cancellation=cancellation, updated_at=now_iso())
        sandbox.store.put("event", event["id"], event)


def _place(sandbox: Sandbox, event_type: Document, start: datetime, guest: Guest) -> Document:
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
        "guests": guest.event_guests,
        "seats": event_type["seats"],
        "cancellation": None,
        "created_at": now,
        "updated_at": now,
    }
    sandbox.store.put("event", str(event["id"]), event)
    return event
