"""The facts about next free times: recorded when times are shown anyway, and refreshed a bounded number at a time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.session_types.models import FreeTime
from bookingapp.sync import free_times
from tests.live import FREE, HALF, HOUR, Live
from tests.pages import HTMX

TIMES = f"/builders/ada/session-types/{HOUR}/times"


def facts(live: Live) -> list[FreeTime]:
    with live.database() as session:
        return list(session.scalars(sa.select(FreeTime).order_by(FreeTime.session_type_id)))


def refresh(live: Live, now: datetime | None = None) -> int:
    with live.database() as session:
        return free_times.refresh_free_times(session, live.client(), now=now or utcnow())


def test_looking_at_times_is_a_fact_for_the_directory(live: Live) -> None:
    """Written once, however many look; the directory shows it and asks nobody."""
    live.builder()
    browser = live.browser()
    assert "Next free" not in browser.page("/").words
    for _ in range(3):
        browser.page(TIMES, headers=HTMX)
    (fact,) = facts(live)
    assert fact.next_at is not None
    assert f"{fact.next_at:%Y-%m-%dT%H:%M:%SZ}" == live.hands.slots()[0]["start_time"]
    live.hands.control("reset-requests")
    assert "Next free" in browser.page("/").words
    assert live.calls("event_type_available_times") == 0


def test_an_outdated_answer_is_no_fact(live: Live) -> None:
    live.builder()
    live.fault("500", path_prefix="/calendly-api/event_type_available_times")
    live.browser().page(TIMES, headers=HTMX, status=503)
    assert facts(live) == []


def test_the_job_refreshes_the_oldest_first(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many each time; a fact that is young is left alone, and one of a type that is gone says nothing."""
    live.builder(types={HOUR: {}, HALF: {}, FREE: {"price_minor": 0}, "GONE000000000001": {}})
    monkeypatch.setattr(free_times, "MOST_TYPES", 3)
    assert refresh(live) == 3
    assert refresh(live) == 1
    assert refresh(live) == 0
    assert [fact.next_at is not None for fact in facts(live)] == [True, True, True, False]
    old = utcnow() - timedelta(hours=2)
    with live.database() as session, transaction(session):
        session.execute(sa.update(FreeTime).values(checked_at=old))
    assert refresh(live) == 3
    assert sum(fact.checked_at == old for fact in facts(live)) == 1


def test_nobody_is_refreshed_who_is_not_in_the_directory(live: Live) -> None:
    live.builder(listed=False)
    assert refresh(live) == 0


def test_the_job_stops_where_calendly_fails(live: Live) -> None:
    live.builder(types={HOUR: {}, HALF: {}})
    live.fault("500", path_prefix="/calendly-api/event_type_available_times")
    assert refresh(live) == 0
    assert facts(live) == []
