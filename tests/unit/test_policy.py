"""The refund policy: hours, percent, halves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookingapp.bookings import policy
from bookingapp.builders.models import Builder
from bookingapp.builders.policy import (
    MOST_HOURS,
    USUAL,
    Step,
    check_steps,
    policy_sentences,
    policy_snapshot,
    snapshot_of,
    steps_of,
)
from bookingapp.core import i18n
from bookingapp.core.errors import Invalid

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
    assert percent(snapshot_of(USUAL), START - left, by_builder=by_builder) == expected


def test_a_paid_booking_without_a_time_is_refunded_in_full() -> None:
    assert percent(snapshot_of(USUAL), START, starts_at=None) == 100


def test_a_snapshot_is_a_copy() -> None:
    """What a booking was promised does not change with its builder's policy."""
    builder = Builder(refund_steps=[{"hours_before": 48, "percent": 80}])
    kept = policy_snapshot(builder)
    kept["client_cancels"][0]["percent"] = 1
    assert policy_snapshot(builder)["client_cancels"] == [{"hours_before": 48, "percent": 80}]
    builder.refund_steps = None
    assert policy_snapshot(builder) == snapshot_of(USUAL)


def test_a_snapshot_says_which_policy_it_was() -> None:
    kept = snapshot_of(USUAL)
    terms = ([(24, 100), (12, 50)], 100)
    rules = [(rule["hours_before"], rule["percent"]) for rule in kept["client_cancels"]]
    assert (kept["version"], (rules, kept["builder_cancels_percent"])) == (1, terms)


def test_the_words_say_what_the_numbers_do() -> None:
    assert policy_sentences(snapshot_of(USUAL), is_free=False) == [
        "Cancel at least 24 hours before the start: you get the full price back.",
        "Cancel 12 to 24 hours before the start: you get 50% of the price back.",
        "Cancel less than 12 hours before the start: there is no refund.",
        "If your builder reschedules, your refund never gets smaller. If you reschedule, it never gets larger.",
        "If your builder cancels, you get everything back.",
    ]


@pytest.mark.parametrize("code", ["de", "es"])
def test_a_share_is_not_broken_from_its_sign(code: str) -> None:
    """Where a language writes a space there, a line does not end in it."""
    with i18n.speaking(code):
        assert any("50\N{NO-BREAK SPACE}%" in line for line in policy_sentences(snapshot_of(USUAL)))


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
    assert policy_sentences(promised, is_free=False) == [
        "Cancel at least 72 hours before the start: you get 90% of the price back.",
        "Cancel 48 to 72 hours before the start: you get 60% of the price back.",
        "Cancel 6 to 48 hours before the start: you get 20% of the price back.",
        "Cancel less than 6 hours before the start: there is no refund.",
        "If your builder reschedules, your refund never gets smaller. If you reschedule, it never gets larger.",
    ]
    for hours, share in ((72, 90), (71, 60), (48, 60), (47, 20), (6, 20), (5, 0)):
        assert percent(promised, START - timedelta(hours=hours)) == share
    assert percent(promised, START, by_builder=True) == 90


def test_a_free_session_speaks_of_no_money() -> None:
    assert policy_sentences(snapshot_of(USUAL), is_free=True) == [
        "This session is free. If you cannot come, please cancel, so that the time becomes available."
    ]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "Please enter one to three steps."),
        ([(1, 1), (2, 2), (3, 3), (4, 4)], "Please enter one to three steps."),
        ([(0, 50)], "Please enter between 1 and 720 hours."),
        ([(721, 50)], "Please enter between 1 and 720 hours."),
        ([(24, 0)], "Please enter between 1 and 100 percent."),
        ([(24, 101)], "Please enter between 1 and 100 percent."),
        ([(24, 100), (24, 50)], "Two steps have 24 hours. Please remove one."),
        (
            [(12, 50), (24, 50)],
            "Less notice gives less back: at 12 hours please enter less than 50%.",
        ),
        (
            [(24, 50), (12, 100)],
            "Less notice gives less back: at 12 hours please enter less than 50%.",
        ),
    ],
)
def test_steps_that_no_builder_may_have(steps: list[tuple[int, int]], words: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_steps([Step(*step) for step in steps])
    assert refusal.value.message == words


STEPS = st.lists(
    st.builds(Step, st.integers(-1, MOST_HOURS + 1) | st.integers(1, 6), st.integers(-1, 102)), max_size=4
)


@given(steps=STEPS, left=st.integers(-10, (MOST_HOURS + 2) * 60))
def test_what_a_builder_may_set_is_what_a_client_reads_and_gets(steps: list[Step], left: int) -> None:
    """Refused with a sentence; or less and less comes back, as the sentences say. ``left``: minutes to the start."""
    try:
        ordered = check_steps(steps)
    except Invalid:
        return
    assert sorted(ordered) == sorted(steps)
    builder = Builder(refund_steps=[step._asdict() for step in ordered])
    assert list(steps_of(builder)) == ordered
    terms = policy_snapshot(builder)
    given_back = percent(terms, START - timedelta(minutes=left))
    due = [step.percent for step in steps if left >= step.hours_before * 60]
    assert given_back == max(due, default=0)
    assert given_back >= percent(terms, START - timedelta(minutes=left - 1))
    assert percent(terms, START - timedelta(minutes=left), by_builder=True) == 100
    sentences = policy_sentences(terms)
    assert len(sentences) == len(ordered) + 3
    for step, sentence in zip(ordered, sentences, strict=False):
        assert f"{step.hours_before} " in sentence
        assert ("the full price" if step.percent == 100 else f"{step.percent}%") in sentence


def test_one_hour_is_one_hour() -> None:
    assert policy_sentences(snapshot_of([Step(1, 100)]))[:2] == [
        "Cancel at least 1 hour before the start: you get the full price back.",
        "Cancel less than 1 hour before the start: there is no refund.",
    ]
