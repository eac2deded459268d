"""What is kept of a delivery. A 2xx means that the row is committed (:mod:`bookingapp.webhooks.intake`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bookingapp.core.queue import WorkState
from bookingapp.integrations import calendly, stripe_gateway
from bookingapp.integrations.signatures import Verified
from bookingapp.webhooks.intake import Intake
from bookingapp.webhooks.models import LONGEST_KEY, LONGEST_TYPE, Provider

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
    """Store one verified delivery. Returns False for one that is known already. Commits.

    Raises :class:`~bookingapp.core.errors.Unavailable` where it could not be stored: the provider has to come again.
    """
    identity = identify(provider, body)
    return intake.keep(
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
    """``text`` as any database takes it: JSON may carry halves of characters and zeros, which PostgreSQL refuses.

    What is too long ends in its digest, so that two of them stay two.
    """
    plain = text.encode("ascii", "backslashreplace").decode("ascii").replace("\0", "\\0")
    if len(plain) <= longest:
        return plain
    digest = hashlib.sha256(plain.encode()).hexdigest()
    return f"{plain[: longest - len(digest)]}{digest}"
