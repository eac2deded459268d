"""Times in words, in the viewer's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from bookingapp.core import clock, i18n, zones
from bookingapp.text import fold

WINTER = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
SUMMER = datetime(2026, 7, 24, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "zone", "shown"),
    [
        (WINTER, "Europe/London", "Tuesday 24 November 2026, 14:30 GMT"),
        (SUMMER, "Europe/London", "Friday 24 July 2026, 15:30 BST"),
        (WINTER, "Asia/Tokyo", "Tuesday 24 November 2026, 23:30 JST"),
        (WINTER, "America/New_York", "Tuesday 24 November 2026, 09:30 EST"),
        (WINTER, "Australia/Sydney", "Wednesday 25 November 2026, 01:30 AEDT"),
        (WINTER, "Asia/Tehran", "Tuesday 24 November 2026, 18:00 UTC+03:30"),
        (WINTER, "America/Sao_Paulo", "Tuesday 24 November 2026, 11:30 UTC-03:00"),
        (WINTER, "UTC", "Tuesday 24 November 2026, 14:30 UTC"),
        (WINTER, None, "Tuesday 24 November 2026, 14:30 UTC"),
        (WINTER, "Nowhere/Land", "Tuesday 24 November 2026, 14:30 UTC"),
        (WINTER, "../../etc/passwd", "Tuesday 24 November 2026, 14:30 UTC"),
    ],
)
def test_day_and_time_name_their_zone(at: datetime, zone: str | None, shown: str) -> None:
    assert clock.day_time(at, zone) == shown


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        (WINTER, "14:30\N{EN DASH}15:30 GMT"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "01:30 BST\N{EN DASH}01:30 GMT"),
    ],
)
def test_a_range_names_its_zone_once_unless_the_clocks_change(start: datetime, shown: str) -> None:
    assert clock.time_range(start, start + timedelta(hours=1), "Europe/London") == shown


def test_iso_is_utc_to_the_second() -> None:
    tokyo = WINTER.astimezone(clock.zone("Asia/Tokyo"))
    assert clock.iso(tokyo.replace(microsecond=999)) == "2026-11-24T14:30:00Z"


@time_machine.travel(WINTER, tick=False)
def test_zones_to_choose_from() -> None:
    """By their cities, so that typing finds them, with the offset; each by its name of today, and no place twice."""
    choices = zones.zone_choices()
    labels = [one.label for one in choices]
    by_label = dict(zip(labels, choices, strict=True))
    assert labels[0] == "UTC"
    assert labels[1:] == sorted(labels[1:], key=fold)
    assert len(by_label) == len(choices)
    assert by_label["Lisbon (UTC+00:00)"].name == "Europe/Lisbon"
    assert by_label["Buenos Aires (UTC-03:00)"].name == "America/Argentina/Buenos_Aires"
    assert by_label["Kathmandu (UTC+05:45)"].former == "Asia/Katmandu"
    assert "Europe/Kiev" in by_label["Kyiv (UTC+02:00)"].former.split()
    assert not [one for one in labels if one.startswith(("Kiev", "Calcutta", "GMT"))]


def test_a_zone_by_a_name_that_is_not_offered() -> None:
    """A former one is that of today; one that is no place is offered besides, where it is the present one."""
    assert zones.todays_name("Europe/Kiev") == "Europe/Kyiv"
    assert zones.todays_name("Europe/Oslo") == "Europe/Oslo"
    assert zones.zone_choices("Etc/GMT+3")[0].label == "GMT+3 (UTC-03:00)"
    assert zones.zone_choices("Europe/Oslo") == zones.zone_choices()


@time_machine.travel(WINTER, tick=False)
def test_other_names_lead_to_the_zone_of_today() -> None:
    """Former names, and cities whose zone has another's name; no directions, and none that is offered anyway."""
    by_name = {one.name: one.label for one in zones.other_names()}
    assert by_name["Europe/Kiev"] == "Kiev → Kyiv (UTC+02:00)"
    assert by_name["Asia/Calcutta"] == "Calcutta → Kolkata (UTC+05:30)"
    assert by_name["America/Montreal"] == "Montreal → Toronto (UTC-05:00)"
    assert not by_name.keys() & (
        {one.name for one in zones.zone_choices()} | {"Australia/South", "US/Pacific"}
    )


@pytest.mark.parametrize("code", sorted(i18n.LANGUAGES))
def test_typing_finds_a_zone_in_each_language(code: str) -> None:
    """No invisible letter is in a name, as in the German one of Reykjavík."""
    with i18n.speaking(code):
        labels = [one.label for one in (*zones.zone_choices(), *zones.other_names())]
    assert all(label.isprintable() for label in labels)
    assert len(labels) == len(set(labels))


def test_what_is_a_zone() -> None:
    assert not clock.is_zone("Europe/Londinium")
    assert not clock.is_zone("")
    assert not any(map(clock.is_zone, ("localtime", "Factory", "posixrules")))
    assert clock.zone_city("America/Argentina/Buenos_Aires") == "Buenos Aires"


@pytest.mark.parametrize(
    ("code", "london", "utc", "alone"),
    [
        (None, "London time", "Coordinated Universal Time", "London time"),
        ("de", "Zeit in London", "koordinierte Weltzeit", "Zeit in London"),
        ("es", "hora de Londres", "hora universal coordinada", "Hora de Londres"),
    ],
)
def test_the_time_of_a_place_and_of_none(code: str | None, london: str, utc: str, alone: str) -> None:
    """UTC is no place, so nobody reads "UTC time" or "hora de UTC"."""
    with i18n.speaking(code):
        assert clock.zone_time("Europe/London") == london
        assert clock.zone_title("Europe/London") == alone
        for name in ("UTC", "Etc/UTC", None):
            assert clock.zone_time(name) == utc


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (15, "15 minutes"),
        (1, "1 minute"),
        (60, "1 hour"),
        (90, "1 hour 30 minutes"),
        (121, "2 hours 1 minute"),
        (0, "0 minutes"),
    ],
)
def test_durations(minutes: int, words: str) -> None:
    assert clock.duration(minutes) == words


def test_now_is_aware() -> None:
    assert clock.utcnow().tzinfo is UTC
