"""The two endpoints: genuine bodies are kept once, whatever is in them; nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp.core import logs
from bookingapp.core.db import db
from bookingapp.core.queue import WorkState
from bookingapp.core.settings import PROJECT_ROOT
from bookingapp.webhooks import views
from bookingapp.webhooks.models import InboxEvent, Provider
from tests.conftest import ENCRYPTION_KEY, SECRET_KEY, SIGNING_KEY, STRIPE_HOOK_SECRET
from tests.factories import FIXTURES, published, signature, stripe_event
from tests.pages import PageClient, new_client
from tests.web.conftest import without_table

HEADERS = {"calendly": "Calendly-Webhook-Signature", "stripe": "Stripe-Signature"}
SETTINGS = {"calendly": "calendly_webhook_signing_keys", "stripe": "stripe_webhook_secrets"}
KEYS = {"calendly": SIGNING_KEY, "stripe": STRIPE_HOOK_SECRET}
SAMPLES = sorted(
    path.name
    for path in (FIXTURES / "calendly").glob("*.json")
    if "event" in published(f"calendly/{path.name}")
)
BODIES = {
    "calendly": (FIXTURES / "calendly/invitee.created.json").read_bytes(),
    "stripe": stripe_event("checkout.session.completed", published("stripe/checkout_session.paid.json")),
}


def send(
    client: PageClient, who: str, body: bytes, *, key: str | None = None, at: datetime | None = None
) -> TestResponse:
    """A signed delivery."""
    headers = {HEADERS[who]: signature(body, KEYS[who] if key is None else key, at=at)}
    return client.post(f"/webhooks/{who}", data=body, headers=headers, content_type="application/json")


def kept(app: Flask) -> list[InboxEvent]:
    with app.app_context():
        return list(db.session().scalars(sa.select(InboxEvent).order_by(InboxEvent.id)))


@pytest.fixture(params=["calendly", "stripe"])
def who(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", SAMPLES)
def test_calendlys_published_samples(app: Flask, client: PageClient, name: str) -> None:
    body = (FIXTURES / "calendly" / name).read_bytes()
    answer = send(client, "calendly", body)
    assert (answer.status_code, answer.json) == (200, {"received": True, "duplicate": False})
    (row,) = kept(app)
    assert (row.provider, row.body, row.state, row.attempts) == (
        Provider.CALENDLY,
        body,
        WorkState.RECEIVED,
        0,
    )
    assert row.type == ("unreadable" if name.startswith("v1.") else published(f"calendly/{name}")["event"])


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 7
    assert "v1.invitee.created.json" in SAMPLES


def test_stripes_event(app: Flask, client: PageClient) -> None:
    assert send(client, "stripe", BODIES["stripe"]).status_code == 200
    (row,) = kept(app)
    assert (row.type, row.event_key[:4]) == ("checkout.session.completed", "evt_")


@pytest.mark.any_database
def test_the_same_delivery_is_kept_once(app: Flask, client: PageClient, who: str) -> None:
    """Signed anew each time, as the providers do; each is answered 2xx."""
    now = datetime.now(UTC)
    answers = [send(client, who, BODIES[who], at=now - timedelta(seconds=n)) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert [(answer.json or {})["duplicate"] for answer in answers] == [False, True, True]
    assert len(kept(app)) == 1


def test_no_redirect_comes_first(app: Flask, client: PageClient, who: str) -> None:
    """A slash at the end is accepted as well; a redirect would count as a failed delivery."""
    headers = {HEADERS[who]: signature(BODIES[who], KEYS[who])}
    assert client.post(f"/webhooks/{who}/", data=BODIES[who], headers=headers).status_code == 200
    assert len(kept(app)) == 1


def test_no_form_token_is_asked_of_a_provider(client: PageClient, who: str) -> None:
    """They have none; and a browser has no signature."""
    assert send(client, who, BODIES[who]).status_code == 200
    assert client.post(f"/webhooks/{who}", data={"csrf_token": "x"}).status_code == 401
    assert client.get(f"/webhooks/{who}").status_code == 405


class TestRefused:
    @pytest.fixture(autouse=True)
    def _nothing_is_kept(self, app: Flask) -> Iterator[None]:
        yield
        assert kept(app) == []

    def test_a_wrong_key(self, client: PageClient, who: str) -> None:
        """401, with a code for a machine; also the other provider's key, and an empty one."""
        for key in ("another key", "", *(KEYS[other] for other in KEYS if other != who)):
            answer = send(client, who, BODIES[who], key=key)
            assert (answer.status_code, (answer.json or {})["reason"]) == (401, "mismatch")

    def test_an_altered_body(self, client: PageClient, who: str) -> None:
        """By one byte; also one that means the same."""
        good = BODIES[who]
        header = {HEADERS[who]: signature(good, KEYS[who])}
        for body in (good + b" ", good.replace(b"paid", b"PAID").replace(b"active", b"ACTIVE"), b""):
            assert client.post(f"/webhooks/{who}", data=body, headers=header).status_code == 401

    @pytest.mark.parametrize(
        "header", [None, "", "nonsense", "t=1", "v1=00", "t=x,v1=y", "t=,v1=", "v0=abc,t=1"]
    )
    def test_a_header_that_is_none(self, client: PageClient, who: str, header: str | None) -> None:
        headers = {} if header is None else {HEADERS[who]: header}
        assert client.post(f"/webhooks/{who}", data=BODIES[who], headers=headers).status_code == 401

    @pytest.mark.parametrize(
        ("minutes", "reason"), [(-6, "too_old"), (6, "from_the_future"), (-600000, "too_old")]
    )
    def test_scenario_15_a_signature_of_another_time(
        self, client: PageClient, who: str, minutes: int, reason: str
    ) -> None:
        answer = send(client, who, BODIES[who], at=datetime.now(UTC) + timedelta(minutes=minutes))
        assert (answer.status_code, (answer.json or {})["reason"]) == (401, reason)

    def test_a_body_that_is_too_large(self, client: PageClient, who: str) -> None:
        answer = send(client, who, b"x" * (views.LARGEST_BODY + 1))
        assert answer.status_code == 413
        assert answer.is_json


