"""A month or a week of a builder's bookings, day by day in the builder's zone."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings.states import Status
from bookingapp.core.clock import zone
from bookingapp.dashboard.list_address import read_date
from bookingapp.dashboard.listed import Row, describe_rows
from bookingapp.dashboard.listing import Filters, Sort, Wanted, find_page

MOST = 500
DAYS = 7
_WITHOUT = (Status.CANCELED, Status.EXPIRED)
_MONDAYS_FIRST = calendar.Calendar()


@dataclass(frozen=True)
class Day:
    """One day and its bookings, by their start. ``is_outside`` of the month that is shown."""

    date: date
    noon: datetime
    rows: list[Row]
    is_today: bool
    is_outside: bool


@dataclass(frozen=True)
class Sheet:
    """The weeks of a calendar, from Monday to Sunday. ``before`` and ``after`` are days of the sheets beside it.

    ``is_cut`` says that there are more bookings than are shown.
    """

    weeks: list[list[Day]]
    first: date
    is_week: bool
    before: date
    after: date
    today: date
    is_cut: bool

    @property
    def noon(self) -> datetime:
        """The middle of its first day, for its name."""
        return next(day.noon for week in self.weeks for day in week if day.date == self.first)

    @property
    def days(self) -> Iterator[Day]:
        """The days with bookings, for a list."""
        return (day for week in self.weeks for day in week if day.rows and not day.is_outside)


def month_of(text: str) -> date | None:
    """The first day of a month like ``2026-11``, or None."""
    return read_date(f"{text}-01") if len(text) == len("2026-11") else None


def week_of(text: str) -> date | None:
    """The Monday of the week of a day like ``2026-11-25``, or None."""
    found = read_date(text)
    return found and found - timedelta(days=found.weekday())


def load_month(session: Session, builder_id: int, timezone: str, first: date, *, now: datetime) -> Sheet:
    """The weeks of the month that begins on ``first``."""
    weeks = _MONDAYS_FIRST.monthdatescalendar(first.year, first.month)
    before, after = first - timedelta(days=1), first + timedelta(days=31)
    return _load(session, builder_id, timezone, weeks, first, (before, after), is_week=False, now=now)


def load_week(session: Session, builder_id: int, timezone: str, monday: date, *, now: datetime) -> Sheet:
    """The week that begins on ``monday``."""
    week = [monday + timedelta(days=number) for number in range(DAYS)]
    beside = monday - timedelta(days=DAYS), monday + timedelta(days=DAYS)
    return _load(session, builder_id, timezone, [week], monday, beside, is_week=True, now=now)


def today_in(timezone: str, now: datetime) -> date:
    """The day that it is in that zone."""
    return now.astimezone(zone(timezone)).date()


def _load(
    session: Session,
    builder_id: int,
    timezone: str,
    weeks: list[list[date]],
    first: date,
    beside: tuple[date, date],
    *,
    is_week: bool,
    now: datetime,
) -> Sheet:
    local = zone(timezone)
    begins = datetime.combine(weeks[0][0], time(), local)
    ends = datetime.combine(weeks[-1][-1] + timedelta(days=1), time(), local)
    wanted = Wanted(builder_id, now, Sort.EARLIEST, Filters(begins=begins, ends=ends), size=MOST)
    page = find_page(session, wanted)
    held = [one for one in page.rows if one.status not in _WITHOUT]
    of_day: dict[date, list[Row]] = {}
    for row in describe_rows(session, held, timezone):
        if row.starts_at is not None:
            of_day.setdefault(row.starts_at.astimezone(local).date(), []).append(row)
    today = today_in(timezone, now)
    days = [
        [
            Day(
                day,
                datetime.combine(day, time(12), local),
                of_day.get(day, []),
                day == today,
                not is_week and day.month != first.month,
            )
            for day in week
        ]
        for week in weeks
    ]
    return Sheet(days, first, is_week, *beside, today, page.after is not None)
