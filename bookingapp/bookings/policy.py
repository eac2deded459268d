"""What a booking's policy refunds: the snapshot of ``builders/policy.py`` that was taken when it was created."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from bookingapp.bookings.models import Actor, Move
from bookingapp.builders.policy import WHOLE


def refund_percent(
    policy: dict[str, Any],
    *,
    starts_at: datetime | None,
    moves: Sequence[Move] = (),
    now: datetime,
    by_builder: bool,
) -> int:
    """The share that is refunded, in whole percent. Hours are elapsed hours, so a clock change makes no difference.

    ``moves`` are the reschedules since the payment was begun, the oldest first. The builder's never lower the share, as
    if the old time still counted, until the client chooses a nearer one; the client's never raise it over what it was
    when they moved. One by an unknown side does neither.
    """
    if by_builder:
        return int(policy["builder_cancels_percent"])
    if starts_at is None:
        return WHOLE
    most, latest = WHOLE, None
    for move in moves:
        if move.by is not Actor.BUILDER:
            most = min(most, _percent_at(policy, max(latest or move.from_start, move.from_start), move.at))
        if move.by is not Actor.CLIENT:
            latest = max(latest or move.from_start, move.from_start)
        elif move.to_start is not None and move.to_start < move.from_start:
            # The nearer time is the client's own choice.
            latest = None
    return min(most, _percent_at(policy, max(latest or starts_at, starts_at), now))


def _percent_at(policy: dict[str, Any], starts_at: datetime, now: datetime) -> int:
    left = starts_at - now
    for rule in sorted(policy["client_cancels"], key=lambda rule: -int(rule["hours_before"])):
        if left >= timedelta(hours=int(rule["hours_before"])):
            return int(rule["percent"])
    return 0
