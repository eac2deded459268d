"""The current time, time zones, and how times are written for people: in their zone, with its name."""

from __future__ import annotations

import math
from datetime import UTC, datetime, time, timedelta
from datetime import date as _date
from functools import cache, lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from babel.dates import format_date, format_datetime, format_time, get_timezone_name

from bookingapp.core.i18n import SOURCE, gettext, language, locale, ngettext
from bookingapp.core.time_sources import TimeSources

_NO_ZONES = ("factory", "localtime", "posixrules")
"""Files beside the zones, in lower case: their names say nothing about where somebody is."""
_UTC_NAMES = frozenset({"UTC", "Etc/UTC"})
MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3600, 86_400


TIME_SOURCES: Final = TimeSources()
"""The clocks that this process knows. What calls a provider has its answers noted here."""


def utcnow() -> datetime:
    """The current time, aware and in UTC. Everything else asks here, so that a wrong clock of this machine harms
    nothing that the providers' clocks can prevent.
    """
    return TIME_SOURCES.now()


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
    return _label_of(at.astimezone(zone(name)), name)


def _label_of(local: datetime, name: str | None) -> str:
    is_summer = (local.dst() or timedelta()) > timedelta()
    return _zone_label(local.tzname() or "", local.utcoffset() or timedelta(), name, is_summer, language())


@lru_cache(1000)
def _zone_label(label: str, offset: timedelta, name: str | None, is_summer: bool, _language: str) -> str:  # noqa: FBT001
    if label.isalpha():
        return _in_words(label, name, variant="daylight" if is_summer else "standard")
    sign = "-" if offset < timedelta() else "+"
    hours, minutes = divmod(abs(int(offset.total_seconds())) // 60, 60)
    return f"UTC{sign}{hours:02}:{minutes:02}"


def _in_words(label: str, name: str | None, *, variant: Literal["daylight", "standard"]) -> str:
    """``CET`` as ``MEZ`` where the language has letters of its own for it."""
    if language() == SOURCE:
        return label
    own = get_timezone_name(zone(name), "short", zone_variant=variant, locale=locale())
    return own if own.isalpha() and own.isupper() else label


def zone_city(name: str | None) -> str:
    """``Europe/London`` as ``London``, in the reader's language where it has another name."""
    return _zone_city(name or "UTC", language())


# Where the CLDR, whose keys do not change, has a city under the former name of its zone. Kyiv, Yangon and Kanton are
# not here: the CLDR has their former names in other languages too.
_KEYS = {
    "America/Argentina/Cordoba": "America/Cordoba",
    "America/Indiana/Indianapolis": "America/Indianapolis",
    "America/Nuuk": "America/Godthab",
    "Asia/Ho_Chi_Minh": "Asia/Saigon",
    "Asia/Kathmandu": "Asia/Katmandu",
    "Asia/Kolkata": "Asia/Calcutta",
    "Atlantic/Faroe": "Atlantic/Faeroe",
}


@lru_cache(1000)
def _zone_city(name: str, code: str) -> str:
    own = locale().time_zones.get(_KEYS.get(name, name), {}).get("city") if code != SOURCE else None
    # Typing finds no name with invisible hyphens in it (German: Reyk\xadja\xadvík).
    return str(own or name.rsplit("/", 1)[-1].replace("_", " ")).replace("\N{SOFT HYPHEN}", "")


def zone_time(name: str | None) -> str:
    """``London time`` inside of a sentence. UTC is the time of no place, and has a name of its own."""
    if zone(name).key in _UTC_NAMES:
        # Translators: instead of "%(city)s time", inside of a sentence: UTC in words.
        return gettext("Coordinated Universal Time")
    # Translators: the time of a place, inside of a sentence.
    return gettext("%(city)s time", city=zone_city(name))


def zone_title(name: str | None) -> str:
    """What :func:`zone_time` says, standing alone."""
    words = zone_time(name)
    return words[:1].upper() + words[1:]


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
    return _format_day(at, name, _day_pattern())


def weekday(at: datetime, name: str | None) -> str:
    """``Tuesday`` in the named zone."""
    return _format_day(at, name, "EEEE")


def date(at: datetime, name: str | None) -> str:
    """``24 November 2026`` in the named zone."""
    return _format_day(at, name, gettext("d MMMM y"))


def month(at: datetime, name: str | None) -> str:
    """``November 2026`` in the named zone."""
    return _format_day(at, name, gettext("LLLL y"))


def clock(at: datetime, name: str | None) -> str:
    """``14:30 GMT`` in the named zone."""
    local = at.astimezone(zone(name))
    return (
        f"{_written_clock(local.hour, local.minute, _clock_pattern(), language())} {_label_of(local, name)}"
    )


def time_range(start: datetime, end: datetime, name: str | None) -> str:
    """``14:30-15:30 GMT``, with an en dash. Where the clocks change in between, both times carry their zone."""
    return Agenda(name).write(start, end)[1]


class Agenda:
    """Writes the days and times of many sessions in one zone, as :func:`day` and :func:`time_range` do."""

    def __init__(self, name: str | None) -> None:
        self._name, self._zone, self._language = name, zone(name), language()
        self._day, self._clock = _day_pattern(), _clock_pattern()

    def write(self, start: datetime, end: datetime) -> tuple[str, str]:
        """The day of the start, and the times."""
        first, last = start.astimezone(self._zone), end.astimezone(self._zone)
        times = _written_range(
            first.hour,
            first.minute,
            _label_of(first, self._name),
            last.hour,
            last.minute,
            _label_of(last, self._name),
            self._clock,
            self._language,
        )
        return _written_day(first.date(), self._day, self._language), times


def _with_zone(at: datetime, name: str | None, pattern: str) -> str:
    local = at.astimezone(zone(name))
    return f"{_written(local.replace(tzinfo=None), pattern, language())} {_label_of(local, name)}"


def _format_day(at: datetime, name: str | None, pattern: str) -> str:
    return _written_day(at.astimezone(zone(name)).date(), pattern, language())


def _day_pattern() -> str:
    return gettext("EEEE d MMMM y")


def _clock_pattern() -> str:
    return gettext("HH:mm")


# What was written is kept, because Babel needs longer for the dates of a list than the database for its rows. Days and
# times of day are kept apart, because there are few of each. The last parameter is the language of ``locale()``.
@lru_cache(10_000)
def _written(local: datetime, pattern: str, _language: str) -> str:
    return format_datetime(local, pattern, locale=locale())


@lru_cache(10_000)
def _written_day(local: _date, pattern: str, _language: str) -> str:
    return format_date(local, pattern, locale=locale())


@lru_cache(10_000)
def _written_clock(hour: int, minute: int, pattern: str, _language: str) -> str:
    return format_time(time(hour, minute), pattern, locale=locale())


@lru_cache(10_000)
def _written_range(
    hour: int,
    minute: int,
    label: str,
    end_hour: int,
    end_minute: int,
    end_label: str,
    pattern: str,
    language: str,
) -> str:
    first, last = (_written_clock(*at, pattern, language) for at in ((hour, minute), (end_hour, end_minute)))
    return f"{first if label == end_label else f'{first} {label}'}\N{EN DASH}{last} {end_label}"


def iso(at: datetime) -> str:
    """ISO 8601 in UTC, to the second, for ``<time datetime>``."""
    in_utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return f"{in_utc.isoformat(timespec='seconds')[:19]}Z"


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
