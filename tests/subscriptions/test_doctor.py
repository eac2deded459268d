"""``flask doctor`` finds what newcomers get wrong, and says what to do."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from click.testing import Result
from cryptography.fernet import Fernet
from flask import Flask
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from bookingapp.accounts.models import TwoStep
from bookingapp.core import heartbeat
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.settings import Settings
from bookingapp.integrations import probe
from bookingapp.operations import arrivals, doctor
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.routing import STRIPE_EVENTS
from bookingapp.worker import run_due
from tests.conftest import close, make_app
from tests.factories import make_account
from tests.live import Live
from tests.mailbox import Mailbox
from tests.servers import free_port

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


WORKER = heartbeat.new_name()


@pytest.fixture
def healthy(live: Live) -> Live:
    """A worker that is alive, and an endpoint in Stripe with our events."""
    with live.app.app_context():
        heartbeat.record_beat(db.session(), WORKER, now=utcnow())
    store = live.hands.server.sandbox.store
    (row,) = store.all("webhook_endpoint")
    store.put("webhook_endpoint", row["id"], {**row, "enabled_events": list(STRIPE_EVENTS)})
    return live


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["doctor", *arguments])


def bad(result: Result) -> list[str]:
    """What has to be repaired, in words."""
    assert result.exit_code in (0, 1), result.output
    found = [
        line.removeprefix("bad").strip() for line in result.output.splitlines() if line.startswith("bad")
    ]
    assert bool(found) is bool(result.exit_code)
    return found


def test_nothing_is_wrong(healthy: Live) -> None:
    result = run(healthy.app)
    assert bad(result) == [], result.output
    topics = ("database", "worker", "disk", "clock", "Calendly token", "Calendly webhooks", "Stripe endpoint")
    found = {line[:5].strip() + " " + line[5:].strip() for line in result.output.splitlines()}
    for topic in (*topics, "test delivery", "mail"):
        assert any(line.startswith(f"good {topic}") for line in found), result.output
    assert "None has come yet" in result.output
    run_due(healthy.app)
    with healthy.database() as session:
        kept = session.execute(sa.select(InboxEvent.provider, InboxEvent.type, InboxEvent.state)).all()
    assert {(*row,) for row in kept} == {
        ("calendly", "bookingapp.doctor", "ignored"),
        ("stripe", "bookingapp.doctor", "ignored"),
    }


def test_an_endpoint_with_all_events(healthy: Live) -> None:
    """Nothing is missing, so nothing has to be repaired."""
    store = healthy.hands.server.sandbox.store
    (row,) = store.all("webhook_endpoint")
    store.put("webhook_endpoint", row["id"], {**row, "enabled_events": ["*"]})
    result = run(healthy.app)
    assert bad(result) == []
    (line,) = [one for one in result.output.splitlines() if "Stripe endpoint" in one]
    assert line.startswith("check")
    assert "more events than we read" in line


def test_a_test_mail(healthy: Live, settings: Settings) -> None:
    result = run(healthy.app, "--mail", "olu@example.org")
    assert "look whether it arrives" in result.output
    assert Mailbox(settings.instance_dir / "outbox").one("olu@example.org", "A test mail")


@contextmanager
def answering(status: int = 404, *, ssl_context: Literal["adhoc"] | None = None) -> Iterator[str]:
    """Some other site, at an address, which answers everything so."""
    answer = Response(status=status, headers={"Location": "/elsewhere"})
    with serving(answer, ssl_context=ssl_context) as url:
        yield url


@contextmanager
def serving(site: WSGIApplication, *, ssl_context: Literal["adhoc"] | None = None) -> Iterator[str]:
    port = free_port()
    server = make_server("127.0.0.1", port, site, threaded=True, ssl_context=ssl_context)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{'https' if ssl_context else 'http'}://127.0.0.1:{port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def examined(settings: Settings, **changes: Any) -> Result:
    app = make_app(Settings.model_validate({**settings.model_dump(), **changes}))
    try:
        return run(app)
    finally:
        close(app)


def with_settings(settings: Settings, **changes: Any) -> list[str]:
    return bad(examined(settings, **changes))


def drop_version(live: Live) -> None:
    with live.database() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
        session.commit()


def stop_worker(live: Live) -> None:
    with live.database() as session:
        heartbeat.delete_beat(session, WORKER)


def start_an_older_worker(live: Live) -> None:
    with live.database() as session:
        heartbeat.record_beat(session, "here:4711:0a1b2c3d:00000000", now=utcnow())


def upgrade_further(live: Live) -> None:
    with live.database() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        session.commit()


def disable_subscription(live: Live) -> None:
    live.hands.control("calendly/subscriptions/all/state", state="disabled")


def forget_endpoint(live: Live) -> None:
    store = live.hands.server.sandbox.store
    store.delete("webhook_endpoint", store.all("webhook_endpoint")[0]["id"])


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (drop_version, "flask --app wsgi db upgrade"),
        (stop_worker, "flask --app wsgi worker"),
        (upgrade_further, "Please run the newer release"),
        (start_an_older_worker, "the code of another release: here:4711"),
        (disable_subscription, "flask calendly subscribe"),
        (forget_endpoint, "flask stripe subscribe"),
    ],
)
def test_a_planted_mistake(
    healthy: Live, plant: Callable[[Live], None], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "WORKER_STARTS_WITHIN", 0.0)
    plant(healthy)
    (line,) = bad(run(healthy.app))
    assert found in line


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"calendly_token": "wrong"}, ["key or token refused"]),
        ({"stripe_webhook_secrets": "whsec_another"}, ["refuses our own signature: it runs with other keys"]),
        (
            {"calendly_webhook_signing_keys": "another"},
            ["refuses our own signature: it runs with other keys"],
        ),
        ({"mail_url": "smtp://127.0.0.1:9"}, ["Please check MAIL_URL"]),
        (
            {"redis_url": "redis://127.0.0.1:9/0"},
            ["(Error 111 connecting to 127.0.0.1:9. Connection refused.). Please check REDIS_URL"],
        ),
        (
            {
                "calendly_webhook_signing_keys": "whsec_of_the_tests",
                "stripe_webhook_secrets": "calendly-key-of-the-tests",
            },
            [
                "belongs into STRIPE_WEBHOOK_SECRETS",
                "STRIPE_WEBHOOK_SECRETS has a value that is not Stripe's",
                "refuses our own signature",
                "refuses our own signature",
            ],
        ),
        (
            {"stripe_webhook_secrets": "whsec_later"},
            ["still the word whsec_later", "refuses our own signature"],
        ),
        (
            {"stripe_secret_key": "whsec_1", "calendly_token": "sk_test_1"},
            [
                "CALENDLY_TOKEN is a key of Stripe's",
                "those begin with sk_ or rk_",
                "key or token refused",
                "key or token refused",
            ],
        ),
        (
            {"public_url": "http://127.0.0.1:9"},
            ["missing", "stripe subscribe", "Nothing answers", "Nothing answers"],
        ),
        ({"stripe_api_url": "http://127.0.0.1:9"}, ["Stripe does not answer", "no answer"]),
    ],
)
def test_a_setting_that_is_wrong(
    healthy: Live, settings: Settings, changes: dict[str, str], found: list[str]
) -> None:
    lines = with_settings(settings, **changes)
    assert len(lines) == len(found), lines
    for line, words in zip(lines, found, strict=True):
        assert words in line


def test_a_worker_that_was_started_a_moment_ago(healthy: Live) -> None:
    """As at the end of an upgrade."""
    stop_worker(healthy)

    def start() -> None:
        with healthy.app.app_context():
            heartbeat.record_beat(db.session(), WORKER, now=utcnow())

    starting = threading.Timer(0.5, start)
    starting.start()
    try:
        assert bad(run(healthy.app)) == []
    finally:
        starting.join()


def test_public_url_leads_to_another_site(healthy: Live, settings: Settings) -> None:
    with answering() as url:
        lines = with_settings(settings, public_url=url)
    assert [line for line in lines if "answers 404 and not 200" in line] == lines[2:]


def test_public_url_leads_to_another_database(
    healthy: Live, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "WORKER_STARTS_WITHIN", 0.0)
    other = tmp_path / "other.sqlite3"
    shutil.copy(tmp_path / "bookingapp.sqlite3", other)
    lines = with_settings(settings, database_url=f"sqlite:///{other}")
    assert ["stores it in another database" in line for line in lines] == [False, True, True]


def test_the_clock_is_wrong(healthy: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "fetch_clock", lambda _url: timedelta(seconds=-30))
    lines = bad(run(healthy.app))
    assert ["-30 seconds away from" in line for line in lines] == [True, True]


def test_the_disk_is_full(healthy: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 10**15)
    (line,) = bad(run(healthy.app))
    assert "A full disk stops everything" in line


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sqlite:///{folder}/empty.sqlite3", "flask --app wsgi db upgrade"),
        (
            "sqlite:///file:{folder}/bookingapp.sqlite3?mode=ro&uri=true",
            "readonly database). Please check DATABASE_URL",
        ),
        ("postgresql://nobody@127.0.0.1:9/nothing", "Please check DATABASE_URL"),
    ],
)
def test_the_database_cannot_be_used(
    healthy: Live, settings: Settings, tmp_path: Path, name: str, found: str
) -> None:
    """And everything that needs none is examined even so."""
    changes = {"database_url": name.format(folder=tmp_path), "mail_url": "smtp://127.0.0.1:9"}
    database, mail = with_settings(settings, **changes)
    assert database.startswith("database")
    assert found in database
    assert "Nothing answers at that port" in mail


def test_a_key_that_is_refused(healthy: Live, settings: Settings) -> None:
    """Such as the publishable one."""
    kind, line = with_settings(settings, stripe_secret_key="pk_test_publishable")
    assert "is the publishable key" in kind
    assert "Stripe refuses it" in line
    assert "Please put a valid one into STRIPE_SECRET_KEY" in line


def test_the_secret_of_another_endpoint(healthy: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own delivery arrives, because it is signed with what the settings say; Stripe's do not."""
    monkeypatch.setattr(arrivals, "DELIVERED_WITHIN", timedelta(0))
    store = healthy.hands.server.sandbox.store
    (row,) = store.all("webhook_endpoint")
    store.put("webhook_endpoint", row["id"], {**row, "secret": "whsec_of_another_endpoint", "created": 0})
    healthy.builder()
    browser, ref = healthy.scheduled()
    assert browser.submit(f"/bookings/{ref}/pay").status_code == 303
    (session,) = healthy.state()["sessions"]
    healthy.hands.control(f"stripe/sessions/{session['id']}/pay", method="card")
    healthy.work()
    (line,) = bad(run(healthy.app))
    assert "STRIPE_WEBHOOK_SECRETS is of another endpoint" in line

    store.put("webhook_endpoint", row["id"], {**row, "created": 0})
    healthy.hands.control(f"stripe/payments/{healthy.state()['payment_intents'][0]['id']}/refund")
    healthy.work()
    result = run(healthy.app)
    assert bad(result) == []
    assert "Stripe events" not in result.output


