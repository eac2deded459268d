"""Reconciliation and the events that are not ours, and its share of Calendly's rate limit."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookingapp.bookings.states import Status
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.integrations.calendly import CalendlyRateLimited
from bookingapp.sync import reconciliation
from bookingapp.sync.models import Reconciliation
from tests.live import HOUR, Live

LEFT = {"X-RateLimit-Limit": "500", "X-RateLimit-Reset": "60"}


def reconcile(live: Live, *, hours: int = 0) -> None:
    """The hourly job of the one builder."""
    with live.app.app_context():
        now = utcnow() + timedelta(hours=hours)
        reconciliation.reconcile_times(db.session(), live.context(), builder_id=1, now=now)


def invitee_lists(live: Live) -> int:
    """How often the invitees of an event were listed."""
    rows = live.hands.http.get(f"{live.hands.base}/control/api/requests", timeout=10).json()["requests"]
    return sum(row["method"] == "GET" and row["path"].endswith("/invitees") for row in rows)


def test_events_of_others_are_fetched_once(live: Live) -> None:
    """Not every hour; a time whose webhook has not been applied is still found among them."""
    live.builder()
    for _ in range(3):
        live.hands.control("calendly/book", event_type=HOUR)
    reconcile(live)
    assert invitee_lists(live) == 3
    reconcile(live, hours=1)
    assert invitee_lists(live) == 3
    browser, ref = live.book()
    live.choose(browser, ref)
    reconcile(live, hours=2)
    assert live.booking(ref).status is Status.SCHEDULED
    assert invitee_lists(live) == 4


def test_an_event_that_changes_is_fetched_again(live: Live) -> None:
    """Its invitee cancels: that is another state, which is applied once as well."""
    live.builder()
    made: dict[str, str] = live.hands.control("calendly/book", event_type=HOUR)
    reconcile(live)
    live.hands.control(f"calendly/invitees/{made['uri'].rpartition('/')[2]}/cancel")
    reconcile(live, hours=1)
    reconcile(live, hours=2)
    assert invitee_lists(live) == 2


def test_reconciliation_waits_where_the_minute_is_kept_for_others(live: Live) -> None:
    """The job is tried again when the minute is over, and no failure is reported; an owed cancellation is sent."""
    live.builder()
    browser, ref = live.book()
    live.choose(browser, ref)
    live.work()
    with live.app.app_context():
        limits = live.client()._transport._limits
        limits.record("sandbox-calendly-token", {**LEFT, "X-RateLimit-Remaining": "300"})
    with pytest.raises(CalendlyRateLimited) as refused:
        reconcile(live)
    assert 50 < (refused.value.retry_after or 0) <= 60
    with live.database() as session:
        assert session.query(Reconciliation).count() == 0
    with live.app.app_context():
        limits.record("sandbox-calendly-token", {**LEFT, "X-RateLimit-Remaining": "40"})
    assert browser.submit(f"/bookings/{ref}/cancel").status_code == 303
    live.work()
    assert live.calls("/cancellation", "POST") == 1
