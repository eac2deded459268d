"""Calendly's webhooks: which subscriptions hear of a happening, and in what envelope."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bookingapp.sandbox.calendly.objects import event_type_resource, invitee_payload, uri
from bookingapp.sandbox.clock import to_iso, utcnow

if TYPE_CHECKING:
    from bookingapp.sandbox.context import Sandbox
    from bookingapp.sandbox.store import Document


def announce_invitee(sandbox: Sandbox, name: str, invitee: Document) -> None:
    """Tell the subscribers of ``invitee.created``, ``invitee.canceled`` or ``invitee_no_show.*``."""
    event = sandbox.store.get("event", invitee["event"])
    host = event["user"] if event else ""
    _announce(sandbox, name, invitee_payload(sandbox, invitee), host, invitee["id"])


def announce_event_type(sandbox: Sandbox, name: str, event_type: Document) -> None:
    """Tell the subscribers of ``event_type.created``, ``.updated`` or ``.deleted``."""
    _announce(sandbox, name, event_type_resource(sandbox, event_type), event_type["user"], event_type["id"])


def _announce(sandbox: Sandbox, name: str, payload: Document, host: str, about: str) -> None:
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
