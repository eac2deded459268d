"""The refund policy: hours, percent, halves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bookingapp.bookings import policy

START = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def percent(
    terms: dict[str, Any], now: datetime, *, starts_at: datetime | None = START, by_builder: bool = False
) -> int:
    return policy.refund_percent(terms, starts_at=starts_at, now=now, by_builder=by_builder)


@pytest.mark.parametrize(
    ("left", "by_builder", "expected"),
    [
        (timedelta(days=30), False, 100),
        (timedelta(hours=24), False, 100),
        (timedelta(hours=24) - SECOND, False, 50),
        (timedelta(hours=12), False, 50),
        (timedelta(hours=12) - SECOND, False, 0),
        (timedelta(0), False, 0),
        (-timedelta(hours=1), False, 0),
        (timedelta(days=2), True, 100),
        (timedelta(minutes=1), True, 100),
    ],
)
def test_the_refund_by_hours_left_and_who_cancels(left: timedelta, by_builder: bool, expected: int) -> None:
    assert percent(policy.policy_snapshot(), START - left, by_builder=by_builder) == expected


def test_a_paid_booking_without_a_time_is_refunded_in_full() -> None:
    assert percent(policy.policy_snapshot(), START, starts_at=None) == 100


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
        "If your builder reschedules, your refund never gets smaller. If you reschedule, it never gets larger.",
        "If your builder cancels, you get everything back.",
    ]


def test_the_words_of_another_policy() -> None:
    """A booking keeps what it was promised, however many steps that had and in whatever order they were written."""
    promised: dict[str, Any] = {
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
        "If your builder reschedules, your refund never gets smaller. If you reschedule, it never gets larger.",
    ]
    for hours, share in ((72, 90), (71, 60), (48, 60), (47, 20), (6, 20), (5, 0)):
        assert percent(promised, START - timedelta(hours=hours)) == share
    assert percent(promised, START, by_builder=True) == 90


def test_a_free_session_speaks_of_no_money() -> None:
    assert policy.policy_sentences(policy.policy_snapshot(), is_free=True) == [
        "This session is free. If you cannot come, please cancel, so that the time becomes available."
    ]
