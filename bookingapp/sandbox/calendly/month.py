"""What a month of free times looks like to one visitor: the view model of the calendar page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from bookingapp.sandbox.calendly.availability import HORIZON, Slot, days_of_month, free_slots
from bookingapp.sandbox.clock import utcnow

if TYPE_CHECKING:
    from bookingapp.sandbox.context import Sandbox
    from bookingapp.sandbox.store import Document

_REGIONS = (
    "Africa/",
    "America/",
    "Antarctica/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
)


@dataclass(frozen=True, slots=True)
class Day:
    """One cell of the month; ``free`` is the number of times to choose from."""

    day: date
    free: int
    selected: bool
    today: bool


@dataclass(frozen=True, slots=True)
class Time:
    """One free time in the visitor's zone."""

    start: datetime
    local: datetime
    remaining: int


@dataclass(frozen=True, slots=True)
class Month:
    """A month, the day that is open in it, and where one can go from there."""

    first: date
    weeks: list[list[Day | None]]
    selected: date | None
    times: list[Time]
    previous: str | None
    following: str | None
    timezone: str
    timezone_label: str


def build_month(
    sandbox: Sandbox,
    event_type: Document,
    *,
    timezone: str,
    month: str | None,
    day: str | None,
    without_event: str | None = None,
) -> Month:
    """The month to show: the one asked for, or the first with a free time; its first free day is open.

    ``month`` is ``YYYY-MM`` and ``day`` is ``YYYY-MM-DD``; anything else counts as not given.
    """
    zone, now = ZoneInfo(timezone), utcnow()
    today = now.astimezone(zone).date()
    last = (now + HORIZON).astimezone(zone).date()
    wanted_day = _parsed_day(day)
    first = wanted_day.replace(day=1) if wanted_day else _parsed_day(f"{month}-01")
    slots = _by_day(free_slots(sandbox, event_type, now, now + HORIZON, without_event=without_event), zone)
    if first is None:
        first = min(slots, default=today).replace(day=1)
    first = min(max(first, today.replace(day=1)), last.replace(day=1))
    in_month = sorted(found for found in slots if (found.year, found.month) == (first.year, first.month))
    selected = wanted_day if wanted_day in slots else (in_month[0] if in_month else None)
    weeks = [
        [
            None if cell is None else Day(cell, len(slots.get(cell, [])), cell == selected, cell == today)
            for cell in week
        ]
        for week in days_of_month(first.year, first.month)
    ]
    previous, following = first - timedelta(days=1), (first + timedelta(days=31)).replace(day=1)
    return Month(
        first=first,
        weeks=weeks,
        selected=selected,
        times=slots.get(selected, []) if selected else [],
        previous=f"{previous:%Y-%m}" if first > today.replace(day=1) else None,
        following=f"{following:%Y-%m}" if following <= last else None,
        timezone=timezone,
        timezone_label=zone_label(timezone),
    )


def choose_zone(asked: str | None, fallback: str) -> str:
    """The zone asked for if there is one of that name, else the other."""
    return asked if asked and asked in available_zones() else fallback


@cache
def available_zones() -> frozenset[str]:
    """Every zone name this machine knows."""
    return frozenset(available_timezones())


@cache
def zone_choices() -> list[str]:
    """The zones offered to people: places, and UTC."""
    return ["UTC", *sorted(name for name in available_zones() if name.startswith(_REGIONS))]


def zone_label(name: str) -> str:
    """``Europe/London`` as ``London time (UTC+1)``, as of now."""
    offset = utcnow().astimezone(ZoneInfo(name)).utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    sign = "\N{MINUS SIGN}" if minutes < 0 else "+"
    shown = "UTC" if minutes == 0 else f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")
    place = name.rpartition("/")[2].replace("_", " ")
    return "UTC" if name == "UTC" else f"{place} time ({shown})"


def _by_day(slots: Iterable[Slot], zone: ZoneInfo) -> dict[date, list[Time]]:
    days: dict[date, list[Time]] = {}
    for slot in slots:
        local = slot.start.astimezone(zone)
        days.setdefault(local.date(), []).append(Time(slot.start.astimezone(UTC), local, slot.remaining))
    return days


def _parsed_day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
