"""The free times of one month, in a viewer's zone: which windows are asked for, and what is in them.

The next few times of a card are in :mod:`bookingapp.session_types.times`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from bookingapp.core.clock import zone
from bookingapp.integrations.calendly import AvailableTime, CalendlyClient, CalendlyError
from bookingapp.session_types.times import WEEKS_AHEAD, booking_window

MONTHS_AHEAD = 12
"""How far ahead of the present month times are shown."""
MONTHS_SEARCHED = 3
"""How many further months are searched for the first free day."""
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_MONTHS = 12


@dataclass(frozen=True, order=True)
class Month:
    """A month of the calendar, written ``2026-12``."""

    year: int
    number: int

    def __str__(self) -> str:
        """The month as addresses have it."""
        return f"{self.year:04}-{self.number:02}"

    @classmethod
    def of(cls, at: datetime, timezone: str) -> Month:
        """The month that it is at that time in that zone."""
        local = at.astimezone(zone(timezone))
        return cls(local.year, local.month)

    @classmethod
    def parse(cls, text: str | None, *, now: datetime, timezone: str) -> Month:
        """The month that an address names, moved to the nearest one that is shown; this month for any other text."""
        this = cls.of(now, timezone)
        found = _MONTH.fullmatch(text or "")
        if found is None or not 1 <= int(found[2]) <= _MONTHS:
            return this
        return min(max(cls(int(found[1]), int(found[2])), this), this.plus(MONTHS_AHEAD))

    def plus(self, months: int) -> Month:
        """The month that many months later."""
        years, number = divmod(self.number - 1 + months, _MONTHS)
        return Month(self.year + years, number + 1)

    def begins_at(self, timezone: str) -> datetime:
        """Its first moment in that zone, in UTC."""
        return datetime(self.year, self.number, 1, tzinfo=zone(timezone)).astimezone(UTC)

    def ends_at(self, timezone: str) -> datetime:
        """The first moment after it in that zone, in UTC."""
        return self.plus(1).begins_at(timezone)


@dataclass(frozen=True)
class MonthTimes:
    """The free times of a month in the viewer's zone, in order; ``as_of`` is the time of an outdated answer."""

    month: Month
    timezone: str
    times: tuple[AvailableTime, ...]
    as_of: datetime | None

    @property
    def days(self) -> list[tuple[date, list[AvailableTime]]]:
        """The times by the viewer's days."""
        local = zone(self.timezone)
        grouped = groupby(self.times, key=lambda time: time.start_time.astimezone(local).date())
        return [(day, list(times)) for day, times in grouped]


def fetch_month(
    calendly: CalendlyClient,
    tenant: str,
    event_type_uri: str,
    month: Month,
    timezone: str,
    *,
    now: datetime,
    lead: timedelta,
    at_most: timedelta | None = None,
) -> MonthTimes:
    """The times of a month that begin later than ``lead`` from now; ``at_most`` is how old a cached answer may be where
    something is decided by it. Raises :class:`CalendlyError`.
    """
    begin, end = month.begins_at(timezone), month.ends_at(timezone)
    fetched = [
        calendly.available_times(tenant, event_type_uri, *window, at_most=at_most)
        for window in _windows(begin, end, now)
    ]
    found = {
        time.start_time: time
        for answer in fetched
        for time in answer.value
        if time.status == "available" and begin <= time.start_time < end and time.start_time > now + lead
    }
    stale = [answer.as_of for answer in fetched if answer.stale]
    times = tuple(found[start] for start in sorted(found))
    return MonthTimes(month, timezone, times, min(stale) if stale else None)


def find_first_free(
    calendly: CalendlyClient,
    tenant: str,
    event_type_uri: str,
    after: Month,
    timezone: str,
    *,
    now: datetime,
    lead: timedelta,
) -> datetime | None:
    """The first free start in the months after an empty one; None where the next few have none, or where Calendly does
    not answer.
    """
    last = Month.of(now, timezone).plus(MONTHS_AHEAD)
    for months in range(1, MONTHS_SEARCHED + 1):
        month = after.plus(months)
        if month > last:
            return None
        try:
            found = fetch_month(calendly, tenant, event_type_uri, month, timezone, now=now, lead=lead)
        except CalendlyError:
            return None
        if found.times:
            return found.times[0].start_time
    return None


def _windows(begin: datetime, end: datetime, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The windows that cover a month. What is left of the present one is in the window of the cards. A month in which
    clocks are set back may be longer than the longest window.
    """
    # Calendly is asked for windows that begin at an even minute; in Kathmandu no month does.
    even = begin - timedelta(minutes=begin.minute % 2)
    first = booking_window(now) if begin <= now else (even, min(end, even + WEEKS_AHEAD))
    yield first
    if end - first[1] > timedelta(minutes=1):
        yield even + WEEKS_AHEAD, end
