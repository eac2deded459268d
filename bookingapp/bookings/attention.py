"""What could not be decided: a person looks at the booking. Every function is part of its caller's transaction and
commits nothing.
"""

from __future__ import annotations

import structlog

from bookingapp.bookings.models import Booking

log = structlog.get_logger(__name__)


def flag(booking: Booking, reason: str) -> None:
    """Ask for a person's look; ``reason`` is a whole sentence without personal data. It stands beside whatever else
    they are asked to look at.
    """
    if reason in booking.reasons:
        return
    booking.attention = "\n".join((*booking.reasons, reason))
    log.warning("attention", booking=booking.id, reason=reason)


def resolve(booking: Booking, *reasons: str) -> None:
    """Nobody has to look for one of these ``reasons`` any more. The others stay."""
    booking.attention = "\n".join(reason for reason in booking.reasons if reason not in reasons) or None
