"""Free times of a session type, from Calendly: the next ones for its card, and the one that a client picked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta

from bookingapp.core.clock import is_zone
from bookingapp.core.zones import todays_name
from bookingapp.integrations.calendly import AvailableTime, CalendlyClient

SHOWN = 3
WEEKS_AHEAD = timedelta(days=31)  # The longest window that Calendly answers for.
LONGEST_ZONE = 64
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


@dataclass(frozen=True)
class FreeTimes:
    """Starts that Calendly offers, aware and in order; ``as_of`` is the time of an outdated answer."""

    starts: tuple[datetime, ...]
    as_of: datetime | None

    @property
    def next_few(self) -> tuple[datetime, ...]:
        """The times that a card shows."""
        return self.starts[:SHOWN]

    @property
    def next_start(self) -> datetime | None:
        """The first of them; None where there is none within the month."""
        return self.starts[0] if self.starts else None


def fetch_free_times(
    calendly: CalendlyClient, tenant: str, event_type_uri: str, *, now: datetime
) -> FreeTimes:
    """The free times of the next 31 days. Raises :class:`CalendlyError`."""
    fetched = calendly.available_times(tenant, event_type_uri, *booking_window(now))
    found = sorted(time.start_time for time in fetched.value if _is_open(time, now))
    return FreeTimes(tuple(found), fetched.as_of if fetched.stale else None)


def fetch_scheduling_url(
    calendly: CalendlyClient, tenant: str, event_type_uri: str, start: datetime, *, now: datetime
) -> str | None:
    """Calendly's page for exactly that start; None where it is not free. Raises :class:`CalendlyError`."""
    if not now < start < booking_window(now)[1]:
        return None
    fetched = calendly.available_times(tenant, event_type_uri, *booking_window(now))
    found = (
        time.scheduling_url for time in fetched.value if _is_open(time, now) and time.start_time == start
    )
    return next(found, None)


def booking_window(now: datetime) -> tuple[datetime, datetime]:
    """Start and end of the times that we ask for: always of one length, so that cached answers are shared."""
    return now, now + WEEKS_AHEAD


def parse_time(text: str | None) -> datetime | None:
    """Read a time as our own links carry it, ``2026-11-24T14:30:00Z``; None for any other text."""
    if not text or not _TIME.fullmatch(text):
        return None
    try:
        found = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    # In some zone, the first and the last hours of the calendar are none that can be shown.
    return found if MINYEAR < found.year < MAXYEAR else None


def viewers_zone(proposed: str | None, otherwise: str) -> str:
    """The zone that the browser proposes, by its name of today, if there is such a zone, else ``otherwise``."""
    found = proposed if proposed and len(proposed) <= LONGEST_ZONE and is_zone(proposed) else otherwise
    return todays_name(found) or otherwise


def _is_open(time: AvailableTime, now: datetime) -> bool:
    return time.status == "available" and time.start_time > now
