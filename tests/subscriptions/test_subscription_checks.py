"""The hourly check of the webhook subscriptions: broken ones are made anew, and what was missed is fetched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bookingapp import worker
from bookingapp.bookings.models import HistoryEntry
from bookingapp.connections.service import WATCH_JOB
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.jobs import REGISTRY
from bookingapp.core.queue import Job, WorkState
from bookingapp.sync import subscription_checks
from bookingapp.sync.calendly_events import CATCH_UP_JOB, fetch_missed_invitees
from bookingapp.sync.models import Found, SubscriptionCheck
from tests.live import FREE, HOUR, KENJI, Live
from tests.subscriptions.test_subscribe import disable, forget, limit_events, ours

GROUP = "ETMAYAGRPHALF240"


def begin(live: Live) -> None:
    """Start a worker, and do what is due."""
    with live.database() as session:
        REGISTRY[WATCH_JOB].ensure_enqueued(session, now=utcnow())
    worker.run_due(live.app)


def checks(live: Live) -> list[SubscriptionCheck]:
    with live.database() as session:
        return list(session.scalars(sa.select(SubscriptionCheck).order_by(SubscriptionCheck.id)))


def connection(live: Live, slug: str = "ada") -> str:
    """What the dashboard's connection page says of it."""
    page = live.browser(slug).page("/dashboard/connection")
    (row,) = [row for row in page.select(".check-row") if "New bookings from Calendly" in row.text]
    return " ".join(row.get_text(" ").split())


def history(live: Live, ref: str) -> list[tuple[str, str]]:
    """Status and cause of each change."""
    query = sa.select(HistoryEntry).where(HistoryEntry.booking_id == live.booking(ref).id)
    with live.database() as session:
        return [(row.to_status.value, row.cause) for row in session.scalars(query.order_by(HistoryEntry.id))]


@pytest.mark.any_database
def test_a_disabled_subscription_is_made_anew_and_the_gap_fetched(live: Live) -> None:
    """Scenario 49. While nothing is delivered, a time is chosen, another canceled, a free session booked. All of it is
    known an hour later, each once; the dashboard says when deliveries stopped and when that was repaired.
    """
    live.builder(types={HOUR: {}, FREE: {"price_minor": 0}})
    live.builder("kenji", KENJI, types={"ETKENJICONSUL060": {}})
    browser, canceled = live.book()
    known = live.choose(browser, canceled)
    live.work()
    begin(live)
    assert live.booking(canceled).status == "scheduled"

    disable(live)
    scheduling, chosen = live.book()
    live.choose(scheduling, chosen)
    other, free = live.book(FREE)
    live.choose(other, free, FREE)
    live.hands.control(f"calendly/invitees/{known['uri'].rpartition('/')[2]}/cancel")
    live.hands.control("calendly/book", event_type=HOUR)  # By a stranger to our pages.
    live.work()
    assert [live.booking(ref).status for ref in (canceled, chosen, free)] == [
        "scheduled",
        "pending",
        "pending",
    ]

    hour_later(live)
    live.work()
    assert [live.booking(ref).status for ref in (canceled, chosen, free)] == [
        "canceled",
        "scheduled",
        "confirmed",
    ]
    (row,) = ours(live)
    assert row["state"] == "active"
    assert [check.found for check in checks(live)] == [Found.ACTIVE, Found.DISABLED]
    last = checks(live)[-1]
    assert last.repaired
    assert last.since is not None
    said = connection(live)
    assert "Calendly stopped sending us bookings at" in said
    assert "repaired at" in said
    assert "We are fetching what was missed." in said
    assert "Please check" in said
    assert "Calendly stopped sending us bookings at" in connection(live, "kenji")
    assert history(live, chosen)[1:] == [("scheduled", "missed_times_fetched")]

    # Fetching it again changes nothing, and what Calendly delivers from now on arrives.
    before = [history(live, ref) for ref in (canceled, chosen, free)]
    with live.app.app_context(), live.database() as session:
        builder = live.booking(chosen).builder_id
        assert (
            fetch_missed_invitees(session, live.context(), builder_id=builder, since=last.since, now=utcnow())
            == 0
        )
    assert [history(live, ref) for ref in (canceled, chosen, free)] == before
    again, later = live.book()
    live.choose(again, later)
    live.work()
    assert live.booking(later).status == "scheduled"


def hour_later(live: Live) -> None:
    """The next hour's row is due now."""
    with live.database() as session, transaction(session):
        rows = session.scalars(sa.select(Job).where(Job.name == WATCH_JOB, Job.state == WorkState.RECEIVED))
        (row,) = rows.all()
        row.run_at = utcnow() - timedelta(seconds=1)
    worker.run_due(live.app)


@pytest.mark.parametrize(
    ("break_it", "found"),
    [(disable, Found.DISABLED), (forget, Found.MISSING), (limit_events, Found.INCOMPLETE)],
)
def test_what_is_broken_is_repaired(live: Live, break_it: Any, found: Found) -> None:
    live.builder()
    begin(live)
    break_it(live)
    browser, ref = live.book()
    live.choose(browser, ref)
    hour_later(live)
    live.work()
    assert [check.found for check in checks(live)] == [Found.ACTIVE, found]
    (row,) = ours(live)
    assert row["state"] == "active"
    assert live.booking(ref).status == "scheduled"
    assert "repaired at" in connection(live)


