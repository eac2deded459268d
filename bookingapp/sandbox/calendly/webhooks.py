"""Calendly's webhooks: subscriptions as they are stored, and events sent to those that want them."""

from __future__ import annotations

import json

from bookingapp.sandbox.calendly.objects import PLATFORM_USER_ID, event_type_resource, invitee_payload, uri
from bookingapp.sandbox.clock import new_uuid, now_iso, to_iso, utcnow
from bookingapp.sandbox.config import SandboxConfig
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document, Store

# What the app is subscribed to: every event of an organization but routing forms.
APP_EVENTS = [
    "invitee.created",
    "invitee.canceled",
    "invitee_no_show.created",
    "invitee_no_show.deleted",
    "event_type.created",
    "event_type.updated",
    "event_type.deleted",
]


def new_subscription(
    url: str,
    events: list[str],
    signing_key: str | None,
    *,
    scope: str = "organization",
    user: str | None = None,
    creator: str = PLATFORM_USER_ID,
) -> Document:
    """A subscription as it is stored."""
    now = now_iso()
    return {
        "id": new_uuid(),
        "callback_url": url,
        "events": events,
        "scope": scope,
        "user": user,
        "group": None,
        "creator": creator,
        "signing_key": signing_key,
        "state": "active",
        "retry_started_at": None,
        "created_at": now,
        "updated_at": now,
    }


def subscribe_app(store: Store, config: SandboxConfig) -> None:
    """Add the subscription that the booking app otherwise creates through the API."""
    subscription = new_subscription(
        f"{config.app_url}/webhooks/calendly", APP_EVENTS, config.calendly_signing_key
    )
    store.put("subscription", subscription["id"], subscription)


def publish_invitee_event(sandbox: Sandbox, name: str, invitee: Document) -> None:
    """Enqueue ``invitee.created``, ``invitee.canceled`` or ``invitee_no_show.*`` for its subscriptions."""
    event = sandbox.store.get("event", invitee["event"])
    host = event["user"] if event else ""
    _publish(sandbox, name, invitee_payload(sandbox, invitee), host, invitee["id"])


def publish_event_type_event(sandbox: Sandbox, name: str, event_type: Document) -> None:
    """Enqueue ``event_type.created``, ``.updated`` or ``.deleted`` for its subscriptions."""
    _publish(sandbox, name, event_type_resource(sandbox, event_type), event_type["user"], event_type["id"])


def _publish(sandbox: Sandbox, name: str, payload: Document, host: str, about: str) -> None:
    for subscription in sandbox.store.all("subscription", state="active"):
        if name not in subscription["events"]:
            continue
        if subscription["scope"] == "user" and subscription["user"] != host:
            continue
        envelope = {
            "event": name,
            # Real deliveries carry whole seconds here, written with six zeros.
            "created_at": to_iso(utcnow().replace(microsecond=0)),
            "created_by": uri(sandbox, "users", subscription["creator"]),
            "payload": payload,
        }
        sandbox.deliveries.enqueue(
            provider="calendly",
            target=subscription["id"],
            url=subscription["callback_url"],
            event=name,
            about=about,
            body=json.dumps(envelope, separators=(",", ":"), ensure_ascii=False),
        )
