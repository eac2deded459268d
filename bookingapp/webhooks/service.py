"""Identifies a verified delivery and stores it. How rows are committed together is in ``webhooks.intake``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bookingapp.core.queue import WorkState
from bookingapp.integrations import calendly, stripe_gateway
from bookingapp.integrations.signatures import Verified
from bookingapp.webhooks.intake import Intake
from bookingapp.webhooks.models import LONGEST_KEY, LONGEST_TYPE, Provider

KEPT_HEADERS = ("Content-Type", "User-Agent")
UNREADABLE = "unreadable"
PROXIES_HEADER: Final = "X-Proxies"
SIGNATURE_HEADERS: Final = {
    Provider.CALENDLY: "Calendly-Webhook-Signature",
    Provider.STRIPE: "Stripe-Signature",
}


@dataclass(frozen=True)
class Identity:
    """The type of a delivery, and the key that all deliveries of one event share."""

    type: str
    key: str


def identify(provider: Provider, body: bytes) -> Identity:
    """Read the type and key of a genuine body. One that is not in the published format gets its digest as key: it is
    stored and ignored, because after a 4xx Calendly would disable the whole subscription.
    """
    if provider is Provider.STRIPE:
        thin = stripe_gateway.find_thin_event(body)
        if thin is not None:
            return Identity(thin.type, thin.id)
        try:
            event = stripe_gateway.parse_event(body)
        except stripe_gateway.StripeBadReply:
            return Identity(UNREADABLE, calendly.delivery_key(body, None))
        return Identity(event.type, event.id)
    try:
        delivery = calendly.parse_delivery(body)
    except calendly.CalendlyBadReply:
        return Identity(UNREADABLE, calendly.delivery_key(body, None))
    return Identity(delivery.event, calendly.delivery_key(body, delivery))


def store_delivery(
    intake: Intake,
    provider: Provider,
    *,
    body: bytes,
    headers: Mapping[str, str],
    verified: Verified,
    now: datetime,
) -> bool:
    """Store one verified delivery. Returns False for a duplicate. Commits.

    Raises :class:`~bookingapp.core.errors.Unavailable` where it could not be stored: the provider will retry.
    """
    identity = identify(provider, body)
    return intake.store(
        {
            "provider": provider,
            "event_key": _storable(identity.key, LONGEST_KEY),
            "type": _storable(identity.type, LONGEST_TYPE),
            "body": body,
            "headers": {name: headers[name] for name in KEPT_HEADERS if name in headers},
            "signed_at": verified.signed_at,
            "key_index": verified.key_index,
            "received_at": now,
            "run_at": now,
            "state": WorkState.RECEIVED,
            "attempts": 0,
        }
    )


def _storable(text: str, longest: int) -> str:
    """``text`` without the half characters and zero bytes that JSON may carry and PostgreSQL refuses.

    One that is too long ends in its digest, so that two of them stay different.
    """
    plain = text.encode("ascii", "backslashreplace").decode("ascii").replace("\0", "\\0")
    if len(plain) <= longest:
        return plain
    digest = hashlib.sha256(plain.encode()).hexdigest()
    return f"{plain[: longest - len(digest)]}{digest}"
