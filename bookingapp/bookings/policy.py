"""The refund policy: what was promised when the booking was made, and what it means in money.

A booking keeps a snapshot of it; the platform's own may change, a promise may not.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

WHOLE = 100

PLATFORM: dict[str, Any] = {
    "version": 1,
    "client_cancels": [{"hours_before": 24, "percent": 100}, {"hours_before": 12, "percent": 50}],
    "builder_cancels_percent": 100,
}


def policy_snapshot() -> dict[str, Any]:
    """Today's policy, as a copy that a booking can keep."""
    return {**PLATFORM, "client_cancels": [dict(rule) for rule in PLATFORM["client_cancels"]]}


def refund_percent(
    policy: dict[str, Any], *, starts_at: datetime | None, now: datetime, by_builder: bool
) -> int:
    """The share that goes back, in whole percent. Hours are absolute ones, so a clock change moves nothing."""
    if by_builder:
        return int(policy["builder_cancels_percent"])
    if starts_at is None:
        return WHOLE
    left = starts_at - now
    for rule in sorted(policy["client_cancels"], key=lambda rule: -int(rule["hours_before"])):
        if left >= timedelta(hours=int(rule["hours_before"])):
            return int(rule["percent"])
    return 0


def policy_sentences(policy: dict[str, Any], *, is_free: bool) -> list[str]:
    """The policy in words, as it is shown before anybody pays."""
    if is_free:
        return [
            "This session is free. If you cannot come, please cancel, so that somebody else can have the time."
        ]
    rules = sorted(policy["client_cancels"], key=lambda rule: -int(rule["hours_before"]))
    lines = []
    for position, rule in enumerate(rules):
        share_in_words = "the full price" if rule["percent"] == WHOLE else f"{rule['percent']} % of the price"
        if position == 0:
            lines.append(
                f"Cancel {rule['hours_before']} hours or more before the start: {share_in_words} goes back to you."
            )
        else:
            upper = rules[position - 1]["hours_before"]
            lines.append(
                f"Cancel between {rule['hours_before']} and {upper} hours before the start: {share_in_words} goes back."
            )
    lines.append(f"Cancel less than {rules[-1]['hours_before']} hours before the start: there is no refund.")
    if policy["builder_cancels_percent"] == WHOLE:
        lines.append("If your builder cancels, you always get everything back.")
    return lines
