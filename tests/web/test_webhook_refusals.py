"""Scenarios 16 and 17, over HTTP: without a secret no delivery is genuine, and two secrets are valid at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from flask import Flask
from werkzeug.serving import make_server

from bookingapp.core.db import db
from bookingapp.core.settings import PROJECT_ROOT, Settings
from bookingapp.webhooks.models import InboxEvent
from tests.conftest import close, make_app, make_settings
from tests.factories import FIXTURES, signature

OLD, NEW = "the-old-secret-of-the-tests", "the-new-secret-of-the-tests"
PROVIDERS = {
    "calendly": (
        "calendly_webhook_signing_keys",
        "Calendly-Webhook-Signature",
        "calendly/invitee.created.json",
    ),
    "stripe": ("stripe_webhook_secrets", "Stripe-Signature", "stripe/event.checkout.session.completed.json"),
}
pytestmark = pytest.mark.parametrize("who", PROVIDERS)


class Endpoint:
    """The application with some secrets, answering on a port of its own."""

    def __init__(self, app: Flask, url: str, who: str) -> None:
        self.app, self.who = app, who
        self.url = f"{url}/webhooks/{who}"

    def deliver(self, secret: str) -> int:
        """Send a body that is signed with that secret; the answer's status."""
        _, header, sample = PROVIDERS[self.who]
        body = (FIXTURES / sample).read_bytes()
        headers = {header: signature(body, secret), "Content-Type": "application/json"}
        with requests.Session() as http:
            http.trust_env = False
            return http.post(self.url, data=body, headers=headers, timeout=10).status_code

    def kept(self) -> int:
        """How many deliveries are in the inbox."""
        with self.app.app_context():
            return db.session.scalar(sa.select(sa.func.count()).select_from(InboxEvent)) or 0


@contextmanager
def endpoint(tmp_path: Path, database_url: str, who: str, secrets: str) -> Iterator[Endpoint]:
    """The application with those secrets for that provider."""
    app = make_app(make_settings(tmp_path, database_url=database_url, **{PROVIDERS[who][0]: secrets}))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield Endpoint(app, f"http://127.0.0.1:{server.server_port}", who)
    server.shutdown()
    thread.join(timeout=5)
    server.server_close()
    close(app)


def test_scenario_16_without_a_secret_nothing_is_genuine(tmp_path: Path, database_url: str, who: str) -> None:
    """503, so that the provider tries again when it is there; a signature with the empty secret is no exception."""
    with endpoint(tmp_path, database_url, who, "") as there:
        assert [there.deliver(secret) for secret in ("", NEW, "None")] == [503, 503, 503]
        assert there.kept() == 0
    with endpoint(tmp_path, database_url, who, NEW) as there:
        assert there.deliver("") == 401
        assert there.deliver(NEW) == 200
        assert there.kept() == 1


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_scenario_16_the_start_is_refused_without_a_secret(
    tmp_path: Path, who: str, environment: str
) -> None:
    """When ``wsgi`` is imported: one line names the setting, and shows no value."""
    name = PROVIDERS[who][0].upper()
    known = {setting.upper() for setting in Settings.model_fields}
    values = {
        **{key: value for key, value in os.environ.items() if key not in known},
        "APP_ENV": environment,
        "INSTANCE_DIR": str(tmp_path),
        "SECRET_KEY": "a-cookie-key-of-forty-letters-for-the-test",
        "ENCRYPTION_KEYS": "dGhlLWVuY3J5cHRpb24ta2V5LW9mLXRoZS10ZXN0cy4=",
        "PUBLIC_URL": "https://hours.example",
        "CALENDLY_TOKEN": "a-token-of-the-test",
        "CALENDLY_WEBHOOK_SIGNING_KEYS": NEW,
        "STRIPE_SECRET_KEY": "sk_live_of_the_test",
        "STRIPE_WEBHOOK_SECRETS": NEW,
        "MAIL_URL": "smtp://mail.example:587",
    }
    del values[name]
    done = subprocess.run(
        [sys.executable, "-c", "import wsgi"],
        cwd=PROJECT_ROOT,
        env=values,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert name in done.stderr
    assert NEW not in done.stderr


def test_scenario_17_two_secrets_are_good_at_once(tmp_path: Path, database_url: str, who: str) -> None:
    """During a rotation both are accepted; when the old one is taken out, it opens nothing any more."""
    with endpoint(tmp_path, database_url, who, f"{NEW},{OLD}") as there:
        assert [there.deliver(secret) for secret in (OLD, NEW)] == [200, 200]
        assert there.deliver("another") == 401
        assert there.kept() == 1
    with endpoint(tmp_path, database_url, who, NEW) as there:
        assert there.deliver(OLD) == 401
        assert there.deliver(NEW) == 200
        assert there.kept() == 1
