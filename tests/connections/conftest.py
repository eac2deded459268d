"""A sandbox for every test, and an application that takes it for Calendly and Stripe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session, undefer
from werkzeug.test import TestResponse

from bookingapp.builders.models import Builder
from bookingapp.connections.models import CalendlyConnection
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.sandbox import SandboxConfig, SandboxServer
from tests.conftest import close, make_app, make_settings
from tests.factories import PASSWORD, make_builder, make_session_type
from tests.pages import PageClient
from tests.sandbox.support import Hands

ADA, KENJI = "SBXADAOKONKWO001", "SBXKENJIMORI0002"
HOUR, KENJIS_HOUR = "ETADACONSULT0060", "ETKENJICONSUL060"
PUBLIC_URL = "http://localhost"  # As the test client names itself.
SECONDARY = "second-token-of-the-tests"


@pytest.fixture
def public_url() -> str:
    """Where the application is reached."""
    return PUBLIC_URL


@pytest.fixture
def hands(tmp_path: Path, public_url: str) -> Iterator[Hands]:
    """A sandbox on a port of its own, which tells nobody of what happens in it."""
    config = SandboxConfig(
        base_url="",
        app_url=public_url,
        state_path=str(tmp_path / "sandbox.sqlite"),
        calendly_token_secondary=SECONDARY,
        auto_subscribe=False,
    )
    server = SandboxServer(config).start()
    with requests.Session() as http:
        http.trust_env = False
        yield Hands(server, http)
    server.stop()


@pytest.fixture
def overrides() -> dict[str, str]:
    """Settings that a test wants otherwise."""
    return {}


@pytest.fixture
def settings(
    tmp_path: Path, database_url: str, hands: Hands, public_url: str, overrides: dict[str, str]
) -> Settings:
    """Settings whose providers are the sandbox."""
    base = hands.base
    values: dict[str, str] = {
        "database_url": database_url,
        "public_url": public_url,
        "calendly_api_url": f"{base}/calendly-api",
        "calendly_auth_url": f"{base}/calendly-auth",
        "calendly_booking_url": base,
        "stripe_api_url": f"{base}/stripe-api",
        "stripe_checkout_url": f"{base}/stripe-checkout",
        "stripe_secret_key": "sk_test_sandbox",
        "calendly_token": "sandbox-calendly-token",
        "calendly_client_id": "sandbox-client",
        "calendly_client_secret": "sandbox-client-secret",
        **overrides,
    }
    return make_settings(tmp_path, **values)


@dataclass
class Town:
    """The application, its database and the sandbox, and what people do with them."""

    app: Flask
    hands: Hands

    @contextmanager
    def database(self) -> Iterator[Session]:
        """A session of its own for each look, as a request has one; what it reads is fresh."""
        with self.app.app_context():
            yield db.session()

    def all(self, statement: sa.Executable) -> list[Any]:
        """The first column of every row."""
        with self.database() as session:
            return list(session.execute(statement).scalars())

    def builder(self, user: str = ADA, slug: str = "ada", types: tuple[str, ...] = (HOUR,)) -> Builder:
        """A builder whom the operator has entered with a Calendly user, and whose types cost £60.00."""
        with self.database() as session:
            made = make_builder(session, slug=slug, calendly_user_uri=self.hands.user(user))
            for name in types:
                make_session_type(session, made, event_type_uri=self.hands.event_type(name))
        return made

    def browser(self, slug: str | None = None) -> PageClient:
        """A new browser, logged in as that builder."""
        client = self.app.test_client()
        assert isinstance(client, PageClient)
        if slug is not None:
            form = {"email": f"{slug}@example.com", "password": PASSWORD}
            assert client.submit("/login", form).status_code == 303
        return client

    def reread(self, builder: Builder) -> Builder:
        """The builder as the database has it now."""
        with self.database() as session:
            return session.get_one(Builder, builder.id)

    def connection(self, builder: Builder) -> CalendlyConnection:
        """The builder's connection as the database has it now, its tokens loaded."""
        tokens = undefer(CalendlyConnection.access_token), undefer(CalendlyConnection.refresh_token)
        with self.database() as session:
            return session.scalars(_of(builder).options(*tokens)).one()

    def no_connection(self, builder: Builder) -> bool:
        """Whether nothing was ever stored for the builder."""
        return not self.all(_of(builder))

    def age(self, builder: Builder, left: timedelta) -> None:
        """Let the time go by until the access token has so much of its life left, here and at Calendly."""
        with self.database() as session, transaction(session):
            session.scalars(_of(builder)).one().expires_at = utcnow() + left
        if left <= timedelta():
            user = builder.calendly_user_uri.rpartition("/")[2]
            self.hands.control(f"calendly/oauth/{user}/revoke", expire=True)

    def user_name(self, tenant: str) -> str:
        """Whose account a call for this tenant is made with."""
        with self.app.app_context():
            return services.get(CalendlyClient).current_user(tenant).name

    def calls(self, *, reset: bool = True) -> list[tuple[str, str]]:
        """Method and path of what Calendly was asked since the last look, oldest first."""
        rows = self.hands.http.get(f"{self.hands.base}/control/api/requests", timeout=10).json()["requests"]
        found = [
            (row["method"], row["path"])
            for row in reversed(rows)
            if row["path"].startswith(("/calendly-api/", "/calendly-auth/"))
        ]
        if reset:
            self.hands.control("reset-requests")
        return found


