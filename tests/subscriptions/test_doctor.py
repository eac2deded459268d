"""``flask doctor`` finds what newcomers get wrong, and says what to do."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from werkzeug.serving import make_server

from bookingapp.core import heartbeat
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.settings import Settings
from bookingapp.integrations import probe
from bookingapp.operations import doctor
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.routing import STRIPE_EVENTS
from bookingapp.worker import run_due
from tests.conftest import close, make_app
from tests.live import Live
from tests.mailbox import Mailbox
from tests.servers import free_port


@pytest.fixture
def healthy(live: Live) -> Live:
    """A worker that is alive, and an endpoint in Stripe with our events."""
    with live.app.app_context():
        heartbeat.record_beat(db.session(), "a worker", now=utcnow())
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
    for topic in (*topics, "test delivery", "mail"):
        assert f"good  {topic}" in result.output, result.output
    run_due(healthy.app)
    with healthy.database() as session:
        kept = session.execute(sa.select(InboxEvent.provider, InboxEvent.type, InboxEvent.state)).all()
    assert {(*row,) for row in kept} == {
        ("calendly", "bookingapp.doctor", "ignored"),
        ("stripe", "bookingapp.doctor", "ignored"),
    }


def test_a_test_mail(healthy: Live, settings: Settings) -> None:
    result = run(healthy.app, "--mail", "olu@example.org")
    assert "look whether it arrives" in result.output
    assert Mailbox(settings.instance_dir / "outbox").one("olu@example.org", "A test mail")


@contextmanager
def answering() -> Iterator[str]:
    """Some other site, at an address."""
    port = free_port()
    server = make_server("127.0.0.1", port, Flask("other"), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_settings(settings: Settings, **changes: Any) -> list[str]:
    app = make_app(Settings.model_validate({**settings.model_dump(), **changes}))
    try:
        return bad(run(app))
    finally:
        close(app)


def drop_version(live: Live) -> None:
    with live.database() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
        session.commit()


def stop_worker(live: Live) -> None:
    with live.database() as session:
        heartbeat.delete_beat(session, "a worker")


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
        (disable_subscription, "flask calendly subscribe"),
        (forget_endpoint, "flask stripe subscribe"),
    ],
)
def test_a_planted_mistake(healthy: Live, plant: Callable[[Live], None], found: str) -> None:
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
        ({"redis_url": "redis://127.0.0.1:9/0"}, ["Please check REDIS_URL"]),
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


def test_public_url_leads_to_another_site(healthy: Live, settings: Settings) -> None:
    with answering() as url:
        lines = with_settings(settings, public_url=url)
    assert [line for line in lines if "answers 404 and not 200" in line] == lines[2:]


def test_public_url_leads_to_another_database(healthy: Live, settings: Settings, tmp_path: Path) -> None:
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
