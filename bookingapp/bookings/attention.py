"""Attention flags: conditions of a booking that need a human decision. Each function is part of its caller's
transaction and commits nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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


def flag_refund(
    booking: Booking, code: FlagCode, refund_id: int, amount_minor: int, currency: str, *, now: datetime
) -> None:
    """Raise a flag about a refund, or add the refund to what the open one is about."""
    flag(booking, code, now=now)
    for one in booking.open_flags:
        if one.code is code:
            amounts = one.facts.get("amounts", {}) | {str(refund_id): [amount_minor, currency]}
            ids = dict.fromkeys([*one.facts.get("refund_ids", ()), refund_id])
            one.facts = {**one.facts, "refund_ids": list(ids), "amounts": amounts}


def resolve_refund(booking: Booking, code: FlagCode, refund_id: int, *, now: datetime) -> None:
    """Take a refund from what the open flag is about, and resolve the flag when that was the last one. A flag of an
    older release does not say which it is about, and ends with any.
    """
    for one in booking.open_flags:
        ids = one.facts.get("refund_ids", [refund_id])
        if one.code is code and refund_id in ids:
            left = [other for other in ids if other != refund_id]
            one.facts = {**one.facts, "refund_ids": left or ids}
            if not left:
                resolve(booking, code, now=now)


def sum_of_refunds(facts: Mapping[str, Any]) -> dict[str, int]:
    """What the refunds are that a flag is about, in minor units by currency; nothing for a flag of an older release."""
    amounts, sums = facts.get("amounts", {}), Counter[str]()
    for refund_id in facts.get("refund_ids", ()):
        minor, currency = amounts.get(str(refund_id), (0, ""))
        sums[currency] += minor
    return {currency: minor for currency, minor in sums.items() if minor}


def resolve(booking: Booking, *codes: FlagCode, now: datetime, by: Actor = Actor.SYSTEM) -> None:
    """Resolve the open flags with these codes; all of them where none is named."""
    for one in booking.open_flags:
        if not codes or one.code in codes:
            one.resolved_at, one.resolved_by = now, by
