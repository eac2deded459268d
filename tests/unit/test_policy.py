"""The refund policy: hours, percent, halves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bookingapp.bookings import policy

START = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("left", "percent"),
    [
        (timedelta(days=30), 100),
        (timedelta(hours=24), 100),
        (timedelta(hours=24) - SECOND, 50),
        (timedelta(hours=12), 50),
        (timedelta(hours=12) - SECOND, 0),
        (timedelta(0), 0),
        (-timedelta(hours=1), 0),
    ],
)
def test_what_a_client_gets_back(left: timedelta, percent: int) -> None:
    """100 % up to 24 hours before, 50 % up to 12, nothing after."""
    found = policy.refund_percent(
        policy.policy_snapshot(), starts_at=START, now=START - left, by_builder=False
    )
    assert found == percent


@pytest.mark.parametrize("left", [timedelta(days=2), timedelta(minutes=1)])
def test_a_builder_who_cancels_pays_everything_back(left: timedelta) -> None:
    """Whenever it is."""
    assert (
        policy.refund_percent(policy.policy_snapshot(), starts_at=START, now=START - left, by_builder=True)
        == 100
    )


def test_without_a_time_everything_goes_back() -> None:
    """A paid booking whose time never came."""
    assert policy.refund_percent(policy.policy_snapshot(), starts_at=None, now=START, by_builder=False) == 100


def test_hours_are_absolute_over_a_clock_change() -> None:
    """London's clocks go back on 25 October 2026: 24 hours by the wall are 25 by the clock that counts."""
    london = ZoneInfo("Europe/London")
    starts_at = datetime(2026, 10, 25, 12, 0, tzinfo=london)
    by_the_wall = datetime(2026, 10, 24, 12, 0, tzinfo=london)
    how: dict[str, Any] = {"starts_at": starts_at.astimezone(UTC), "by_builder": False}
    last_moment = by_the_wall.astimezone(UTC) + timedelta(hours=1)
    assert policy.refund_percent(policy.policy_snapshot(), now=last_moment, **how) == 100
    assert policy.refund_percent(policy.policy_snapshot(), now=last_moment + SECOND, **how) == 50


def test_a_snapshot_is_a_copy() -> None:
    """What a booking was promised does not change with the platform's policy."""
    kept = policy.policy_snapshot()
    kept["client_cancels"][0]["percent"] = 1
    assert policy.policy_snapshot()["client_cancels"][0]["percent"] == 100


def test_a_snapshot_says_which_policy_it_was() -> None:
    kept = policy.policy_snapshot()
    terms = ([(24, 100), (12, 50)], 100)
    rules = [(rule["hours_before"], rule["percent"]) for rule in kept["client_cancels"]]
    assert (kept["version"], (rules, kept["builder_cancels_percent"])) == (1, terms)


def test_the_words_say_what_the_numbers_do() -> None:
    assert policy.policy_sentences(policy.policy_snapshot(), is_free=False) == [
        "Cancel at least 24 hours before the start: you get the full price back.",
        "Cancel 12 to 24 hours before the start: you get 50 % of the price back.",
        "Cancel less than 12 hours before the start: there is no refund.",
        "If your builder cancels, you get everything back.",
    ]


def test_the_words_of_another_policy() -> None:
    """A booking keeps what it was promised, however many steps that had and in whatever order they were written."""
    promised = {
        "version": 0,
        "client_cancels": [
            {"hours_before": 6, "percent": 20},
            {"hours_before": 72, "percent": 90},
            {"hours_before": 48, "percent": 60},
        ],
        "builder_cancels_percent": 90,
    }
    assert policy.policy_sentences(promised, is_free=False) == [
        "Cancel at least 72 hours before the start: you get 90 % of the price back.",
        "Cancel 48 to 72 hours before the start: you get 60 % of the price back.",
        "Cancel 6 to 48 hours before the start: you get 20 % of the price back.",
        "Cancel less than 6 hours before the start: there is no refund.",
    ]
    for hours, percent in ((72, 90), (71, 60), (48, 60), (47, 20), (6, 20), (5, 0)):
        now = START - timedelta(hours=hours)
        assert policy.refund_percent(promised, starts_at=START, now=now, by_builder=False) == percent
    assert policy.refund_percent(promised, starts_at=START, now=START, by_builder=True) == 90


def test_a_free_session_speaks_of_no_money() -> None:
    assert policy.policy_sentences(policy.policy_snapshot(), is_free=True) == [
        "This session is free. If you cannot come, please cancel, so that the time becomes available."
    ]
