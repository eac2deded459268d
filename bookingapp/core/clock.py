"""The current time, time zones, and how times are written for people: in their zone, with its name."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from babel.dates import format_datetime, get_timezone_name

from bookingapp.core.i18n import SOURCE, gettext, locale, ngettext

_NO_ZONES = ("factory", "localtime", "posixrules")
"""Files beside the zones, in lower case: their names say nothing about where somebody is."""
MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3600, 86_400


def utcnow() -> datetime:
    """The current time, aware and in UTC. Everything else asks here, so that tests can choose the time."""
    return datetime.now(UTC)


@cache
def _known_zones() -> frozenset[str]:
    # Asking Python reads the whole folder each time.
    return frozenset(available_timezones())


def is_zone(name: str | None) -> bool:
    """Whether ``name`` is an IANA zone that this machine knows."""
    if not name or name.lower() in _NO_ZONES:
        return False
    return name in _known_zones()


@lru_cache(1000)
def zone(name: str | None) -> ZoneInfo:
    """The zone of that IANA name. UTC without a name or for an unknown one, so that the page can still be shown."""
    return ZoneInfo(name if name and is_zone(name) else "UTC")


def zone_label(at: datetime, name: str | None) -> str:
    """The zone's name at that moment: ``GMT``, ``BST``, ``JST``; ``UTC+03:30`` where there is no letter name."""
    local = at.astimezone(zone(name))
    is_summer = (local.dst() or timedelta()) > timedelta()
    return _zone_label(local.tzname() or "", local.utcoffset() or timedelta(), name, is_summer, locale())


@lru_cache(1000)
def _zone_label(label: str, offset: timedelta, name: str | None, is_summer: bool, locale: Locale) -> str:  # noqa: FBT001
    if label.isalpha():
        return _in_words(label, name, locale, variant="daylight" if is_summer else "standard")
    sign = "-" if offset < timedelta() else "+"
    hours, minutes = divmod(abs(int(offset.total_seconds())) // 60, 60)
    return f"UTC{sign}{hours:02}:{minutes:02}"


def _in_words(
    label: str, name: str | None, locale: Locale, *, variant: Literal["daylight", "standard"]
) -> str:
    """``CET`` as ``MEZ`` where the language has letters of its own for it."""
    if locale.language == SOURCE:
        return label
    own = get_timezone_name(zone(name), "short", zone_variant=variant, locale=locale)
    return own if own.isalpha() and own.isupper() else label


def zone_city(name: str | None) -> str:
    """``Europe/London`` as ``London``, in the reader's language where it has another name."""
    return _zone_city(name or "UTC", locale())


@lru_cache(1000)
def _zone_city(name: str, locale: Locale) -> str:
    own = locale.time_zones.get(name, {}).get("city") if locale.language != SOURCE else None
    return str(own or name.rsplit("/", 1)[-1].replace("_", " "))


def day_time(at: datetime, name: str | None) -> str:
    """``Tuesday 24 November 2026, 14:30 GMT`` in the named zone."""
    # Translators: parts of a date (weekday, day, month, year) and a time, in your order; the letters are Unicode's.
    return _with_zone(at, name, gettext("EEEE d MMMM y, HH:mm"))


def short_time(at: datetime, name: str | None) -> str:
    """``Tue 24 Nov, 14:30 GMT`` in the named zone, for lists."""
    # Translators: as the longer pattern, with short names and without the year.
    return _with_zone(at, name, gettext("EEE d MMM, HH:mm"))


def day(at: datetime, name: str | None) -> str:
    """``Tuesday 24 November 2026`` in the named zone."""
    return _format(at, name, gettext("EEEE d MMMM y"))


def weekday(at: datetime, name: str | None) -> str:
    """``Tuesday`` in the named zone."""
    return _format(at, name, "EEEE")


def date(at: datetime, name: str | None) -> str:
    """``24 November 2026`` in the named zone."""
    return _format(at, name, gettext("d MMMM y"))


def month(at: datetime, name: str | None) -> str:
    """``November 2026`` in the named zone."""
    return _format(at, name, gettext("LLLL y"))


def clock(at: datetime, name: str | None) -> str:
    """``14:30 GMT`` in the named zone."""
    return _with_zone(at, name, gettext("HH:mm"))


def _with_zone(at: datetime, name: str | None, pattern: str) -> str:
    return f"{_format(at, name, pattern)} {zone_label(at, name)}"


def _format(at: datetime, name: str | None, pattern: str) -> str:
    return _written(at, name, pattern, locale())


@lru_cache(10_000)
def _written(at: datetime, name: str | None, pattern: str, locale: Locale) -> str:
    # Kept, because Babel needs longer for the dates of a list than the database for its rows.
    return format_datetime(at, pattern, tzinfo=zone(name), locale=locale)


def time_range(start: datetime, end: datetime, name: str | None) -> str:
    """``14:30-15:30 GMT``, with an en dash. Where the clocks change in between, both times carry their zone."""
    return _written_range(start, end, name, locale())


@lru_cache(10_000)
def _written_range(start: datetime, end: datetime, name: str | None, locale: Locale) -> str:  # noqa: ARG001 - part of the key.
    first, last = clock(start, name), clock(end, name)
    if zone_label(start, name) == zone_label(end, name):
        first = first.rsplit(" ", 1)[0]
    return f"{first}\N{EN DASH}{last}"


def iso(at: datetime) -> str:
    """ISO 8601 in UTC, to the second, for ``<time datetime>``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wait(seconds: int) -> str:
    """How long to wait, rounded up: ``40 seconds``, ``12 minutes``, ``3 hours``."""
    if seconds < MINUTE_SECONDS:
        return ngettext("%(num)s second", "%(num)s seconds", max(seconds, 1))
    if seconds <= 2 * HOUR_SECONDS:
        return ngettext("%(num)s minute", "%(num)s minutes", math.ceil(seconds / MINUTE_SECONDS))
    return ngettext("%(num)s hour", "%(num)s hours", math.ceil(seconds / HOUR_SECONDS))


def age(since: datetime, now: datetime) -> str:
    """How long ago something was, rounded down: ``12 minutes``, ``3 hours``, ``9 days``."""
    seconds = max(0, int((now - since).total_seconds()))
    minutes, hours, days = seconds // MINUTE_SECONDS, seconds // HOUR_SECONDS, seconds // DAY_SECONDS
    if not hours:
        return ngettext("%(num)s minute", "%(num)s minutes", minutes)
    if days <= 1:
        return ngettext("%(num)s hour", "%(num)s hours", hours)
    return ngettext("%(num)s day", "%(num)s days", days)


def duration(minutes: int) -> str:
    """``90`` as ``1 hour 30 minutes``."""
    hours, rest = divmod(minutes, 60)
    in_hours = ngettext("%(num)s hour", "%(num)s hours", hours)
    in_minutes = ngettext("%(num)s minute", "%(num)s minutes", rest)
    if hours and rest:
        # Translators: a length, "1 hour 30 minutes".
        return gettext("%(hours)s %(minutes)s", hours=in_hours, minutes=in_minutes)
    return in_hours if hours else in_minutes