def test_the_first_subscription_of_all_has_no_gap(live: Live) -> None:
    """Nothing was ever delivered, so nothing was missed and nothing is fetched."""
    live.builder()
    forget(live)
    begin(live)
    (check,) = checks(live)
    assert (check.found, check.repaired, check.since) == (Found.MISSING, True, None)
    assert live.jobs(CATCH_UP_JOB) == []
    assert "was not set up to send us new bookings" in connection(live)


def test_types_that_changed_meanwhile(live: Live) -> None:
    """A type was deleted without a delivery: its pending booking is released, its cards are gone."""
    live.builder(types={HOUR: {}, FREE: {"price_minor": 0}})
    _, ref = live.book()
    begin(live)
    disable(live)
    live.hands.control(f"calendly/event-types/{HOUR}/delete")
    live.browser().page("/builders/ada/session-types").one(f"[data-session-type={HOUR}]")
    hour_later(live)
    live.work()
    assert live.booking(ref).status == "canceled"
    assert not live.browser().page("/builders/ada/session-types").select(f"[data-session-type={HOUR}]")


def test_a_group_that_others_sit_in(live: Live) -> None:
    """Two of our bookings in one event, of which one was delivered: the other is found."""
    live.builder("maya", "SBXMAYALINDQV003", types={GROUP: {}})
    first, known = live.book(GROUP, "maya")
    second, unknown = live.book(GROUP, "maya")
    made = live.choose(first, known, GROUP)
    live.work()
    start = live.booking(known).starts_at
    assert start is not None
    begin(live)
    disable(live)
    live.choose(second, unknown, GROUP, start_time=start.isoformat())
    hour_later(live)
    live.work()
    assert live.booking(unknown).status == "scheduled"
    assert live.booking(unknown).event_uri == live.booking(known).event_uri == made["event"]


def test_when_calendly_cannot_be_asked(live: Live) -> None:
    live.builder()
    disable(live)
    live.fault("500", path_prefix="/calendly-api")
    begin(live)
    assert [check.found for check in checks(live)] == [Found.UNKNOWN]
    assert "we could not check whether Calendly sends us new bookings" in connection(live)
    live.hands.http.delete(f"{live.hands.base}/control/api/faults", timeout=10)
    hour_later(live)
    assert [check.found for check in checks(live)] == [Found.UNKNOWN, Found.DISABLED]
    assert ours(live)[0]["state"] == "active"


def test_trouble_that_has_only_begun(live: Live) -> None:
    live.builder()
    store = live.hands.server.sandbox.store
    (row,) = store.all("subscription")
    began = (utcnow() - timedelta(minutes=20)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    store.put("subscription", row["id"], {**row, "retry_started_at": began})
    begin(live)
    (check,) = checks(live)
    assert (check.found, check.repaired) == (Found.RETRYING, False)
    assert [one["id"] for one in ours(live)] == [row["id"]]
    assert "has had trouble reaching this site since" in connection(live)


def test_all_is_well(live: Live) -> None:
    live.builder()
    assert "Not checked yet" in connection(live)
    begin(live)
    assert "Calendly sends us every booking." in connection(live)
    with live.database() as session, transaction(session):
        session.scalars(sa.select(SubscriptionCheck)).one().at = utcnow() - timedelta(hours=5)
    said = connection(live)
    assert "Not checked since" in said
    assert "Not working" in said


def test_a_crash_loses_no_hour(live: Live) -> None:
    """The worker dies in the middle of a check: the next hour is enqueued already, and this one is done again."""
    live.builder()
    with live.database() as session:
        REGISTRY[WATCH_JOB].ensure_enqueued(session, now=utcnow())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subscription_checks, "platform_organization", killed)
        with pytest.raises(KeyboardInterrupt):
            worker.run_due(live.app)
    started, following = live.jobs(WATCH_JOB)
    assert (started.state, following.state) == (WorkState.PROCESSING, WorkState.RECEIVED)
    with live.database() as session, transaction(session):
        session.get_one(Job, started.id).run_at = utcnow() - timedelta(seconds=1)
    worker.run_due(live.app)
    assert [job.state for job in live.jobs(WATCH_JOB)] == [WorkState.DONE, WorkState.RECEIVED]
    assert len(checks(live)) == 1


def killed(_user: object) -> str:
    """As a SIGKILL: nothing is cleaned up by our own code."""
    raise KeyboardInterrupt


def test_after_a_long_sleep_there_is_one_check(live: Live) -> None:
    """A worker that was down for hours does not make up for each of them."""
    live.builder()
    long_ago = datetime.now(UTC) - timedelta(hours=9)
    with live.database() as session:
        REGISTRY[WATCH_JOB].ensure_enqueued(session, now=long_ago)
    begin(live)
    assert len(checks(live)) == 1
    ready = live.jobs(WATCH_JOB, WorkState.RECEIVED)
    assert len(ready) == 1
    assert ready[0].run_at > utcnow()


def test_old_checks_are_deleted(live: Live) -> None:
    with live.database() as session, transaction(session):
        session.add(SubscriptionCheck(at=utcnow() - timedelta(days=91), found=Found.ACTIVE))
    begin(live)
    assert len(checks(live)) == 1
