"""The demo accounts: one organization, its platform user, three builders and their event types."""

from __future__ import annotations

from typing import Any

from bookingapp.sandbox.clock import epoch, new_token, new_uuid, now_iso
from bookingapp.sandbox.config import SandboxConfig
from bookingapp.sandbox.store import Document, Store

ORGANIZATION_ID = "SBXORG0000000001"
PLATFORM_USER_ID = "SBXPLATFORM00001"
CREATED_AT = "2026-01-05T09:00:00.000000Z"
API_VERSION = "2026-10-28.endive"
CALENDLY_EVENTS = [
    "invitee.created",
    "invitee.canceled",
    "invitee_no_show.created",
    "invitee_no_show.deleted",
    "event_type.created",
    "event_type.updated",
    "event_type.deleted",
]

_DEEP_DIVE_HTML = (
    "<p>Bring one hard problem and leave with a plan:</p>"
    "<ul><li>We read your code or your notes together</li><li>We find the part that hurts</li>"
    "<li>You leave with <strong>three next steps</strong></li></ul>"
    "<script>document.title = 'This script must never run'</script>"
    '<p onclick="alert(\'nor this one\')" style="position:fixed;inset:0;background:#f00">'
    'Questions? <a href="javascript:alert(1)">Ask</a> or read '
    '<a href="https://example.com/notes">my notes</a>.</p>'
)
_DEEP_DIVE_PLAIN = (
    "Bring one hard problem and leave with a plan: we read your code or your notes together, "
    "find the part that hurts, and you leave with three next steps."
)


def _user(identifier: str, name: str, slug: str, timezone: str, email: str) -> Document:
    return {"id": identifier, "name": name, "slug": slug, "timezone": timezone, "email": email}


_USERS = [
    _user(PLATFORM_USER_ID, "Booking Platform", "booking-platform", "UTC", "platform@example.com"),
    _user("SBXADAOKONKWO001", "Ada Okonkwo", "ada-okonkwo", "Europe/London", "ada@example.com"),
    _user("SBXKENJIMORI0002", "Kenji Mori", "kenji-mori", "Asia/Tokyo", "kenji@example.com"),
    _user("SBXMAYALINDQV003", "Maya Lindqvist", "maya-lindqvist", "Europe/Stockholm", "maya@example.com"),
]

_EVENT_TYPES: list[dict[str, Any]] = [
    {
        "user": "SBXADAOKONKWO001",
        "id": "ETADACONSULT0030",
        "name": "30 Minute Consultation",
        "slug": "30-minute-consultation",
        "duration": 30,
        "color": "#0069ff",
        "plain": "A focused half hour on one question. Send a line about it beforehand.",
    },
    {
        "user": "SBXADAOKONKWO001",
        "id": "ETADACONSULT0060",
        "name": "60 Minute Consultation",
        "slug": "60-minute-consultation",
        "duration": 60,
        "color": "#00a2ae",
        "plain": "An hour to look at your project together and decide what comes next.",
    },
    {
        "user": "SBXADAOKONKWO001",
        "id": "ETADADEEPDIVE090",
        "name": "90 Minute Deep Dive",
        "slug": "90-minute-deep-dive",
        "duration": 90,
        "color": "#8247f5",
        "plain": _DEEP_DIVE_PLAIN,
        "html": _DEEP_DIVE_HTML,
    },
    {
        "user": "SBXADAOKONKWO001",
        "id": "ETADAGETSTART030",
        "name": "Getting Started \N{EN DASH} Individuals",
        "slug": "getting-started-individuals",
        "duration": 30,
        "color": "#17a34a",
        "plain": "New here? A free first conversation about what you want to build.",
    },
    {
        "user": "SBXADAOKONKWO001",
        "id": "ETADAOFFICEHR045",
        "name": "Office Hours",
        "slug": "office-hours",
        "duration": 45,
        "color": "#e55cff",
        "plain": "An open door for people I already work with.",
    },
    {
        "user": "SBXKENJIMORI0002",
        "id": "ETKENJICONSUL060",
        "name": "60 Minute Consultation",
        "slug": "60-minute-consultation",
        "duration": 60,
        "color": "#0069ff",
        "plain": "An hour on architecture, tooling or the first release of your app.",
    },
    {
        "user": "SBXKENJIMORI0002",
        "id": "ETKENJIREVIEW030",
        "name": "Code Review of Your App",
        "slug": "code-review-of-your-app",
        "duration": 30,
        "color": "#ff4f00",
        "plain": "I read a part of your code beforehand; we talk through what I found.",
    },
    {
        "user": "SBXKENJIMORI0002",
        "id": "ETKENJISTART0015",
        "name": "Getting Started \N{EN DASH} Businesses",
        "slug": "getting-started-businesses",
        "duration": 30,
        "color": "#17a34a",
        "plain": "A free conversation about what your team needs.",
    },
    {
        "user": "SBXKENJIMORI0002",
        "id": "ETKENJIOLDWS0120",
        "name": "Prompting Workshop (2025)",
        "slug": "prompting-workshop-2025",
        "duration": 120,
        "color": "#ffa600",
        "active": False,
        "plain": "Last year's workshop. Thank you to everyone who came.",
    },
    {
        "user": "SBXMAYALINDQV003",
        "id": "ETMAYAGRPHALF240",
        "name": "Group Build \N{EN DASH} Half Day",
        "slug": "group-build-half-day",
        "duration": 240,
        "color": "#8247f5",
        "kind": "group",
        "seats": 8,
        "plain": "Up to eight people build something small together in one morning or afternoon.",
    },
    {
        "user": "SBXMAYALINDQV003",
        "id": "ETMAYAGRPFULL480",
        "name": "Group Build \N{EN DASH} Full Day",
        "slug": "group-build-full-day",
        "duration": 480,
        "color": "#0069ff",
        "kind": "group",
        "seats": 8,
        "plain": "Up to eight people, one day, one working thing at the end of it.",
    },
    {
        "user": "SBXMAYALINDQV003",
        "id": "ETMAYABACKWORK15",
        "name": "Back to Work Session",
        "slug": "back-to-work-session",
        "duration": 15,
        "color": "#17a34a",
        "plain": "A free quarter of an hour to get unstuck and carry on.",
    },
    {
        "user": "SBXMAYALINDQV003",
        "id": "ETMAYACONSULT060",
        "name": "60 Minute Consultation",
        "slug": "60-minute-consultation",
        "duration": 60,
        "color": "#00a2ae",
        "redirect": True,
        "plain": "An hour on your plan, your prototype or your next hire.",
    },
]


