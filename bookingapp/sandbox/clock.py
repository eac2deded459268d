"""Times and random identifiers in the formats of the two providers."""

from __future__ import annotations

import secrets
import string
import uuid
from datetime import UTC, datetime

_ALPHANUMERIC = string.ascii_letters + string.digits


def utcnow() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def epoch() -> int:
    """The current time in whole seconds since 1970 (Stripe API reference, ``created``)."""
    return int(utcnow().timestamp())


def to_iso(instant: datetime) -> str:
    """UTC ISO 8601 with microseconds and ``Z`` (Calendly API reference, every time of a resource)."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_iso_seconds(instant: datetime) -> str:
    """UTC ISO 8601 in whole seconds (Calendly API reference, List Event Type Available Times)."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_iso() -> str:
    """The current time as Calendly writes it."""
    return to_iso(utcnow())


def parse_instant(text: str) -> datetime:
    """An aware UTC datetime from ISO 8601 with ``Z`` or an offset.

    Raises:
        ValueError: the text is not a time, or has no zone.
    """
    # A '+' in a hand-written query string arrives as a space.
    instant = datetime.fromisoformat(text.strip().replace(" ", "+"))
    if instant.tzinfo is None:
        raise ValueError("a time needs a zone")
    return instant.astimezone(UTC)


def new_uuid() -> str:
    """A lower-case UUID, the format of Calendly's newer identifiers."""
    return str(uuid.uuid4())


def new_token(length: int) -> str:
    """Random letters and digits, the format of Stripe's identifiers."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))
