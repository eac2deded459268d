"""Instants and identifiers in the shapes that the two providers use."""

from __future__ import annotations

import secrets
import string
import uuid
from datetime import UTC, datetime

_ALPHANUMERIC = string.ascii_letters + string.digits


def utcnow() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)


def epoch() -> int:
    """The present instant in whole seconds since 1970, as Stripe writes it."""
    return int(utcnow().timestamp())


def to_iso(instant: datetime) -> str:
    """UTC ISO 8601 with microseconds and ``Z``, as Calendly writes times."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_iso_seconds(instant: datetime) -> str:
    """UTC ISO 8601 in whole seconds, as Calendly writes free times and deep links."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_iso() -> str:
    """The present instant as Calendly writes it."""
    return to_iso(utcnow())


def parse_instant(text: str) -> datetime:
    """An aware UTC datetime from ISO 8601 with ``Z`` or an offset.

    Raises:
        ValueError: the text is no instant, or carries no zone.
    """
    # A '+' in a hand-written query string arrives as a space.
    instant = datetime.fromisoformat(text.strip().replace(" ", "+"))
    if instant.tzinfo is None:
        message = "an instant needs a zone"
        raise ValueError(message)
    return instant.astimezone(UTC)


def new_uuid() -> str:
    """A lower-case UUID, the shape of Calendly's newer identifiers."""
    return str(uuid.uuid4())


def new_token(length: int) -> str:
    """Random letters and digits, the shape of Stripe's identifiers."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))
