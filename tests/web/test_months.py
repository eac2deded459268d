"""The free times of a month: which month is shown, in which zone, and which windows Calendly is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
import time_machine
from flask import Flask
from requests import PreparedRequest

from bookingapp.core import services
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.session_types.month import Month, MonthTimes, fetch_month, find_first_free
from tests.factories import API, event_type_uri

NOW = datetime(2026, 9, 15, 12, 0, tzinfo=UTC)
LEAD = timedelta(minutes=2)
TYPE = event_type_uri("MONTHLY")
TIMES = re.compile(re.escape(f"{API}/event_type_available_times") + r"\?.*")
Window = tuple[datetime, datetime]


class Upstream:
    """Calendly's free times, and the windows that it was asked for."""

    def __init__(self, wire: responses.RequestsMock, starts: Iterable[str]) -> None:
        self.windows: list[Window] = []
        self._starts = [datetime.fromisoformat(start) for start in starts]
        wire.add_callback(responses.GET, TIMES, callback=self._answer)

    def _answer(self, request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        query = parse_qs(urlsplit(request.url or "").query)
        first, last = (datetime.fromisoformat(query[name][0]) for name in ("start_time", "end_time"))
        self.windows.append((first, last))
        found = ", ".join(
            f'{{"status": "available", "start_time": "{start.isoformat()}", "scheduling_url": "https://calendly.com"}}'
            for start in self._starts
            if first <= start < last
        )
        return 200, {"Content-Type": "application/json"}, f'{{"collection": [{found}], "pagination": {{}}}}'


def fetch(app: Flask, month: str, zone: str, *, now: datetime = NOW) -> MonthTimes:
    with app.app_context():
        shown = Month.parse(month, now=now, timezone=zone)
        calendly = services.get(CalendlyClient)
        return fetch_month(calendly, "builder:1-0", TYPE, shown, zone, now=now, lead=LEAD)


def starts(found: MonthTimes) -> list[str]:
    return [time.start_time.isoformat() for time in found.times]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-12", "2026-12"),
        ("2026-09", "2026-09"),
        ("2026-08", "2026-09"),
        ("0000-01", "2026-09"),
        ("2027-09", "2027-09"),
        ("2027-10", "2027-09"),
        ("9999-12", "2027-09"),
        *(
            (text, "2026-09")
            for text in ("", None, "2026-13", "2026-00", "2026-1", "x", "٢٠٢٦-١٢", "2026-12\n")
        ),
    ],
)
def test_which_month_is_shown(text: str | None, shown: str) -> None:
    """From this one to a year ahead; anything else is this one."""
    assert str(Month.parse(text, now=NOW, timezone="UTC")) == shown


def test_this_month_is_the_viewers() -> None:
    """At the turn of a month, readers around the world have different ones."""
    turn = datetime(2026, 12, 31, 11, 0, tzinfo=UTC)
    shown = {zone: str(Month.of(turn, zone)) for zone in ("Pacific/Kiritimati", "UTC", "Pacific/Pago_Pago")}
    assert shown == {"Pacific/Kiritimati": "2027-01", "UTC": "2026-12", "Pacific/Pago_Pago": "2026-12"}
    assert str(Month(2026, 1).plus(-1)) == "2025-12"


@pytest.mark.parametrize(
    ("month", "zone", "windows"),
    [
        ("2026-11", "UTC", [("2026-11-01T00:00", "2026-12-01T00:00")]),
        ("2026-12", "Europe/Berlin", [("2026-11-30T23:00", "2026-12-31T23:00")]),
        # 31 days and an hour: the clocks are set back.
        (
            "2026-10",
            "Europe/Berlin",
            [("2026-09-30T22:00", "2026-10-31T22:00"), ("2026-10-31T22:00", "2026-10-31T23:00")],
        ),
        ("2027-03", "Europe/Berlin", [("2027-02-28T23:00", "2027-03-31T22:00")]),
        # A quarter past is no even minute.
        ("2026-12", "Asia/Kathmandu", [("2026-11-30T18:14", "2026-12-31T18:14")]),
    ],
)
def test_windows_of_other_months(
    app: Flask, wire: responses.RequestsMock, month: str, zone: str, windows: list[tuple[str, str]]
) -> None:
    """One for each month, and the same for everybody who reads it in that zone."""
    with time_machine.travel(NOW, tick=False):
        upstream = Upstream(wire, [])
        for _ in range(100):
            fetch(app, month, zone)
    asked = [tuple(one.isoformat()[:16] for one in window) for window in upstream.windows]
    assert asked == windows
    assert all(last - first <= timedelta(days=31) for first, last in upstream.windows)


