"""Stored documents rendered as Calendly's API resources and webhook payloads, and the form of a stored event type."""

from __future__ import annotations

from datetime import timedelta

from bookingapp.sandbox.clock import parse_instant, utcnow
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document

ORGANIZATION_ID = "SBXORG0000000001"
PLATFORM_USER_ID = "SBXPLATFORM00001"
CREATED_AT = "2026-01-05T09:00:00.000000Z"
# At first the join URL of a conference is a placeholder, as in real invitee.created deliveries.
CONFERENCE_DELAY = timedelta(seconds=2)
DEFAULT_PLACES: list[Document] = [{"kind": "google_conference"}]
QUESTION = "Please share anything that will help prepare for our meeting."
TRACKING_KEYS = ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")


def uri(sandbox: Sandbox, *segments: str) -> str:
    """The full URI of a resource (Calendly docs, API Conventions)."""
    return "/".join((sandbox.config.calendly_api, *segments))


def organization_uri(sandbox: Sandbox) -> str:
    """The URI of the one organization."""
    return uri(sandbox, "organizations", ORGANIZATION_ID)


def new_event_type(
    *,
    user: str,
    identifier: str,
    name: str,
    slug: str,
    duration: int,
    position: int,
    color: str = "#0069ff",
    description: str = "",
    kind: str = "solo",
    seats: int = 1,
) -> Document:
    """An event type as it is stored; ``duration`` in minutes, ``seats`` only matters for group types."""
    return {
        "id": identifier,
        "user": user,
        "name": name,
        "slug": slug,
        "duration": duration,
        "position": position,
        "color": color,
        "description_plain": description,
        "description_html": f"<p>{description}</p>",
        "kind": kind,
        "seats": seats,
        "active": True,
        "secret": False,
        "redirect_url": None,
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
        "deleted_at": None,
    }


def copied(document: Document, names: str) -> Document:
    """The fields that are shown as they are stored; ``names`` is separated by spaces."""
    return {name: document[name] for name in names.split()}


def user_resource(sandbox: Sandbox, user: Document) -> Document:
    """``User`` (Calendly API reference, Get user)."""
    return {
        **copied(user, "name slug email timezone created_at updated_at"),
        "uri": uri(sandbox, "users", user["id"]),
        "scheduling_url": f"{sandbox.config.base_url}/{user['slug']}",
        "time_notation": "24h",
        "avatar_url": None,
        "current_organization": organization_uri(sandbox),
        "resource_type": "User",
        "locale": "en",
    }


def membership_resource(sandbox: Sandbox, user: Document) -> Document:
    """``OrganizationMembership`` (Calendly API reference, List Organization Memberships)."""
    is_owner = user["id"] == PLATFORM_USER_ID
    return {
        **copied(user, "created_at updated_at"),
        "uri": uri(sandbox, "organization_memberships", user["id"]),
        "role": "owner" if is_owner else "user",
        "organization": organization_uri(sandbox),
        "user": {
            name: value
            for name, value in user_resource(sandbox, user).items()
            if name not in ("current_organization", "resource_type")
        },
    }


def event_type_resource(sandbox: Sandbox, event_type: Document) -> Document:
    """``EventType`` (Calendly API reference, Get Event Type), also the payload of event_type.* webhooks."""
    owner = sandbox.store.get("user", event_type["user"]) or {
        "name": "",
        "slug": "",
        "id": event_type["user"],
    }
    return {
        **copied(event_type, "name active slug duration kind color secret position"),
        **copied(event_type, "description_plain description_html created_at updated_at deleted_at"),
        "uri": uri(sandbox, "event_types", event_type["id"]),
        "booking_method": event_type.get("booking_method", "instant"),
        "scheduling_url": f"{sandbox.config.base_url}/{owner['slug']}/{event_type['slug']}",
        "duration_options": event_type.get("duration_options"),
        "pooling_type": event_type.get("pooling_type"),
        "type": "StandardEventType",
        "internal_note": None,
        "is_paid": bool(event_type.get("is_paid")),
        "profile": {
            "type": "User",
            "name": owner["name"],
            "owner": uri(sandbox, "users", str(event_type.get("profile_owner", owner["id"]))),
        },
        "admin_managed": False,
        "locations": event_type.get("locations", DEFAULT_PLACES),
        "custom_questions": [
            {
                "type": "text",
                "position": position,
                "enabled": True,
                "required": False,
                "answer_choices": [],
                "include_other": False,
                **question,
            }
            for position, question in enumerate(event_type.get("custom_questions", [{"name": QUESTION}]))
        ],
        "locale": "en",
        "start_time_increment": 30,
        "before_buffer": 0,
        "after_buffer": 0,
    }


