"""Stored documents in the shapes of Calendly's API v2 and of its webhook payloads."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bookingapp.sandbox.clock import parse_instant, utcnow
from bookingapp.sandbox.seed import ORGANIZATION_ID

if TYPE_CHECKING:
    from bookingapp.sandbox.context import Sandbox
    from bookingapp.sandbox.store import Document

# A conference link is a placeholder at first; the final one is there when the event is read again later.
CONFERENCE_DELAY = timedelta(seconds=2)
QUESTION = "Please share anything that will help prepare for our meeting."
TRACKING_KEYS = ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")


def uri(sandbox: Sandbox, *segments: str) -> str:
    """The full URI of a resource."""
    return "/".join((sandbox.config.calendly_api, *segments))


def organization_uri(sandbox: Sandbox) -> str:
    """The one organization."""
    return uri(sandbox, "organizations", ORGANIZATION_ID)


def optional_uri(sandbox: Sandbox, path: str | None) -> str | None:
    """A stored path as a full URI, or None."""
    return None if path is None else uri(sandbox, path)


def user_resource(sandbox: Sandbox, user: Document) -> Document:
    """``User``, as of GET /users/{uuid}."""
    return {
        "uri": uri(sandbox, "users", user["id"]),
        "name": user["name"],
        "slug": user["slug"],
        "email": user["email"],
        "scheduling_url": f"{sandbox.config.base_url}/{user['slug']}",
        "timezone": user["timezone"],
        "time_notation": "24h",
        "avatar_url": None,
        "created_at": user["created_at"],
        "updated_at": user["updated_at"],
        "current_organization": organization_uri(sandbox),
        "resource_type": "User",
        "locale": "en",
    }


def event_type_resource(sandbox: Sandbox, event_type: Document) -> Document:
    """``EventType``, as of GET /event_types/{uuid} and of event_type.* webhooks."""
    owner = sandbox.store.get("user", event_type["user"]) or {
        "name": "",
        "slug": "",
        "id": event_type["user"],
    }
    return {
        "uri": uri(sandbox, "event_types", event_type["id"]),
        "name": event_type["name"],
        "active": event_type["active"],
        "booking_method": event_type.get("booking_method", "instant"),
        "slug": event_type["slug"],
        "scheduling_url": f"{sandbox.config.base_url}/{owner['slug']}/{event_type['slug']}",
        "duration": event_type["duration"],
        "duration_options": event_type.get("duration_options"),
        "kind": event_type["kind"],
        "pooling_type": None,
        "type": "StandardEventType",
        "color": event_type["color"],
        "created_at": event_type["created_at"],
        "updated_at": event_type["updated_at"],
        "deleted_at": event_type["deleted_at"],
        "internal_note": None,
        "is_paid": bool(event_type.get("is_paid")),
        "description_plain": event_type["description_plain"],
        "description_html": event_type["description_html"],
        "profile": {"type": "User", "name": owner["name"], "owner": uri(sandbox, "users", owner["id"])},
        "secret": event_type["secret"],
        "admin_managed": False,
        "locations": event_type.get("locations", [{"kind": "google_conference"}]),
        "position": event_type["position"],
        "custom_questions": [
            {
                "name": QUESTION,
                "type": "text",
                "position": 0,
                "enabled": True,
                "required": False,
                "answer_choices": [],
                "include_other": False,
            }
        ],
        "locale": "en",
        "start_time_increment": 30,
        "before_buffer": 0,
        "after_buffer": 0,
    }


def location(sandbox: Sandbox, event: Document) -> Document | None:
    """Where an event takes place: a conference that is still being made for its first two seconds."""
    if event["location"] is None:
        return None
    if utcnow() - parse_instant(event["created_at"]) < CONFERENCE_DELAY:
        link = f"{sandbox.config.base_url}/events/{event['id']}/google_meet"
        return {"type": "google_conference", "status": "processing", "join_url": link, "data": None}
    link = f"{sandbox.config.base_url}/meet/{event['location']}"
    return {"type": "google_conference", "status": "pushed", "join_url": link, "data": None}


def event_resource(sandbox: Sandbox, event: Document, *, in_webhook: bool = False) -> Document:
    """``Event``, as of GET /scheduled_events/{uuid}; a webhook leaves ``calendar_event`` out."""
    invitees = sandbox.store.all("invitee", event=event["id"])
    host = sandbox.store.get("user", event["user"]) or {"email": "", "name": ""}
    resource: Document = {
        "uri": uri(sandbox, "scheduled_events", event["id"]),
        "name": event["name"],
        "meeting_notes_plain": None,
        "meeting_notes_html": None,
        "status": event["status"],
        "start_time": event["start_time"],
        "end_time": event["end_time"],
        "event_type": uri(sandbox, "event_types", event["event_type"]),
        "location": location(sandbox, event),
        "invitees_counter": {
            "total": len(invitees),
            "active": sum(invitee["status"] == "active" for invitee in invitees),
            "limit": event["seats"],
        },
        "created_at": event["created_at"],
        "updated_at": event["updated_at"],
        "event_memberships": [
            {
                "user": uri(sandbox, "users", event["user"]),
                "user_email": host["email"],
                "user_name": host["name"],
                "buffered_start_time": event["start_time"],
                "buffered_end_time": event["end_time"],
            }
        ],
        "event_guests": [
            {"email": guest, "created_at": event["created_at"], "updated_at": event["created_at"]}
            for guest in event["guests"]
        ],
    }
    if not in_webhook:
        resource["calendar_event"] = {"kind": "google", "external_id": event["id"].replace("-", "")}
    if event["cancellation"] is not None:
        resource["cancellation"] = event["cancellation"]
    return resource


def invitee_resource(sandbox: Sandbox, invitee: Document) -> Document:
    """``Invitee``, as of GET /scheduled_events/{event}/invitees/{invitee}."""
    event = uri(sandbox, "scheduled_events", invitee["event"])
    resource: Document = {
        "uri": f"{event}/invitees/{invitee['id']}",
        "event": event,
        "email": invitee["email"],
        "name": invitee["name"],
        "first_name": invitee["first_name"],
        "last_name": invitee["last_name"],
        "status": invitee["status"],
        "timezone": invitee["timezone"],
        "questions_and_answers": invitee["questions_and_answers"],
        "tracking": invitee["tracking"],
        "text_reminder_number": invitee["text_reminder_number"],
        "rescheduled": invitee["rescheduled"],
        "old_invitee": optional_uri(sandbox, invitee["old_invitee"]),
        "new_invitee": optional_uri(sandbox, invitee["new_invitee"]),
        "cancel_url": f"{sandbox.config.base_url}/cancellations/{invitee['id']}",
        "reschedule_url": f"{sandbox.config.base_url}/reschedulings/{invitee['id']}",
        "routing_form_submission": None,
        "payment": invitee.get("payment"),
        "no_show": no_show_reference(sandbox, invitee),
        "reconfirmation": None,
        "scheduling_method": invitee["scheduling_method"],
        "invitee_scheduled_by": None,
        "created_at": invitee["created_at"],
        "updated_at": invitee["updated_at"],
    }
    if invitee["cancellation"] is not None:
        resource["cancellation"] = invitee["cancellation"]
    return resource


def no_show_reference(sandbox: Sandbox, invitee: Document) -> Document | None:
    """``no_show`` inside an invitee."""
    if invitee["no_show"] is None:
        return None
    return {
        "uri": uri(sandbox, "invitee_no_shows", invitee["no_show"]["id"]),
        "created_at": invitee["no_show"]["created_at"],
    }


def invitee_payload(sandbox: Sandbox, invitee: Document) -> Document:
    """The payload of invitee.* and invitee_no_show.* webhooks: the invitee with its event inside."""
    event = sandbox.store.get("event", invitee["event"])
    inside: dict[str, Any] | None = None if event is None else event_resource(sandbox, event, in_webhook=True)
    return {**invitee_resource(sandbox, invitee), "scheduled_event": inside}