def test_the_present_month_shares_the_cards_answer(app: Flask, wire: responses.RequestsMock) -> None:
    with time_machine.travel(NOW, tick=False):
        upstream = Upstream(wire, ["2026-09-15T13:00Z", "2026-09-30T22:30Z", "2026-10-02T08:00Z"])
        with app.app_context():
            calendly = services.get(CalendlyClient)
            calendly.available_times("builder:1-0", TYPE, NOW, NOW + timedelta(days=31))
        for zone in ("UTC", "Europe/Berlin", "America/New_York"):
            found = fetch(app, "2026-09", zone)
            # Half past ten in the evening is October in Berlin.
            assert len(found.times) == (1 if zone == "Europe/Berlin" else 2)
    assert len(upstream.windows) == 1


@time_machine.travel(datetime(2026, 9, 30, 22, 10, tzinfo=UTC), tick=False)
def test_the_last_hour_of_a_long_month_that_has_just_begun(app: Flask, wire: responses.RequestsMock) -> None:
    now = datetime(2026, 9, 30, 22, 10, tzinfo=UTC)
    upstream = Upstream(wire, ["2026-10-31T22:20Z", "2026-10-31T22:30Z"])
    found = fetch(app, "2026-10", "Europe/Berlin", now=now)
    assert len(found.times) == 2
    assert len(upstream.windows) == 2


@time_machine.travel(NOW, tick=False)
def test_kathmandus_first_time_of_a_month(app: Flask, wire: responses.RequestsMock) -> None:
    """Midnight there is at an odd minute of UTC, and belongs to the month that begins."""
    Upstream(wire, ["2026-11-30T18:14Z", "2026-11-30T18:15Z", "2026-12-31T18:15Z"])
    found = fetch(app, "2026-12", "Asia/Kathmandu")
    assert starts(found) == ["2026-11-30T18:15:00+00:00"]
    assert [str(day) for day, _ in found.days] == ["2026-12-01"]


@time_machine.travel(NOW, tick=False)
def test_days_are_the_viewers_and_an_hour_may_come_twice(app: Flask, wire: responses.RequestsMock) -> None:
    twice = ["2026-10-25T00:30Z", "2026-10-25T01:30Z"]
    Upstream(wire, ["2026-10-24T21:30Z", "2026-10-24T22:30Z", *twice])
    found = fetch(app, "2026-10", "Europe/Berlin")
    assert [(str(day), len(times)) for day, times in found.days] == [("2026-10-24", 1), ("2026-10-25", 3)]


@time_machine.travel(NOW, tick=False)
def test_times_that_begin_too_soon_are_not_shown(app: Flask, wire: responses.RequestsMock) -> None:
    Upstream(wire, ["2026-09-15T12:02Z", "2026-09-15T12:04Z"])
    assert starts(fetch(app, "2026-09", "UTC")) == ["2026-09-15T12:04:00+00:00"]


@pytest.mark.parametrize(
    ("free", "found", "calls"),
    [
        ("2026-12-03T10:00:00+00:00", "2026-12-03T10:00:00+00:00", 2),
        ("2027-02-01T10:00:00+00:00", None, 3),
    ],
)
def test_the_first_free_day(
    app: Flask, wire: responses.RequestsMock, free: str, found: str | None, calls: int
) -> None:
    """Three further months are searched at most."""
    with time_machine.travel(NOW, tick=False), app.app_context():
        upstream = Upstream(wire, [free])
        calendly = services.get(CalendlyClient)
        first = find_first_free(calendly, "builder:1-0", TYPE, Month(2026, 10), "UTC", now=NOW, lead=LEAD)
    assert (first and first.isoformat()) == found
    assert len(upstream.windows) == calls


@time_machine.travel(NOW, tick=False)
def test_no_month_after_the_last_one_is_searched(app: Flask, wire: responses.RequestsMock) -> None:
    upstream = Upstream(wire, [])
    with app.app_context():
        calendly = services.get(CalendlyClient)
        first = find_first_free(calendly, "builder:1-0", TYPE, Month(2027, 8), "UTC", now=NOW, lead=LEAD)
    assert first is None
    assert len(upstream.windows) == 1


def test_an_outdated_answer_says_so(app: Flask, wire: responses.RequestsMock) -> None:
    with time_machine.travel(NOW, tick=False):
        Upstream(wire, ["2026-12-03T10:00Z"])
        fetch(app, "2026-12", "UTC")
    wire.replace(responses.GET, TIMES, status=503)
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        found = fetch(app, "2026-12", "UTC", now=NOW + timedelta(hours=1))
    assert (len(found.times), found.as_of) == (1, NOW)