def _location(sandbox: Sandbox, event: Document) -> Document | None:
    place = event.get("place", DEFAULT_PLACES[0])
    if event["location"] is None or place is None:
        return None
    if not place["kind"].endswith("_conference"):
        return {"type": place["kind"], "location": place.get("location")}
    # Calendly's schema says ``zoom_conference``, its real bodies ``zoom``.
    kind = "zoom" if place["kind"] == "zoom_conference" else place["kind"]
    if utcnow() - parse_instant(event["created_at"]) < CONFERENCE_DELAY:
        status, path = "processing", f"events/{event['id']}/google_meet"
    else:
        status, path = "pushed", f"meet/{event['location']}"
    link = f"{sandbox.config.base_url}/{path}"
    return {"type": kind, "status": status, "join_url": link, "data": None}


def event_resource(sandbox: Sandbox, event: Document, *, in_webhook: bool = False) -> Document:
    """``Event`` (Calendly API reference, Get Event); a webhook has it without ``calendar_event``."""
    invitees = sandbox.store.all("invitee", event=event["id"])
    host = sandbox.store.get("user", event["user"]) or {"email": "", "name": ""}
    resource: Document = {
        **copied(event, "name status start_time end_time created_at updated_at"),
        "uri": uri(sandbox, "scheduled_events", event["id"]),
        "meeting_notes_plain": None,
        "meeting_notes_html": None,
        "event_type": uri(sandbox, "event_types", event["event_type"]),
        "location": _location(sandbox, event),
        "invitees_counter": {
            "total": len(invitees),
            "active": sum(invitee["status"] == "active" for invitee in invitees),
            "limit": event["seats"],
        },
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
    """``Invitee`` (Calendly API reference, Get Event Invitee)."""
    event = uri(sandbox, "scheduled_events", invitee["event"])
    resource: Document = {
        **copied(invitee, "email name first_name last_name status timezone questions_and_answers tracking"),
        **copied(invitee, "text_reminder_number rescheduled scheduling_method created_at updated_at"),
        "uri": f"{event}/invitees/{invitee['id']}",
        "event": event,
        "old_invitee": uri(sandbox, invitee["old_invitee"]) if invitee["old_invitee"] else None,
        "new_invitee": uri(sandbox, invitee["new_invitee"]) if invitee["new_invitee"] else None,
        "cancel_url": f"{sandbox.config.base_url}/cancellations/{invitee['id']}",
        "reschedule_url": f"{sandbox.config.base_url}/reschedulings/{invitee['id']}",
        "routing_form_submission": None,
        "payment": invitee.get("payment"),
        "no_show": no_show_reference(sandbox, invitee),
        "reconfirmation": None,
        "invitee_scheduled_by": None,
    }
    if invitee["cancellation"] is not None:
        resource["cancellation"] = invitee["cancellation"]
    return resource


def no_show_reference(sandbox: Sandbox, invitee: Document) -> Document | None:
    """``no_show`` of an invitee: its URI and time (Calendly API reference, Get Event Invitee)."""
    mark = invitee["no_show"]
    return mark and {"uri": uri(sandbox, "invitee_no_shows", mark["id"]), "created_at": mark["created_at"]}


def invitee_payload(sandbox: Sandbox, invitee: Document) -> Document:
    """The payload of invitee.* and invitee_no_show.*: the invitee with its event (Calendly docs, Webhook Payload)."""
    event = sandbox.store.get("event", invitee["event"])
    inside = event and event_resource(sandbox, event, in_webhook=True)
    return {**invitee_resource(sandbox, invitee), "scheduled_event": inside}
