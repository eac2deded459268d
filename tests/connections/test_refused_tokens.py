"""Calendly takes no token for a builder any more: what stops, what goes on, and what is made up for later."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskCliRunner
from pydantic import SecretStr
from werkzeug.test import TestResponse

from bookingapp.bookings.models import Booking
from bookingapp.bookings.service import CANCEL_EVENT_JOB
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.connections.models import AuditEntry, AuditKind, ConnectionReason, ConnectionState
from bookingapp.connections.refusals import RECHECK_JOB
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.outcomes import Awaited
from bookingapp.session_types.models import SessionType
from bookingapp.worker import run_due
from tests.connections.conftest import SECONDARY, Connected, Town, connect, restarted
from tests.factories import make_booking, schedule
from tests.live import ADA, HOUR, KENJI, press
from tests.pages import HTMX, PageClient, parse

KENJIS_HOUR = "ETKENJICONSUL060"
CARDS = "/builders/ada/session-types"
BOOK = f"{CARDS}/{HOUR}/book"
CLIENT = {"name": "Grace Hall", "email": "grace@example.org", "timezone": "Europe/Berlin"}


def scheduled(town: Town, builder: Builder) -> Booking:
    """A booking with a time in the sandbox's calendar, not paid yet."""
    invitee, now = town.hands.control("calendly/book", event_type=HOUR), utcnow()
    with town.database() as session:
        row = session.scalars(sa.select(SessionType).where(SessionType.builder_id == builder.id)).one()
        booking = make_booking(session, builder=builder, session_type=row, now=now)
        schedule(
            session,
            booking,
            now=now,
            since=now,
            event_uri=invitee["event"],
            invitee_uri=invitee["uri"],
            starts_at=now + timedelta(days=3),
            ends_at=now + timedelta(days=3, hours=1),
        )
    town.requests()
    return booking


def status_in_calendly(town: Town, booking: Booking) -> str:
    """The status of the booking's event."""
    uri = town.booking(booking.ref).event_uri or ""
    found = town.hands.server.sandbox.store.get("event", uri.rpartition("/")[2])
    assert found is not None
    return str(found["status"])


def revoke(town: Town, user: str = ADA) -> None:
    town.hands.control(f"calendly/oauth/{user}/revoke")


def revoke_platform(town: Town, which: str = "primary", *, revoked: bool = True) -> None:
    """Somebody revokes one of the platform's tokens, or makes it good again."""
    town.hands.control("calendly/token", which=which, revoked=revoked)


def book(browser: PageClient, path: str = BOOK) -> TestResponse:
    return browser.submit(path, CLIENT)


def hurry(town: Town, **where: Any) -> None:
    """Let the time go by until the jobs are due."""
    with town.database() as session, transaction(session):
        session.execute(sa.update(Job).filter_by(**where).values(run_at=utcnow() - timedelta(seconds=1)))


def is_paused(town: Town, path: str = CARDS) -> bool:
    """Whether nothing can be booked on a builder's page, and the page says so kindly."""
    page = town.browser().page(path, headers=HTMX)
    open_cards = page.select("[data-bookable=true]")
    if "Booking is paused" in page.words:
        assert not open_cards
        return True
    assert open_cards
    return False


@pytest.mark.any_database
def test_everything_waits_for_a_revoked_token(town: Town, connected: Connected) -> None:
    """Scenario 36, 401 from Calendly: no storm, the builder is marked, booking is closed, what is booked can be paid, a
    cancellation waits, and everything goes on after reconnecting.
    """
    ada, browser = connected()
    payable, unwanted = scheduled(town, ada), scheduled(town, ada)
    # The check of the webhooks that follows connecting.
    run_due(town.app)
    town.requests()
    revoke(town)

    # At the first page that finds it out: the call that was refused, and two more at most.
    client = town.browser()
    assert is_paused(town)
    first, *further = town.requests()
    assert first == ("GET", "/calendly-api/event_types")
    assert len(further) <= 2
    marked = town.reread(ada)
    assert marked.disconnected_at is not None
    row = town.connection(ada)
    assert (row.state, row.access_token, row.refresh_token) == (ConnectionState.DEAD, None, None)

    # From here on Calendly is not asked at all, whatever people do.
    assert client.submit(f"/bookings/{unwanted.ref}/cancel").status_code == 303
    for _ in range(3):
        assert is_paused(town)
        refused = book(client)
        assert refused.status_code == 409
        assert "Booking is paused" in parse(refused).words
        assert browser.page("/dashboard/connection").one("[data-connection]")["data-connection"] == "dead"
        run_due(town.app)
        hurry(town, name=CANCEL_EVENT_JOB)
    assert town.requests() == []

    # A person can pay for what was booked before.
    pay = client.submit(f"/bookings/{payable.ref}/pay")
    assert pay.status_code == 303
    assert pay.headers["Location"].startswith(f"{town.hands.base}/stripe-checkout")

    # The cancellation is enqueued, and not given up however often it is tried.
    assert status_in_calendly(town, unwanted) == "active"
    for _ in range(12):
        hurry(town, name=CANCEL_EVENT_JOB)
        run_due(town.app)
    (waiting,) = town.jobs(CANCEL_EVENT_JOB)
    assert (waiting.state, waiting.outcome) == (WorkState.RECEIVED, Awaited.CONNECTION)
    assert waiting.attempts == waiting.waits >= 12
    assert town.requests() == []

    # Reconnecting opens everything, at once.
    page = browser.page("/dashboard/connection")
    assert "withdrawn in Calendly" in page.words
    assert "can be paid" in page.words
    assert connect(town, browser).status_code == 303
    assert town.reread(ada).disconnected_at is None
    run_due(town.app)
    assert [job.state for job in town.jobs(CANCEL_EVENT_JOB)] == [WorkState.DONE]
    assert status_in_calendly(town, unwanted) == "canceled"
    assert not is_paused(town)
    assert town.browser().submit(BOOK, {**CLIENT, "email": "other@example.org"}).status_code == 303


