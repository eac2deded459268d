"""A server's clock, from its answer to a harmless request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import responses
import time_machine

from bookingapp.integrations.probe import fetch_clock, fetch_time

URL = "https://api.example.org"
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [0, 30, -7200])
def test_our_clock_beside_a_servers(seconds: int) -> None:
    """Whatever the status."""
    with responses.RequestsMock() as mock, time_machine.travel(NOW, tick=False):
        theirs = format_datetime(NOW - timedelta(seconds=seconds), usegmt=True)
        mock.head(URL, status=401, headers={"Date": theirs})
        assert fetch_clock(URL) == timedelta(seconds=seconds)


def test_a_date_without_a_zone_is_utc() -> None:
    """``-0000`` says that of a time whose place is unknown (RFC 5322, section 3.3)."""
    with responses.RequestsMock() as mock:
        mock.head(URL, headers={"Date": "Sat, 28 Nov 2026 12:00:00 -0000"})
        assert fetch_time(URL) == NOW


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Date": ""},
        {"Date": "soon"},
        {"Date": "Sat, 99 Nov 2026 12:00:00 GMT"},
        {"Date": "Sat, 28 Nov 2026 10:00:00 GMT", "Age": "7200"},
    ],
)
def test_a_server_that_does_not_say(headers: dict[str, str]) -> None:
    with responses.RequestsMock() as mock:
        mock.head(URL, headers=headers)
        assert fetch_clock(URL) is None


def test_a_server_that_does_not_answer() -> None:
    with responses.RequestsMock(), pytest.raises(OSError, match="Connection refused"):
        fetch_clock(URL)
