"""The time zones that a form offers: the places of the world by their names of today, with what the clocks show there.

Source: the IANA database, as the package ``tzdata`` has it: ``zone.tab`` lists one zone for each place that people look
for, ``tzdata.zi`` the former names of zones ("L Europe/Kyiv Europe/Kiev"), which browsers still report.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from babel import Locale
from markupsafe import Markup

from bookingapp.core.clock import HOUR_SECONDS, MINUTE_SECONDS, utcnow, zone, zone_city
from bookingapp.core.i18n import gettext, locale
from bookingapp.text import fold

UTC_NAME = "UTC"
_DIRECTIONS = ("north", "south", "west")


class Choice(NamedTuple):
    """One zone: its IANA name, how it is shown (``Lisbon (UTC+01:00)``), and its former names, with spaces between."""

    name: str
    label: str
    former: str


def todays_name(name: str | None) -> str | None:
    """The name that is offered for a zone; the given one where it has no other."""
    return _new_names().get(name or "", name)


def zone_choices(current: str | None = None) -> list[Choice]:
    """UTC, then the places in the order of their names in the reader's language. ``current`` is offered in any case."""
    hour = utcnow().replace(minute=0, second=0, microsecond=0)
    offered = _choices(hour, locale())
    if current and current not in _places() and current != UTC_NAME:
        return [Choice(current, _label(current, hour), ""), *offered]
    return offered


def other_names() -> list[Choice]:
    """Places that somebody may look for and that have no zone of their own today: ``Kiev → Kyiv (UTC+02:00)``."""
    hour = utcnow().replace(minute=0, second=0, microsecond=0)
    return _other_names(hour, locale())


def zone_options(current: str) -> tuple[Markup, Markup]:
    """Both lists as the options of a select, with ``current`` selected: written once for each zone, because a page has
    some 600.
    """
    hour = utcnow().replace(minute=0, second=0, microsecond=0)
    return _zone_options(todays_name(current), hour, locale())


@lru_cache(maxsize=32)
def _zone_options(current: str | None, hour: datetime, locale_: Locale) -> tuple[Markup, Markup]:
    option, selected = (
        Markup('<option value="{}">{}</option>'),
        Markup('<option value="{}" selected>{}</option>'),
    )
    places = (
        (selected if one.name == current else option).format(one.name, one.label)
        for one in zone_choices(current)
    )
    others = (option.format(one.name, one.label) for one in _other_names(hour, locale_))
    return Markup().join(places), Markup().join(others)


@lru_cache(maxsize=32)
def _other_names(hour: datetime, _locale: Locale) -> list[Choice]:
    # Besides, there are countries: US/Pacific, Brazil/East.
    continents = {name.split("/")[0] for name in _places()}
    found = []
    for old, new in _new_names().items():
        continent, place = old.split("/", 1)[0], old.rsplit("/", 1)[-1].replace("_", " ")
        is_place = continent in continents and place.lower() not in _DIRECTIONS and not place.isupper()
        if is_place and fold(place) != fold(zone_city(new)):
            # Translators: another name of a place and the zone that it has, in a list: "Kiev → Kyiv (UTC+02:00)".
            label = gettext("%(place)s → %(zone)s", place=place, zone=_label(new, hour))
            found.append(Choice(old, label, ""))
    return sorted(found, key=lambda one: fold(one.label))


@lru_cache(maxsize=32)
def _choices(hour: datetime, _locale: Locale) -> list[Choice]:
    former: dict[str, list[str]] = {}
    for old, new in _new_names().items():
        former.setdefault(new, []).append(old)
    found = [Choice(name, _label(name, hour), " ".join(former.get(name, ()))) for name in _places()]
    return [Choice(UTC_NAME, UTC_NAME, ""), *sorted(found, key=lambda one: fold(one.label))]


def _label(name: str, at: datetime) -> str:
    offset = at.astimezone(zone(name)).utcoffset() or timedelta()
    hours, rest = divmod(abs(int(offset.total_seconds())), HOUR_SECONDS)
    sign = "-" if offset < timedelta() else "+"
    written = f"{UTC_NAME}{sign}{hours:02}:{rest // MINUTE_SECONDS:02}"
    # Translators: a time zone in a list, "Lisbon (UTC+01:00)".
    return gettext("%(city)s (%(offset)s)", city=zone_city(name), offset=written)


@cache
def _places() -> frozenset[str]:
    lines = _read("zone.tab").splitlines()
    return frozenset(line.split("\t")[2] for line in lines if line and not line.startswith("#"))


@cache
def _new_names() -> Mapping[str, str]:
    lines = (line.split() for line in _read("tzdata.zi").splitlines())
    links = [line[1:] for line in lines if line[0] == "L"]
    return {old: new for new, old in links if "/" in old and old not in _places() and new in _places()}


def _read(name: str) -> str:
    return files("tzdata").joinpath("zoneinfo", name).read_text("utf-8")
