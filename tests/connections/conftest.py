"""A sandbox without webhooks for every test, and an application that uses it as Calendly and Stripe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import undefer
from werkzeug.test import TestResponse

from bookingapp.builders.models import Builder
from bookingapp.connections.models import CalendlyConnection
from bookingapp.connections.tokens import Tokens
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.sandbox import SandboxConfig
from tests.conftest import close, make_app
from tests.live import ADA, Live, live, press
from tests.live import settings as settings_of_the_sandbox
from tests.pages import PageClient
from tests.sandbox.support import Hands, running_sandbox

__all__ = ["live", "settings_of_the_sandbox"]

PUBLIC_URL = "http://localhost"  # As the test client names itself.
SECONDARY = "second-token-of-the-tests"


@pytest.fixture
def app_url() -> str:
    """The application's address; nothing listens there."""
    return PUBLIC_URL


@pytest.fixture
def hands(tmp_path: Path, app_url: str) -> Iterator[Hands]:
    """A sandbox that delivers no webhooks."""
    config = SandboxConfig(
        base_url="",
        app_url=app_url,
        state_path=str(tmp_path / "sandbox.sqlite"),
        calendly_token_secondary=SECONDARY,
        auto_subscribe=False,
    )
    with running_sandbox(config) as found:
        found.http.trust_env = False
        yield found


@pytest.fixture
def overrides() -> dict[str, object]:
    """Settings that a test wants otherwise."""
    return {}


@pytest.fixture
def settings(settings_of_the_sandbox: Settings, overrides: dict[str, object]) -> Settings:
    return settings_of_the_sandbox.model_copy(update=overrides)


@dataclass
class Town(Live):
    """Builders with accounts of their own: their connections, and what Calendly is asked for them."""

    def all(self, statement: sa.Executable) -> list[Any]:
        with self.database() as session:
            return list(session.execute(statement).scalars())

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
        return not self.all(_of(builder))

    def age(self, builder: Builder, left: timedelta) -> None:
        """Let the time go by until the access token has so much of its life left, here and at Calendly."""
        with self.database() as session, transaction(session):
            session.scalars(_of(builder)).one().expires_at = utcnow() + left
        if left <= timedelta():
            user = builder.calendly_user.rpartition("/")[2]
            self.hands.control(f"calendly/oauth/{user}/revoke", expire=True)

    def user_name(self, tenant: str) -> str:
        """Whose account a call for this tenant is made with."""
        with self.app.app_context():
            return services.get(CalendlyClient).current_user(tenant).name

    def requests(self, *, reset: bool = True) -> list[tuple[str, str]]:
        """Method and path of the requests that Calendly got since the last call of this, oldest first."""
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
    """Everything together. A busy machine may be slow to renew: callers wait long, unless a test is about that."""
    with app.app_context():
        services.get(Tokens)._renewals._patience = 60
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


def consent(
    town: Town, browser: PageClient, *, user: str = ADA, decision: str = "allow", scope: str | None = None
) -> str:
    """From the button's address to Calendly and its answer: the path of the callback. ``scope`` is what is left
    ticked.
    """
    sent = press(browser, "/dashboard/connection/connect")
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
    """From the button on the page to the answer to the callback."""
    page = browser.page("/dashboard/connection")
    assert page.select("form[action='/dashboard/connection/connect'] button")
    return browser.get(consent(town, browser, **how))


Connected = Callable[..., tuple[Builder, PageClient]]


@pytest.fixture
def ada(town: Town) -> Builder:
    """A builder whom the platform's token serves."""
    return town.builder()


@pytest.fixture
def browser(town: Town, ada: Builder) -> PageClient:
    """Ada's browser, logged in."""
    return town.browser("ada")


@pytest.fixture
def connected(town: Town) -> Connected:
    """Makes a builder who has connected their own account, and their browser."""

    def make(slug: str = "ada", user: str = ADA) -> tuple[Builder, PageClient]:
        made, browser = town.builder(slug, user), town.browser(slug)
        assert connect(town, browser, user=user).status_code == 303
        town.requests()
        return town.reread(made), browser

    return make
