"""The refund policy of a booking, as a snapshot taken when it was created, and its sentences for clients."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from bookingapp.bookings.models import Actor, Move
from bookingapp.core.i18n import gettext

WHOLE = 100

PLATFORM: dict[str, Any] = {
    "version": 1,
    "client_cancels": [{"hours_before": 24, "percent": 100}, {"hours_before": 12, "percent": 50}],
    "builder_cancels_percent": 100,
}


def policy_snapshot() -> dict[str, Any]:
    """A copy of the platform's present policy, for a booking to keep."""
    return {**PLATFORM, "client_cancels": [dict(rule) for rule in PLATFORM["client_cancels"]]}


def refund_percent(
    policy: dict[str, Any],
    *,
    starts_at: datetime | None,
    moves: Sequence[Move] = (),
    now: datetime,
    by_builder: bool,
) -> int:
    """The share that is refunded, in whole percent. Hours are elapsed hours, so a clock change makes no difference.

    ``moves`` are the reschedules since the payment, the oldest first. The builder's never lower the share, as if the
    old time still counted, until the client chooses a nearer one; the client's never raise it over what it was when
    they moved. One by an unknown side does neither.
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


def policy_sentences(policy: dict[str, Any], *, is_free: bool) -> list[str]:
    """The policy in sentences for the client, shown before the payment."""
    if is_free:
        return [
            gettext(
                "This session is free. If you cannot come, please cancel, so that the time becomes available."
            )
        ]
    rules = sorted(policy["client_cancels"], key=lambda rule: -int(rule["hours_before"]))
    lines = []
    for position, rule in enumerate(rules):
        hours, percent = rule["hours_before"], rule["percent"]
        if position:
            upper = rules[position - 1]["hours_before"]
            lines.append(
                gettext(
                    "Cancel %(hours)s to %(upper)s hours before the start: you get %(percent)s %% of the price back.",
                    hours=hours,
                    upper=upper,
                    percent=percent,
                )
            )
        elif percent == WHOLE:
            lines.append(
                gettext(
                    "Cancel at least %(hours)s hours before the start: you get the full price back.",
                    hours=hours,
                )
            )
        else:
            lines.append(
                gettext(
                    "Cancel at least %(hours)s hours before the start: you get %(percent)s %% of the price back.",
                    hours=hours,
                    percent=percent,
                )
            )
    hours = rules[-1]["hours_before"]
    lines.append(
        gettext("Cancel less than %(hours)s hours before the start: there is no refund.", hours=hours)
    )
    lines.append(
        gettext(
            "If your builder reschedules, your refund never gets smaller. If you reschedule, it never gets larger."
        )
    )
    if policy["builder_cancels_percent"] == WHOLE:
        lines.append(gettext("If your builder cancels, you get everything back."))
    return lines
