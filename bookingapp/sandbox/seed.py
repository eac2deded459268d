"""The demo data: a platform user, three builders and one who is still to come, their event types, and the app's webhook
subscriptions.
"""

from __future__ import annotations

import re

from bookingapp.sandbox.calendly.objects import CREATED_AT, PLATFORM_USER_ID, new_event_type
from bookingapp.sandbox.calendly.webhooks import subscribe_app
from bookingapp.sandbox.config import SandboxConfig
from bookingapp.sandbox.store import Document, Store
from bookingapp.sandbox.stripe.objects import new_webhook_endpoint

_ADA, _KENJI, _MAYA = "SBXADAOKONKWO001", "SBXKENJIMORI0002", "SBXMAYALINDQV003"
# In Calendly only: an account to become a builder with.
_NOOR = "SBXNOORHADDAD004"
_BLUE, _TEAL, _PURPLE, _GREEN = "#0069ff", "#00a2ae", "#8247f5", "#17a34a"

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
_REVIEW_QUESTIONS: list[Document] = [
    {"name": "Which part should I read, and what worries you about it?", "required": True},
    {
        "name": "What is it built with?",
        "type": "single_select",
        "answer_choices": ["Flask", "Django", "FastAPI"],
        "include_other": True,
    },
    {"name": "Your phone number, in case the call drops", "type": "phone_number"},
]
_MEETING_PLACES: list[Document] = [
    {"kind": "google_conference"},
    {"kind": "outbound_call"},
    {"kind": "physical", "location": "Rosenlundsgatan 12, Stockholm"},
]


def _user(identifier: str, name: str, timezone: str, email: str) -> Document:
    times = {"created_at": CREATED_AT, "updated_at": CREATED_AT}
    return {
        "id": identifier,
        "name": name,
        "slug": _slug(name),
        "timezone": timezone,
        "email": email,
        **times,
    }


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


_PLATFORM = _user(PLATFORM_USER_ID, "Booking Platform", "UTC", "platform@example.com")
_BUILDERS = [
    _user(_ADA, "Ada Okonkwo", "Europe/London", "ada@example.com"),
    _user(_KENJI, "Kenji Mori", "Asia/Tokyo", "kenji@example.com"),
    _user(_MAYA, "Maya Lindqvist", "Europe/Stockholm", "maya@example.com"),
    _user(_NOOR, "Noor Haddad", "Europe/Berlin", "noor@example.com"),
]
# Owner, identifier, name, minutes, color, description, and what differs from a plain type.
_EVENT_TYPES: list[tuple[str, str, str, int, str, str, Document]] = [
    (_ADA, "ETADACONSULT0030", "30 Minute Consultation", 30, _BLUE,
     "A focused half hour on one question. Send a line about it beforehand.", {}),
    (_ADA, "ETADACONSULT0060", "60 Minute Consultation", 60, _TEAL,
     "An hour to review your project together and decide what comes next.", {}),
    (_ADA, "ETADADEEPDIVE090", "90 Minute Deep Dive", 90, _PURPLE, _DEEP_DIVE_PLAIN,
     {"description_html": _DEEP_DIVE_HTML}),
    (_ADA, "ETADAGETSTART030", "Getting Started \N{EN DASH} Individuals", 30, _GREEN,
     "New here? A free first conversation about what you want to build.", {}),
    (_ADA, "ETADAOFFICEHR045", "Office Hours", 45, "#e55cff", "An open door for people I already work with.", {}),
    (_KENJI, "ETKENJICONSUL060", "60 Minute Consultation", 60, _BLUE,
     "An hour on architecture, tooling or the first release of your app.", {}),
    (_KENJI, "ETKENJIREVIEW030", "Code Review of Your App", 30, "#ff4f00",
     "I read a part of your code beforehand; we talk through what I found.", {"custom_questions": _REVIEW_QUESTIONS}),
    (_KENJI, "ETKENJISTART0015", "Getting Started \N{EN DASH} Businesses", 30, _GREEN,
     "A free conversation about what your team needs.", {}),
    (_KENJI, "ETKENJIOLDWS0120", "Prompting Workshop (2025)", 120, "#ffa600",
     "Last year's workshop. Thank you to everyone who came.", {"active": False}),
    (_MAYA, "ETMAYAGRPHALF240", "Group Build \N{EN DASH} Half Day", 240, _PURPLE,
     "Up to eight people build something small together in one morning or afternoon.",
     {"kind": "group", "seats": 8}),
    (_MAYA, "ETMAYAGRPFULL480", "Group Build \N{EN DASH} Full Day", 480, _BLUE,
     "Up to eight people, one day, one working thing at the end of it.", {"kind": "group", "seats": 8}),
    (_MAYA, "ETMAYABACKWORK15", "Back to Work Session", 15, _GREEN,
     "A free quarter of an hour to get unstuck and carry on.", {}),
    (_MAYA, "ETMAYACONSULT060", "60 Minute Consultation", 60, _TEAL,
     "An hour on your plan, your prototype or your next hire.",
     {"redirect_url": "/bookings/scheduled", "locations": _MEETING_PLACES}),
    (_NOOR, "ETNOORFIRSTHR060", "First Hour", 60, _TEAL, "We build the smallest thing that works.", {}),
    (_NOOR, "ETNOORHELLO00015", "A First Hello", 15, _GREEN, "A quarter of an hour to get to know each other.", {}),
]  # fmt: skip


def seed(store: Store, config: SandboxConfig) -> None:
    """Add what is missing from a store: the accounts, the app's Stripe endpoint and its Calendly subscription."""
    with store.transaction():
        if store.get("user", PLATFORM_USER_ID) is None:
            store.put("user", PLATFORM_USER_ID, _PLATFORM)
            if config.seed_demo:
                _seed_builders(store, config)
        if not store.all("webhook_endpoint"):
            endpoint = new_webhook_endpoint(
                f"{config.app_url}/webhooks/stripe",
                ["*"],
                secret=config.stripe_webhook_secret,
                description="The booking app, known from the start",
            )
            store.put("webhook_endpoint", endpoint["id"], endpoint)
        if config.auto_subscribe and not store.all("subscription"):
            subscribe_app(store, config)


def _seed_builders(store: Store, config: SandboxConfig) -> None:
    for user in _BUILDERS:
        store.put("user", user["id"], user)
    for position, (owner, identifier, name, duration, color, description, more) in enumerate(_EVENT_TYPES):
        document = new_event_type(
            user=owner,
            identifier=identifier,
            name=name,
            slug=_slug(name),
            duration=duration,
            position=position,
            color=color,
            description=description,
        )
        document.update(more)
        if document["redirect_url"]:
            document["redirect_url"] = f"{config.app_url}{document['redirect_url']}"
        store.put("event_type", identifier, document)