def seed(store: Store, config: SandboxConfig) -> None:
    """Fill an empty store; a store that was filled before is left as it is."""
    with store.transaction():
        if store.get("user", PLATFORM_USER_ID) is None:
            for user in _USERS if config.seed_demo else _USERS[:1]:
                store.put("user", user["id"], {**user, "created_at": CREATED_AT, "updated_at": CREATED_AT})
            for position, entry in enumerate(_EVENT_TYPES if config.seed_demo else []):
                document = event_type_document(position=position, **entry)
                if entry.get("redirect"):
                    document["redirect_url"] = f"{config.app_url}/bookings/scheduled"
                store.put("event_type", document["id"], document)
        if not store.all("webhook_endpoint"):
            endpoint_id = f"we_{new_token(24)}"
            store.put(
                "webhook_endpoint",
                endpoint_id,
                {
                    "id": endpoint_id,
                    "url": f"{config.app_url}/webhooks/stripe",
                    "secret": config.stripe_webhook_secret,
                    "enabled_events": ["*"],
                    "api_version": API_VERSION,
                    "created": epoch(),
                    "description": "The booking app, known from the start",
                    "metadata": {},
                    "status": "enabled",
                },
            )
        if config.auto_subscribe and not store.all("subscription"):
            subscribe_app(store, config)


def subscribe_app(store: Store, config: SandboxConfig) -> None:
    """The subscription that the booking app would otherwise make through the API."""
    identifier, now = new_uuid(), now_iso()
    store.put(
        "subscription",
        identifier,
        {
            "id": identifier,
            "callback_url": f"{config.app_url}/webhooks/calendly",
            "events": CALENDLY_EVENTS,
            "scope": "organization",
            "user": None,
            "group": None,
            "creator": PLATFORM_USER_ID,
            "signing_key": config.calendly_signing_key,
            "state": "active",
            "retry_started_at": None,
            "created_at": now,
            "updated_at": now,
        },
    )


def event_type_document(
    *,
    user: str,
    id: str,  # noqa: A002 - the field's own name.
    name: str,
    slug: str,
    duration: int,
    position: int = 0,
    color: str = "#0069ff",
    plain: str = "",
    html: str | None = None,
    kind: str = "solo",
    seats: int = 1,
    active: bool = True,
    redirect: bool = False,
) -> Document:
    """One event type as it is stored; ``duration`` in minutes, ``seats`` only matter to group types."""
    del redirect  # The address is the sandbox's to fill in: it depends on where the app lives.
    return {
        "id": id,
        "user": user,
        "name": name,
        "slug": slug,
        "duration": duration,
        "position": position,
        "color": color,
        "description_plain": plain,
        "description_html": html or f"<p>{plain}</p>",
        "kind": kind,
        "seats": seats,
        "active": active,
        "secret": False,
        "redirect_url": None,
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
        "deleted_at": None,
    }
