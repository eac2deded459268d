"""The application and the sandbox on ports, so that webhooks travel over HTTP; a test runs the worker itself."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from bookingapp import worker
from bookingapp.bookings.models import Booking
from bookingapp.builders.models import Builder
from bookingapp.core import services
from bookingapp.core.db import db
from bookingapp.core.queue import Job, WorkState
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.sandbox import SandboxConfig
from bookingapp.webhooks.handlers import Context
from tests.conftest import SIGNING_KEY, STRIPE_HOOK_SECRET, make_settings
from tests.factories import PASSWORD, make_builder, make_session_type
from tests.mailbox import Mailbox, link
from tests.pages import PageClient, new_client
from tests.sandbox.support import Hands, running_sandbox
from tests.servers import free_port
from tests.waiting import eventually

ADA, KENJI = "SBXADAOKONKWO001", "SBXKENJIMORI0002"
HOUR, HALF, FREE = "ETADACONSULT0060", "ETADACONSULT0030", "ETADAGETSTART030"


@pytest.fixture
def app_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def hands(tmp_path: Path, app_url: str) -> Iterator[Hands]:
    """A sandbox with webhook subscriptions for the application."""
    config = SandboxConfig(
        base_url="",
        app_url=app_url,
        state_path=str(tmp_path / "sandbox.sqlite"),
        calendly_signing_key=SIGNING_KEY,
        stripe_webhook_secret=STRIPE_HOOK_SECRET,
    )
    with running_sandbox(config) as found:
        found.http.trust_env = False
        yield found


@pytest.fixture
def settings(tmp_path: Path, database_url: str, hands: Hands, app_url: str) -> Settings:
    """Settings whose providers are the sandbox."""
    return make_settings(
        tmp_path,
        database_url=database_url,
        public_url=app_url,
        calendly_api_url=f"{hands.base}/calendly-api",
        calendly_auth_url=f"{hands.base}/calendly-auth",
        calendly_booking_url=hands.base,
        calendly_client_id="sandbox-client",
        calendly_client_secret="sandbox-client-secret",
        calendly_token="sandbox-calendly-token",
        stripe_api_url=f"{hands.base}/stripe-api",
        stripe_checkout_url=f"{hands.base}/stripe-checkout",
        stripe_secret_key="sk_test_sandbox",
    )


@dataclass
class Live:
    """The application, its database and the sandbox, with what people do there."""

    app: Flask
    hands: Hands
    _visitors: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def database(self) -> Iterator[Session]:
        """A new session, which sees the present."""
        with self.app.app_context():
            yield db.session()

    def builder(
        self, slug: str = "ada", user: str = ADA, types: dict[str, Any] | None = None, **how: Any
    ) -> Builder:
        """A builder with the session types of ``types`` (columns by Calendly's id), else one hour for £60.00."""
        with self.database() as session:
            made = make_builder(session, slug=slug, calendly_user_uri=self.hands.user(user), **how)
            for order, (name, row) in enumerate((types or {HOUR: {}}).items()):
                uri = self.hands.event_type(name)
                make_session_type(session, made, event_type_uri=uri, **{"display_order": order, **row})
        return made

    def browser(self, slug: str | None = None) -> PageClient:
        """A new browser, logged in as that builder."""
        client = new_client(self.app)
        if slug is not None:
            form = {"email": f"{slug}@example.com", "password": PASSWORD}
            assert client.submit("/login", form).status_code == 303
        return client

    def runner(self) -> FlaskCliRunner:
        return self.app.test_cli_runner()

    def context(self) -> Context:
        """The collaborators of webhook handlers and jobs."""
        with self.app.app_context():
            return services.get(Context)

    def client(self) -> CalendlyClient:
        with self.app.app_context():
            return services.get(CalendlyClient)

    def book(
        self, event_type: str = HOUR, slug: str = "ada", query: str = "", *, timezone: str = "UTC"
    ) -> tuple[PageClient, str]:
        """Another visitor with a pending booking: their browser, and the booking's reference. The first is Grace."""
        email = f"grace{next(self._visitors) or ''}@example.org"
        browser, path = self.browser(), f"/builders/{slug}/session-types/{event_type}"
        if browser.page(path).select("main form[action='/my-bookings']"):
            self._verify_address(browser, path, email)
        form = {"name": "Grace Hall", "email": email, "timezone": timezone}
        answer = browser.submit(f"{path}/book{query}", form)
        assert answer.status_code == 303, answer.text
        parts = urlsplit(answer.headers["Location"]).path.split("/")
        assert parts[1::2] == ["bookings", "schedule"]
        return browser, parts[2]

    def _verify_address(self, browser: PageClient, path: str, email: str) -> None:
        """Follow the link that the session type's page sends."""
        browser.submit("/my-bookings", {"email": email, "return_to": path})
        self.work()
        with self.app.app_context():
            mails = Mailbox(services.get(Settings).instance_dir / "outbox").to(email)
        browser.submit(link(mails[-1]))

    def choose(self, browser: PageClient, ref: str, event_type: str = HOUR, **how: Any) -> dict[str, Any]:
        """The visitor schedules the first free time in Calendly. Returns Calendly's invitee."""
        page = browser.page(f"/bookings/{ref}/schedule")
        url = str(page.one("[data-scheduling-url]")["data-scheduling-url"])
        prefilled = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        who = {"timezone": self.booking(ref).client_timezone, **prefilled, **how}
        made: dict[str, Any] = self.hands.control("calendly/book", event_type=event_type, **who)
        return made

    def scheduled(self, event_type: str = HOUR, **how: Any) -> tuple[PageClient, str]:
        """A visitor whose booking has its time: their browser, and the booking's reference."""
        browser, ref = self.book(event_type)
        self.choose(browser, ref, event_type, **how)
        self.work()
        return browser, ref

    def work(self) -> None:
        """Let the webhooks arrive, and work on everything that is due."""
        deliveries = self.hands.server.sandbox.deliveries
        for _ in range(3):
            eventually(lambda: deliveries.idle() or None, "deliveries")
            worker.run_due(self.app)

    def booking(self, ref: str) -> Booking:
        """The booking, freshly read."""
        with self.database() as session:
            return session.scalars(sa.select(Booking).where(Booking.ref == ref)).one()

    def jobs(self, name: str, state: WorkState | None = None) -> list[Job]:
        """The rows of the outbox with that name."""
        query = sa.select(Job).where(Job.name == name).order_by(Job.run_at)
        with self.database() as session:
            return list(session.scalars(query if state is None else query.where(Job.state == state)))

    def calls(self, part: str, method: str | None = None, *, api: str = "calendly-api") -> int:
        """How many requests for a path that contains ``part`` a provider's API got since the last reset."""
        rows = self.hands.http.get(f"{self.hands.base}/control/api/requests", timeout=10).json()["requests"]
        return sum(
            part in row["path"] and row["path"].startswith(f"/{api}/") and method in (None, row["method"])
            for row in rows
        )

    def fault(self, kind: str, **how: Any) -> None:
        """Make Calendly's API fail in some way."""
        self.hands.control("faults", provider="calendly", kind=kind, **how)

    def state(self) -> dict[str, Any]:
        """Everything in the sandbox."""
        found: dict[str, Any] = self.hands.http.get(f"{self.hands.base}/control/api/state", timeout=10).json()
        return found


def press(browser: PageClient, path: str, data: dict[str, str] | None = None, **how: Any) -> TestResponse:
    """Send a form of the dashboard as the logged-in builder."""
    return browser.post(path, data={"csrf_token": browser.token("/my-bookings"), **(data or {})}, **how)


@pytest.fixture
def live(app: Flask, hands: Hands, app_url: str) -> Iterator[Live]:
    """The application, answering over HTTP, with a sandbox that sends it webhooks."""
    server = make_server("127.0.0.1", urlsplit(app_url).port or 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield Live(app, hands)
    server.shutdown()
    thread.join(timeout=5)
    server.server_close()
