"""Attention flags: conditions of a booking that need a human decision. Each function is part of its caller's
transaction and commits nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Actor, AttentionFlag, Booking

log = structlog.get_logger(__name__)


def is_flagged(booking: Booking, *codes: FlagCode) -> bool:
    """Whether a flag with one of these codes is open."""
    return any(flag.code in codes for flag in booking.open_flags)


def flag(booking: Booking, code: FlagCode, *, now: datetime, **facts: Any) -> None:
    """Raise a flag beside whatever else is open; one that is open already stays as it is."""
    if is_flagged(booking, code):
        return
    booking.flags.append(AttentionFlag(code=code, facts=facts, raised_at=now))
    log.warning("attention", booking=booking.id, code=code)


def list_refunds(booking: Booking, code: FlagCode) -> list[int]:
    """The ids of the refunds that open flags with this code are about."""
    about = (one for one in booking.open_flags if one.code is code)
    return [refund_id for one in about for refund_id in one.facts.get("refund_ids", ())]


def set_refunds(booking: Booking, code: FlagCode, refund_ids: list[int]) -> None:
    """Say which refunds the open flags with this code are about."""
    for one in booking.open_flags:
        if one.code is code:
            one.facts = {**one.facts, "refund_ids": refund_ids}


def resolve(booking: Booking, *codes: FlagCode, now: datetime, by: Actor = Actor.SYSTEM) -> None:
    """Resolve the open flags with these codes; all of them where none is named."""
    for one in booking.open_flags:
        if not codes or one.code in codes:
            one.resolved_at, one.resolved_by = now, by
