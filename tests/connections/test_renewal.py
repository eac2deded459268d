"""A pair is renewed exactly once, by however many processes, also where the answer is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bookingapp.builders.models import Builder
from bookingapp.connections import lease
from bookingapp.connections.models import (
    CalendlyConnection,
    ConnectionReason,
    ConnectionState,
    PendingRevocation,
)
from bookingapp.connections.tokens import Tokens
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import TransactionOpen, transaction
from bookingapp.core.settings import PROJECT_ROOT, Settings
from bookingapp.integrations.calendly import (
    CalendlyUnauthorized,
    CalendlyUnavailable,
    Grant,
    InvalidClient,
    OAuthClient,
)
from bookingapp.worker import run_due
from tests.conftest import ENCRYPTION_KEY
from tests.connections.conftest import Connected, Town, connect
from tests.live import press
from tests.pages import PageClient
from tests.waiting import eventually

TOKEN = ("POST", "/calendly-auth/oauth/token")
REVOKE = ("POST", "/calendly-auth/oauth/revoke")
EXPIRED = timedelta(seconds=-1)


@pytest.fixture
def ada(town: Town, connected: Connected) -> Builder:
    """A builder whose access token has expired."""
    made, _ = connected()
    town.age(made, EXPIRED)
    return made


def ask(town: Town, builder: Builder) -> str:
    """The token that a call for this builder would be made with."""
    with town.app.app_context():
        return services.get(Tokens).token_for(builder.tenant)


def write(town: Town, builder: Builder, **values: Any) -> None:
    """Change the connection behind the application's back, as passing time would."""
    row = CalendlyConnection
    with town.database() as session, transaction(session):
        session.execute(sa.update(row).where(row.builder_id == builder.id).values(**values))


def claim(town: Town, builder: Builder, now: datetime) -> lease.ConnectionSnapshot | None:
    """Claim the lease of the renewal, as a process does that finds the pair expired."""
    with town.database() as session, transaction(session):
        seen, _ = lease.find_snapshot(session, builder.id)
        assert seen is not None
        return lease.claim_lease(session, seen, is_refused=False, now=now)


def trouble(town: Town, kind: str, **how: Any) -> None:
    town.fault(kind, path_prefix="/oauth/token", **how)


SCRIPT = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from bookingapp.connections.tokens import Tokens
from bookingapp.core import services
from bookingapp.factory import create_app
from bookingapp.integrations.calendly import CalendlyUnavailable
app = create_app()
with app.app_context():
    tokens = services.get(Tokens)
def one(_):
    while True:
        try:
            with app.app_context():
                return tokens.token_for(sys.argv[1])
        except CalendlyUnavailable:
            continue  # What a page says in words: please try again.
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(8) as pool:
    print(*set(pool.map(one, range(8))), flush=True)
"""


@pytest.mark.any_database
def test_processes_renew_once(town: Town, ada: Builder, settings: Settings) -> None:
    """Two processes with eight threads each find the same pair expired at the same moment."""
    trouble(town, "latency", seconds=0.5)
    town.requests()
    old = town.connection(ada)
    names = (
        "calendly_api_url",
        "calendly_auth_url",
        "calendly_client_id",
        "database_url",
        "public_url",
        "instance_dir",
    )
    chosen = {name.upper(): str(getattr(settings, name)) for name in names}
    chosen |= {"CALENDLY_CLIENT_SECRET": "sandbox-client-secret", "ENCRYPTION_KEYS": ENCRYPTION_KEY}
    options: Any = {"cwd": PROJECT_ROOT, "env": {**os.environ, **chosen}, "text": True}
    options |= dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-c", SCRIPT, ada.tenant]
    processes = [subprocess.Popen[str](command, **options) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=30) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    new = town.connection(ada)
    assert [out.strip() for out, _ in said] == [new.access_token] * 2, said
    assert new.access_token != old.access_token
    assert new.refresh_token != old.refresh_token
    assert new.lease_until is None
    assert new.expires_at > utcnow() + timedelta(hours=1)
    assert town.requests() == [TOKEN]
    assert all(str(new.access_token) not in errors for _, errors in said)
    assert town.user_name(ada.tenant) == "Ada Okonkwo"


@pytest.mark.parametrize(("left", "renewed"), [(timedelta(minutes=4), True), (timedelta(minutes=6), False)])
def test_a_pair_is_renewed_five_minutes_early(
    town: Town, connected: Connected, left: timedelta, renewed: bool
) -> None:
    """In the background: the caller gets the old token, which is still good."""
    ada, _ = connected()
    old = town.connection(ada).access_token
    town.age(ada, left)
    assert ask(town, ada) == old
    if renewed:
        eventually(lambda: town.connection(ada).access_token != old, "the new pair")
    assert town.connection(ada).access_token == old or renewed
    assert town.requests() == ([TOKEN] if renewed else [])
    assert ask(town, ada) == town.connection(ada).access_token


def test_an_early_renewal_that_fails_leaves_the_token_in_use(town: Town, connected: Connected) -> None:
    ada, _ = connected()
    old = town.connection(ada).access_token
    town.age(ada, timedelta(minutes=4))
    trouble(town, "500")
    assert ask(town, ada) == old
    eventually(lambda: town.connection(ada).retry_at, "the failure")
    assert [ask(town, ada) for _ in range(5)] == [old] * 5
    assert town.requests() == [TOKEN]


def test_a_failure_that_spent_nothing_is_made_good(town: Town, ada: Builder) -> None:
    """Calendly answers 500; a moment later the same refresh token works."""
    trouble(town, "500", remaining=1)
    with pytest.raises(CalendlyUnavailable):
        ask(town, ada)
    with pytest.raises(CalendlyUnavailable, match="just failed"):
        ask(town, ada)
    assert town.requests() == [TOKEN]
    write(town, ada, retry_at=utcnow())
    assert ask(town, ada) == town.connection(ada).access_token
    assert town.connection(ada).asked_at is None
    assert town.reread(ada).disconnected_at is None


def test_an_answer_that_is_lost_is_the_end_and_says_so(town: Town, ada: Builder, browser: PageClient) -> None:
    """The refresh token is spent and the next one is lost; the builder's page says what happened."""
    trouble(town, "lost_answer", remaining=1)
    with pytest.raises(CalendlyUnavailable):
        ask(town, ada)
    assert town.connection(ada).state is ConnectionState.CONNECTED
    write(town, ada, retry_at=utcnow())
    with pytest.raises(CalendlyUnauthorized):
        ask(town, ada)
    row = town.connection(ada)
    assert (row.state, row.access_token, row.refresh_token) == (ConnectionState.DEAD, None, None)
    assert row.reason is ConnectionReason.INTERRUPTED
    assert town.reread(ada).disconnected_at is not None
    assert town.requests() == [TOKEN, TOKEN]
    page = browser.page("/dashboard/connection")
    assert "The last renewal was interrupted" in page.words
    assert page.one("[data-connection]")["data-connection"] == "dead"
    assert connect(town, browser).status_code == 303
    assert ask(town, town.reread(ada)) == town.connection(ada).access_token