def test_a_revoked_token_is_found_out_by_whatever_asks_first(town: Town, connected: Connected) -> None:
    """Here a cancellation of the worker's, while the cards are still fresh in the cache."""
    ada, _ = connected()
    booking = scheduled(town, ada)
    run_due(town.app)
    town.requests()
    assert not is_paused(town)
    assert town.requests() == [("GET", "/calendly-api/event_types")]
    client = town.browser()
    revoke(town)
    client.submit(f"/bookings/{booking.ref}/cancel")
    run_due(town.app)
    assert len(town.requests()) <= 3
    page = client.page(CARDS, headers=HTMX)
    assert [card["data-bookable"] for card in page.select("[data-session-type]")]
    assert not page.select("[data-bookable=true]")
    assert "Booking is paused" in page.words
    assert book(client).status_code == 409
    assert client.page(f"{CARDS}/{HOUR}").select("form[action$=book]") == []
    assert town.requests() == []


def test_a_401_that_a_renewal_does_not_cure(town: Town, connected: Connected) -> None:
    """The refresh token still works, and what it gives is refused as well."""
    ada, _ = connected()
    store = town.hands.server.sandbox.store
    real = store.put

    def spoiled(kind: str, identifier: str, document: dict[str, Any]) -> None:
        is_access = kind == "oauth_token" and document["type"] == "access"
        real(kind, identifier, {**document, "revoked": True} if is_access else document)

    for grant in store.all("oauth_token", user=ADA):
        spoiled("oauth_token", grant["id"], grant)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "put", spoiled)
        assert is_paused(town)
    token, cards = ("POST", "/calendly-auth/oauth/token"), ("GET", "/calendly-api/event_types")
    assert town.requests() == [cards, token, cards]
    row = town.connection(ada)
    assert (row.state, row.reason) == (ConnectionState.DEAD, ConnectionReason.REFUSED_AFTER_RENEWAL)
    assert is_paused(town)
    assert town.requests() == []


def test_a_refused_access_token_is_renewed(town: Town, connected: Connected) -> None:
    """Calendly ends access tokens early sometimes: a password was changed, a clock is wrong."""
    ada, _ = connected()
    old = town.connection(ada).access_token
    town.hands.control(f"calendly/oauth/{ADA}/revoke", expire=True)
    assert not is_paused(town)
    assert town.connection(ada).access_token != old
    assert town.connection(ada).state is ConnectionState.CONNECTED


def test_another_builder_is_booked_and_the_dead_connection_can_be_ended(
    town: Town, connected: Connected
) -> None:
    """Then the platform's token serves, which the operator had allowed for this very user."""
    ada, browser = connected()
    town.builder("kenji", KENJI, {KENJIS_HOUR: {}})
    revoke(town)
    assert is_paused(town)
    assert not is_paused(town, "/builders/kenji/session-types")
    assert book(town.browser(), f"/builders/kenji/session-types/{KENJIS_HOUR}/book").status_code == 303
    assert press(browser, "/dashboard/connection/disconnect").status_code == 303
    assert town.reread(ada).disconnected_at is None
    assert not is_paused(town)


