"""Keeping what the providers tell us. A 2xx means that the row is committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from bookingapp.core.db import insert_if_new, transaction
from bookingapp.core.queue import WorkState
from bookingapp.integrations import calendly, stripe_gateway
from bookingapp.integrations.signatures import Verified
from bookingapp.webhooks.models import InboxEvent, Provider

KEPT_HEADERS = ("Content-Type", "User-Agent")
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Identity:
    """What a delivery is about: its type, and the key that all deliveries of one happening share."""

    type: str
    key: str


def identify(provider: Provider, body: bytes) -> Identity:
    """Read a genuine body as far as its identity. One that is not in the published format gets its own digest
    as key: it is kept and ignored, because a 4xx would make the provider give up on us altogether.
    """
    if provider is Provider.STRIPE:
        try:
            event = stripe_gateway.parse_event(body)
        except stripe_gateway.BadReply:
            return Identity(UNREADABLE, calendly.delivery_key(body, None))
        return Identity(event.type, event.id)
    try:
        delivery = calendly.parse_delivery(body)
    except calendly.BadReply:
        return Identity(UNREADABLE, calendly.delivery_key(body, None))
    return Identity(delivery.event, calendly.delivery_key(body, delivery))


def keep(
    session: Session,
    provider: Provider,
    *,
    body: bytes,
    headers: Mapping[str, str],
    verified: Verified,
    now: datetime,
) -> bool:
    """Store one verified delivery. Returns False for one that is known already. Commits."""
    identity = identify(provider, body)
    values: dict[str, Any] = {
        "provider": provider,
        "event_key": identity.key[:400],
        "type": identity.type[:100],
        "body": body,
        "headers": {name: headers[name] for name in KEPT_HEADERS if name in headers},
        "signed_at": verified.signed_at,
        "key_index": verified.key_index,
        "received_at": now,
        "run_at": now,
        "state": WorkState.READY,
        "attempts": 0,
    }
    with transaction(session):
        return insert_if_new(session, InboxEvent, values, ["provider", "event_key"]) is not None