def test_a_crash_while_renewing_is_survived(town: Town, ada: Builder) -> None:
    """The others wait for the lease a moment, fail with an error, and take it over when it ends."""
    assert claim(town, ada, utcnow()) is not None
    with town.app.app_context():
        services.get(Tokens)._renewals._patience = 0.5
    with pytest.raises(CalendlyUnavailable, match="still being renewed"):
        ask(town, ada)
    assert town.requests() == []
    write(town, ada, lease_until=utcnow())
    eventually(lambda: town.requests(reset=False) == [TOKEN], "the lease to be taken over")
    eventually(lambda: town.connection(ada).lease_until is None, "the end of the renewal")
    assert ask(town, ada) == town.connection(ada).access_token


def test_who_comes_back_too_late_writes_nothing(town: Town, ada: Builder) -> None:
    now = utcnow()
    first = claim(town, ada, now)
    assert claim(town, ada, now) is None, "the lease is taken"
    second = claim(town, ada, now + lease.LEASE)
    assert first is not None and second is not None
    assert second.fence == first.fence + 1
    with town.database() as session, transaction(session):
        lease.release_lease(session, first, retry_at=now, answered=True, reason=ConnectionReason.APP_REFUSED)
    row = town.connection(ada)
    assert (row.reason, row.lease_until) == (None, now + lease.LEASE * 2)


def test_disconnecting_while_a_renewal_is_under_way(
    town: Town, ada: Builder, browser: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new pair is not stored, and is revoked at Calendly."""
    with town.app.app_context():
        oauth = services.get(OAuthClient)
    refresh = oauth.refresh

    def slowly(refresh_token: str) -> Grant:
        grant = refresh(refresh_token)
        assert press(browser, "/dashboard/connection/disconnect").status_code == 303
        return grant

    monkeypatch.setattr(oauth, "refresh", slowly)
    with pytest.raises(CalendlyUnauthorized):
        ask(town, ada)
    row = town.connection(ada)
    assert (row.state, row.access_token, row.refresh_token) == (ConnectionState.DISCONNECTED, None, None)
    assert len(town.all(sa.select(PendingRevocation.id))) == 2
    run_due(town.app)
    assert town.all(sa.select(PendingRevocation.id)) == []
    assert town.requests().count(REVOKE) == 4


def test_nothing_is_asked_inside_a_transaction(town: Town, ada: Builder) -> None:
    with town.database() as session, transaction(session):
        session.execute(sa.select(CalendlyConnection.id))
        with pytest.raises(TransactionOpen):
            services.get(Tokens).token_for(ada.tenant)
    assert town.requests() == []


def test_a_wrong_client_secret_is_the_operators_matter(
    town: Town, ada: Builder, browser: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder's permission is as good as before; it is not thrown away, and nothing storms."""
    with town.app.app_context():
        oauth = services.get(OAuthClient)
    monkeypatch.setattr(oauth, "_client_secret", "not-the-secret")
    for _ in range(5):
        with pytest.raises(InvalidClient):
            ask(town, ada)
    assert town.requests() == [TOKEN]
    row = town.connection(ada)
    assert row.state is ConnectionState.CONNECTED
    assert row.refresh_token
    assert "could not renew our access" in browser.page("/dashboard/connection").words
    monkeypatch.undo()
    write(town, ada, retry_at=utcnow())
    assert ask(town, ada) == town.connection(ada).access_token
    assert town.connection(ada).reason is None