@pytest.mark.any_database
def test_the_platforms_token_is_refused(town: Town, runner: FlaskCliRunner) -> None:
    """The same for everybody whom it serves, and one call is all that Calendly sees of it."""
    ada = town.builder()
    booking = scheduled(town, ada)
    revoke_platform(town)
    assert is_paused(town)
    assert town.requests() == [("GET", "/calendly-api/event_types")]
    client, browser = town.browser(), town.browser("ada")
    for _ in range(3):
        assert is_paused(town)
        assert book(client).status_code == 409
        assert "has to renew its access" in browser.page("/dashboard/connection").words
        run_due(town.app)
    assert town.requests() == []
    assert client.submit(f"/bookings/{booking.ref}/pay").status_code == 303
    client.submit(f"/bookings/{booking.ref}/cancel")
    run_due(town.app)
    assert [job.state for job in town.jobs(CANCEL_EVENT_JOB)] == [WorkState.RECEIVED]
    assert town.requests() == []

    # The operator's check finds it refused.
    answer = runner.invoke(args=["calendly", "check"])
    assert answer.exit_code == 1
    assert "key or token refused" in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert town.requests() == [("GET", "/calendly-api/users/me")]
    # Once it is good again, the check opens booking without a restart.
    revoke_platform(town, revoked=False)
    answer = runner.invoke(args=["calendly", "check"])
    assert answer.exit_code == 0, answer.output
    assert town.reread(ada).disconnected_at is None
    run_due(town.app)
    assert [job.state for job in town.jobs(CANCEL_EVENT_JOB)] == [WorkState.DONE]
    assert not is_paused(town)
    entries = town.all(sa.select(AuditEntry).order_by(AuditEntry.id))
    assert [(one.kind, one.facts) for one in entries] == [
        (AuditKind.PLATFORM_REFUSED, {"token": 1, "builders": 1}),
        (AuditKind.PLATFORM_ACCEPTED, {}),
    ]


def test_the_worker_asks_again_at_leisure(town: Town) -> None:
    """A token that comes good by itself is found out: one call after half a minute, two, then a quarter hour."""
    ada = town.builder()
    revoke_platform(town)
    assert is_paused(town)
    town.requests()
    waits = []
    for _ in range(4):
        (due,) = town.jobs(RECHECK_JOB, WorkState.RECEIVED)
        waits.append((due.run_at - utcnow()).total_seconds())
        hurry(town, id=due.id)
        run_due(town.app)
        assert town.requests() == [("GET", "/calendly-api/users/me")]
    assert waits == pytest.approx([30, 120, 900, 900], abs=5)
    revoke_platform(town, revoked=False)
    hurry(town, name=RECHECK_JOB)
    run_due(town.app)
    assert town.reread(ada).disconnected_at is None
    assert not is_paused(town)
    assert town.jobs(RECHECK_JOB, WorkState.RECEIVED) == []


class TestTwoPlatformTokens:
    """CALENDLY_TOKEN_SECONDARY stands beside the first."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"calendly_token_secondary": SecretStr(SECONDARY)}

    def test_the_second_takes_over(self, town: Town, runner: FlaskCliRunner) -> None:
        """Nobody notices; there is one audit entry, and the operator's check says which one to replace."""
        ada = town.builder()
        revoke_platform(town)
        assert not is_paused(town)
        assert town.requests() == [("GET", "/calendly-api/event_types")] * 2
        assert town.user_name("platform") == "Booking Platform"
        assert town.requests() == [("GET", "/calendly-api/users/me")]
        assert town.reread(ada).disconnected_at is None
        (entry,) = town.all(sa.select(AuditEntry))
        assert (entry.kind, entry.facts) == (AuditKind.PLATFORM_TAKEOVER, {"token": 1})
        answer = runner.invoke(args=["calendly", "check"])
        assert answer.exit_code == 0, answer.output
        assert "CALENDLY_TOKEN: refused by Calendly" in answer.output
        assert len(town.all(sa.select(AuditEntry.id))) == 1

    def test_both_are_refused(self, town: Town) -> None:
        ada = town.builder()
        revoke_platform(town)
        revoke_platform(town, "secondary")
        assert is_paused(town)
        assert len(town.requests()) == 2
        assert is_paused(town)
        assert town.requests() == []
        assert town.reread(ada).disconnected_at is not None


def test_a_new_token_in_the_settings_opens_everything(town: Town) -> None:
    """After a restart with another CALENDLY_TOKEN, the first call that works unmarks the builders."""
    ada = town.builder()
    revoke_platform(town)
    assert is_paused(town)
    with restarted(town, calendly_token=SecretStr(SECONDARY)) as other:
        # The page that finds it out may still be closed; the next one is open.
        other.browser().page(CARDS, headers=HTMX)
        assert not is_paused(other)
        assert other.reread(ada).disconnected_at is None


def test_an_unpaid_booking_expires_while_calendly_refuses_us(town: Town, connected: Connected) -> None:
    """Its event is canceled in Calendly after reconnecting."""
    ada, browser = connected()
    booking = scheduled(town, ada)
    revoke(town)
    assert is_paused(town)
    with town.database() as session, transaction(session):
        session.get_one(Booking, booking.id).hold_expires_at = utcnow() - timedelta(seconds=1)
    hurry(town, name="bookings.expire")
    run_due(town.app)
    assert town.booking(booking.ref).status is Status.EXPIRED
    assert status_in_calendly(town, booking) == "active"
    connect(town, browser)
    run_due(town.app)
    assert status_in_calendly(town, booking) == "canceled"
    assert town.booking(booking.ref).status is Status.EXPIRED
