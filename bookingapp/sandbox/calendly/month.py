"""The view model of the calendar page: one month of free times in a visitor's zone."""

from __future__ import annotations

import re
from calendar import Calendar
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from bookingapp.sandbox.calendly.availability import HORIZON, FreeSlot, free_slots
from bookingapp.sandbox.clock import utcnow
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document

_PLACE = re.compile("(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/")


@dataclass(frozen=True, slots=True)
class Day:
    """One cell of the month; ``free`` is its number of free times."""

    day: date
    free: int
    selected: bool
    today: bool


@dataclass(frozen=True, slots=True)
class Month:
    """A month, its selected day with that day's times in the visitor's zone, and its neighbors as ``YYYY-MM``."""

    first: date
    weeks: list[list[Day | None]]
    selected: date | None
    times: list[FreeSlot]
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
    moving: Document | None = None,
) -> Month:
    """The month asked for, or the first with a free time; its first free day is selected.

    ``month`` is ``YYYY-MM`` and ``day`` is ``YYYY-MM-DD``; anything else counts as not given.
    """
    zone, now = ZoneInfo(timezone), utcnow()
    today = now.astimezone(zone).date()
    last = (now + HORIZON).astimezone(zone).date()
    wanted_day = _parse_day(day)
    first = wanted_day.replace(day=1) if wanted_day else _parse_day(f"{month}-01")
    slots: dict[date, list[FreeSlot]] = {}
    for slot in free_slots(sandbox, event_type, now, now + HORIZON, moving=moving):
        local = slot.start.astimezone(zone)
        slots.setdefault(local.date(), []).append(FreeSlot(local, slot.remaining))
    if first is None:
        first = min(slots, default=today).replace(day=1)
    first = min(max(first, today.replace(day=1)), last.replace(day=1))
    in_month = sorted(found for found in slots if (found.year, found.month) == (first.year, first.month))
    selected = wanted_day if wanted_day in slots else (in_month[0] if in_month else None)
    weeks = [
        [
            Day(cell, len(slots.get(cell, [])), cell == selected, cell == today)
            if cell.month == first.month
            else None
            for cell in week
        ]
        for week in Calendar().monthdatescalendar(first.year, first.month)
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


def choose_zone(wanted: str | None, fallback: str) -> str:
    """The wanted zone if there is one of that name, else the fallback."""
    return wanted if wanted and wanted in _zone_names() else fallback


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def zone_choices() -> list[str]:
    """The zones that a visitor can choose from: places, and UTC."""
    return ["UTC", *sorted(name for name in _zone_names() if _PLACE.match(name))]


def zone_label(name: str) -> str:
    """``Europe/London`` as ``London time (UTC+1)``, as of now."""
    offset = utcnow().astimezone(ZoneInfo(name)).utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    sign = "\N{MINUS SIGN}" if minutes < 0 else "+"
    shown = "UTC" if minutes == 0 else f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")
    place = name.rpartition("/")[2].replace("_", " ")
    return "UTC" if name == "UTC" else f"{place} time ({shown})"


def _parse_day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
