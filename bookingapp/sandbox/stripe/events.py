"""Stripe's events: stored for the API, and sent to the endpoints that want them."""

from __future__ import annotations

import json

from flask import g, has_request_context, request

from bookingapp.sandbox.clock import epoch, new_token
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.objects import API_VERSION, public

# Stripe changelog, 2024-10-28.acacia: before, only charge.refund.updated tells of refunds of cards.
REFUND_EVENTS = frozenset(("refund.created", "refund.updated", "refund.failed"))
REFUND_EVENTS_SINCE = "2024-10-28"


def publish_event(sandbox: Sandbox, name: str, document: Document) -> list[str]:
    """Store an event with an object's current state, and enqueue it; the ids of its deliveries.

    An endpoint gets it in its own API version (Stripe API reference, The Event object, ``api_version``).
    """
    endpoints = [
        endpoint
        for endpoint in sandbox.store.all("webhook_endpoint", status="enabled")
        if "*" in endpoint["enabled_events"] or name in endpoint["enabled_events"]
        if not (name in REFUND_EVENTS and (endpoint["api_version"] or API_VERSION) < REFUND_EVENTS_SINCE)
    ]
    event = {
        "id": f"evt_1{new_token(23)}",
        "object": "event",
        "api_version": API_VERSION,
        "created": epoch(),
        "data": {"object": public(document)},
        "livemode": False,
        "pending_webhooks": len(endpoints),
        "request": _causing_request(),
        "type": name,
    }
    sandbox.store.put("stripe_event", str(event["id"]), event)
    queued = []
    for endpoint in endpoints:
        body = {**event, "api_version": endpoint["api_version"] or API_VERSION}
        row = sandbox.deliveries.enqueue(
            provider="stripe",
            target=endpoint["id"],
            url=endpoint["url"],
            event=name,
            about=document["id"],
            body=json.dumps(body, indent=2),
        )
        queued.append(row["id"])
    return queued


def _causing_request() -> Document:
    # Events that customers and dashboards cause have no request.
    if not has_request_context() or "stripe_request_id" not in g:
        return {"id": None, "idempotency_key": None}
    return {"id": g.stripe_request_id, "idempotency_key": request.headers.get("Idempotency-Key")}