def test_calendly_cannot_deliver(healthy: Live) -> None:
    store = healthy.hands.server.sandbox.store
    for row in store.all("subscription"):
        store.put("subscription", row["id"], {**row, "retry_started_at": "2026-11-01T10:00:00.000000Z"})
    (line,) = bad(run(healthy.app))
    assert "could not deliver since 2026-11-01T10:00:00Z" in line
    assert "CALENDLY_WEBHOOK_SIGNING_KEYS" in line


def test_the_token_of_another_organization(healthy: Live) -> None:
    healthy.builder()
    assert bad(run(healthy.app)) == []
    healthy.builder("maya", "SBXELSEWHERE0001")
    (line,) = bad(run(healthy.app))
    assert "Nobody can book maya: the token is of another Calendly organization" in line


def test_a_key_of_stored_secrets_is_lost(healthy: Live, settings: Settings) -> None:
    with healthy.database() as session, transaction(session):
        account = make_account(session)
        session.add(TwoStep(account_id=account.id, secret="JBSWY3DPEHPK3PXP", created_at=utcnow()))
    (line,) = with_settings(settings, encryption_keys=Fernet.generate_key().decode())
    assert "ENCRYPTION_KEYS lacks the key of 1 stored secret" in line


def test_https_without_a_trusted_proxy(healthy: Live, settings: Settings) -> None:
    lines = with_settings(settings, public_url="https://127.0.0.1:9")
    assert [line for line in lines if "Please set TRUSTED_PROXIES=1" in line] == lines[:1]