def _of(builder: Builder) -> sa.Select[CalendlyConnection]:
    return sa.select(CalendlyConnection).where(CalendlyConnection.builder_id == builder.id)


@pytest.fixture
def town(app: Flask, hands: Hands) -> Town:
    """Everything together."""
    return Town(app, hands)


@contextmanager
def restarted(town: Town, **settings: Any) -> Iterator[Town]:
    """The same application after a restart with other settings."""
    with town.app.app_context():
        before = services.get(Settings)
    app = make_app(before.model_copy(update=settings))
    try:
        yield Town(app, town.hands)
    finally:
        close(app)


def send(browser: PageClient, path: str, **options: Any) -> TestResponse:
    """Press a button of the dashboard, as the builder who is logged in."""
    token = str(browser.page("/dashboard/profile").select("input[name=csrf_token]")[0]["value"])
    return browser.post(path, data={"csrf_token": token}, **options)


def consent(
    town: Town, browser: PageClient, *, user: str = ADA, decision: str = "allow", scope: str | None = None
) -> str:
    """From the button to Calendly and its answer: the path of the callback. ``scope`` is what is left ticked."""
    page = browser.page("/dashboard/connection")
    assert page.select("form[action='/dashboard/connection/connect'] button")
    sent = send(browser, "/dashboard/connection/connect")
    assert sent.status_code == 303, sent.text
    address = sent.headers["Location"]
    if scope is not None:
        before, _, after = address.partition("scope=")
        address = f"{before}scope={scope.replace(' ', '+').replace(':', '%3A')}&{after.partition('&')[2]}"
    form = {"user": user, "decision": decision}
    answer = town.hands.http.post(address, data=form, allow_redirects=False, timeout=10)
    assert answer.status_code == 303, answer.text
    back = urlsplit(answer.headers["Location"])
    assert f"{back.scheme}://{back.netloc}" == PUBLIC_URL
    return f"{back.path}?{back.query}"


def connect(town: Town, browser: PageClient, **how: str) -> TestResponse:
    """The whole way; the answer to the callback."""
    return browser.get(consent(town, browser, **how))


Connected = Callable[..., tuple[Builder, PageClient]]


@pytest.fixture
def connected(town: Town) -> Connected:
    """Makes a builder who has connected their own account, and their browser."""

    def make(
        user: str = ADA, slug: str = "ada", types: tuple[str, ...] = (HOUR,)
    ) -> tuple[Builder, PageClient]:
        made = town.builder(user, slug, types)
        browser = town.browser(slug)
        assert connect(town, browser, user=user).status_code == 303
        town.calls()
        return town.reread(made), browser

    return make