def test_the_largest_body_is_accepted(app: Flask, client: PageClient, who: str) -> None:
    assert send(client, who, b" " * views.LARGEST_BODY).status_code == 200
    assert len(kept(app)) == 1


def test_a_signature_within_the_tolerance(client: PageClient, who: str) -> None:
    for minutes in (-4, 4):
        at = datetime.now(UTC) + timedelta(minutes=minutes)
        assert send(client, who, BODIES[who], at=at).status_code == 200


def test_scenario_17_two_secrets_are_good_at_once(app_with: Callable[..., Flask], who: str) -> None:
    """During a rotation; the row says which it was. When the old one is taken out, it is refused."""
    client = new_client(app_with(**{SETTINGS[who]: "new,old"}))
    statuses = [
        send(client, who, b"%d" % n, key=key).status_code for n, key in enumerate(["old", "new", "x"])
    ]
    assert statuses == [200, 200, 401]
    app = app_with(**{SETTINGS[who]: "new"})
    client = new_client(app)
    assert [send(client, who, b"last", key=key).status_code for key in ("old", "new")] == [401, 200]
    assert [row.key_index for row in kept(app)] == [1, 0, 0]


@pytest.mark.parametrize("keys", ["", " ", ","])
def test_scenario_16_without_a_secret_nothing_is_genuine(
    app_with: Callable[..., Flask], who: str, keys: str
) -> None:
    """503, so that the provider tries again; a body signed with the empty key is refused as well."""
    app = app_with(**{SETTINGS[who]: keys})
    for key in ("", " ", "None", KEYS[who]):
        assert send(new_client(app), who, BODIES[who], key=key).status_code == 503
    assert kept(app) == []
    app = app_with()
    assert [send(new_client(app), who, BODIES[who], key=key).status_code for key in ("", None)] == [401, 200]
    assert len(kept(app)) == 1


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_scenario_16_the_start_is_refused_without_a_secret(
    tmp_path: Path, who: str, environment: str
) -> None:
    """When ``wsgi`` is imported: one line names the setting, and shows no value."""
    name = SETTINGS[who].upper()
    values = {
        **os.environ,
        "APP_ENV": environment,
        "INSTANCE_DIR": str(tmp_path),
        "SECRET_KEY": SECRET_KEY,
        "ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "PUBLIC_URL": "https://hours.example",
        "CALENDLY_TOKEN": "a-token-of-the-test",
        "CALENDLY_WEBHOOK_SIGNING_KEYS": SIGNING_KEY,
        "STRIPE_SECRET_KEY": "sk_live_of_the_test",
        "STRIPE_WEBHOOK_SECRETS": STRIPE_HOOK_SECRET,
        "MAIL_URL": "smtp://mail.example:587",
    }
    del values[name]
    command = [sys.executable, "-c", "import wsgi"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, env=values, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert name in done.stderr
    assert SIGNING_KEY not in done.stderr
    assert STRIPE_HOOK_SECRET not in done.stderr


def test_what_cannot_be_kept_is_not_acknowledged(app: Flask, client: PageClient, who: str) -> None:
    """5xx, so that the provider tries again; when the database is back, it is kept."""
    with without_table(app, "inbox_events"):
        answer = send(client, who, BODIES[who])
    assert answer.status_code in (500, 503)
    assert answer.is_json
    assert "inbox_events" not in answer.text
    assert send(client, who, BODIES[who]).status_code == 200
    assert len(kept(app)) == 1


def test_no_secret_of_the_request_is_kept(app: Flask, client: PageClient, who: str) -> None:
    header = {HEADERS[who]: signature(BODIES[who], KEYS[who]), "Cookie": "a=b", "User-Agent": "Calendly"}
    client.post(f"/webhooks/{who}", data=BODIES[who], headers=header)
    assert kept(app)[0].headers == {"User-Agent": "Calendly"}


def test_a_delivery_is_not_logged(client: PageClient, who: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No person's name or address, and no signature, accepted or refused."""
    logs.configure(as_json=True)
    send(client, who, BODIES[who])
    send(client, who, BODIES[who], key="wrong")
    written = "".join(capsys.readouterr())
    assert "webhook_refused" in written
    for private in ("test@example.com", "John Doe", "grace@example.com", "v1=", KEYS[who]):
        assert private not in written


def test_only_what_is_refused_counts_against_a_sender(client: PageClient, who: str) -> None:
    """After a thousand forgeries in a minute a sender gets 429; genuine deliveries are still accepted."""
    forged = {"data": b"{}", "headers": {HEADERS[who]: f"t=1,v1={'0' * 64}"}}
    assert {client.post(f"/webhooks/{who}", **forged).status_code for _ in range(1000)} == {401}
    assert client.post(f"/webhooks/{who}", **forged).status_code == 429
    assert send(client, who, BODIES[who]).status_code == 200