@pytest.mark.parametrize(
    ("status", "found"),
    [(301, "redirects (301), and no provider follows"), (502, "does not reach the application (502)")],
)
def test_the_proxy_does_not_pass_deliveries_on(
    healthy: Live, settings: Settings, status: int, found: str
) -> None:
    with answering(status) as url:
        lines = with_settings(settings, public_url=url)
    assert [line for line in lines if found in line] == lines[2:]


def test_a_certificate_that_providers_refuse(healthy: Live, settings: Settings) -> None:
    with answering(200, ssl_context="adhoc") as url:
        lines = with_settings(settings, public_url=url, trusted_proxies=1)
    assert [line for line in lines if "is not valid: is it expired" in line] == lines[2:]


def test_a_name_that_is_no_setting(healthy: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXY", "1")
    result = run(healthy.app)
    assert bad(result) == []
    assert "TRUSTED_PROXY is no setting. Is TRUSTED_PROXIES meant?" in result.output


@contextmanager
def behind_proxies(app: Flask, number: int) -> Iterator[str]:
    """The application, at an address where that many proxies in front say whose request they pass on."""

    def pass_on(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if number:
            environ["HTTP_X_FORWARDED_FOR"] = ", ".join(["203.0.113.7"] * number)
        return app(environ, start)

    with serving(pass_on) as url:
        yield url


@pytest.mark.parametrize(("given", "found"), [(2, 0), (2, 1), (1, 2), (0, 1)])
def test_another_number_of_proxies(healthy: Live, settings: Settings, given: int, found: int) -> None:
    with behind_proxies(healthy.app, found) as url:
        wrong = examined(settings, public_url=url, trusted_proxies=given)
        right = examined(settings, public_url=url, trusted_proxies=found)
    (line,) = [one for one in wrong.output.splitlines() if "TRUSTED_PROXIES" in one]
    assert line.startswith("check")
    assert f"came through {found}, and TRUSTED_PROXIES is {given}" in line
    assert "TRUSTED_PROXIES" not in right.output


def test_tls_where_there_is_none(healthy: Live, settings: Settings) -> None:
    """Each of the two ways to encrypt has its port."""
    port = urlsplit(healthy.hands.base).port
    (line,) = with_settings(settings, mail_url=f"smtps://us:tests@127.0.0.1:{port}")
    assert "smtps:// is for port 465, smtp:// for 587" in line
