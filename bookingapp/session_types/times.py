"""Free times of a session type: the next few for its card, and the one that a client has picked from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bookingapp.core.clock import is_zone
from bookingapp.integrations.calendly import AvailableTime, CalendlyClient

SHOWN = 3
WEEKS_AHEAD = timedelta(days=31)  # The longest window that Calendly answers for.
LONGEST_ZONE = 64
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


@dataclass(frozen=True)
class FreeTimes:
    """Times that were free when Calendly was asked, in order; ``as_of`` where that is longer ago than it should
    be. All aware UTC.
    """

    starts: tuple[datetime, ...]
    as_of: datetime | None

    @property
    def next_few(self) -> tuple[datetime, ...]:
        """As many as a card has room for."""
        return self.starts[:SHOWN]


def fetch_free_times(
    calendly: CalendlyClient, tenant: str, event_type_uri: str, *, now: datetime
) -> FreeTimes:
    """What can be booked in the weeks ahead. Raises the client's errors."""
    fetched = calendly.available_times(tenant, event_type_uri, *booking_window(now))
    found = sorted(time.start_time for time in fetched.value if _is_open(time, now))
    return FreeTimes(tuple(found), fetched.as_of if fetched.stale else None)


def fetch_scheduling_url(
    calendly: CalendlyClient, tenant: str, event_type_uri: str, start: datetime, *, now: datetime
) -> str | None:
    """Calendly's own page for exactly that start, or None where it is not free (any more).

    Raises the client's errors.
    """
    if not now < start < booking_window(now)[1]:
        return None
    fetched = calendly.available_times(tenant, event_type_uri, *booking_window(now))
    found = (
        time.scheduling_url for time in fetched.value if _is_open(time, now) and time.start_time == start
    )
    return next(found, None)


def booking_window(now: datetime) -> tuple[datetime, datetime]:
    """The weeks ahead: always of one length and from now on, so that the client's answers are shared."""
    return now, now + WEEKS_AHEAD


def parse_time(text: str | None) -> datetime | None:
    """A time as our own links carry it, ``2026-11-24T14:30:00Z``; anything else is no time at all."""
    if not text or not _TIME.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def viewers_zone(proposed: str | None, otherwise: str) -> str:
    """The zone that a browser proposes for its viewer, if there is such a zone."""
    return proposed if proposed and len(proposed) <= LONGEST_ZONE and is_zone(proposed) else otherwise


def _is_open(time: AvailableTime, now: datetime) -> bool:
    return time.status == "available" and time.start_time > now
