"""Windows of available times: what is sent to Calendly, and what identifies a window in the cache."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

# Calendly's limit since July 2026. Source: Calendly API reference, List Event Type Available Times.
LONGEST_WINDOW: Final = timedelta(days=31)
# Windows of free times begin at an even minute, and never at one that is over when the request arrives.
_WINDOW_STEP: Final = timedelta(minutes=2)
_WINDOW_MARGIN: Final = timedelta(seconds=20)


def future_window(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """A window of available times as it is sent: in UTC, beginning in the future. Raises ValueError for an empty or too
    long one.
    """
    if end - start > LONGEST_WINDOW:
        raise ValueError("Calendly lists the free times of 31 days at most")
    earliest = max(start.astimezone(UTC), datetime.now(UTC) + _WINDOW_MARGIN)
    midnight = earliest.replace(hour=0, minute=0, second=0, microsecond=0)
    steps = -((midnight - earliest) // _WINDOW_STEP)
    first = midnight + steps * _WINDOW_STEP
    if end <= first:
        raise ValueError("the window is empty or over")
    return first, end.astimezone(UTC)


def window_name(start: datetime, end: datetime) -> dict[str, str]:
    """What identifies a window in the cache: its beginning and length, or only its length where it begins now."""
    minutes = str(round((end - start) / timedelta(minutes=1)))
    if start <= datetime.now(UTC) + _WINDOW_MARGIN:
        return {"from": "now", "minutes": minutes}
    return {"from": wire_time(future_window(start, end)[0]), "minutes": minutes}


def wire_time(moment: datetime) -> str:
    """Calendly's own form: UTC with microseconds and a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
