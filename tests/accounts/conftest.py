"""An account, its mail, and a way to log in through the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp.accounts.models import Account
from bookingapp.core.db import db
from bookingapp.core.settings import Settings
from bookingapp.worker import run_due
from tests.factories import PASSWORD, make_account
from tests.mailbox import Mailbox, text
from tests.pages import PageClient, new_client

OLU = "olu@example.com"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"

# The path of a link that works once.
_LINK = re.compile(r"https?://[^/\s]+(/(?:reset-password|confirm-address/\w+)/\S+)")

LogIn = Callable[..., TestResponse]


@dataclass
class Post:
    """The mail about accounts, and the worker that sends it."""

    app: Flask
    mailbox: Mailbox

    def subjects(self, address: str = OLU) -> list[str]:
        """Of all mails to the address, after what is due was sent."""
        run_due(self.app)
        return [str(mail["Subject"]) for mail in self.mailbox.to(address)]

    def link(self, address: str = OLU) -> str:
        """The path of the link in the newest mail to the address."""
        run_due(self.app)
        sent = [text(mail) for mail in self.mailbox.to(address)]
        return str(_LINK.findall(" ".join(sent))[-1])


@pytest.fixture
def post(app: Flask, settings: Settings) -> Post:
    return Post(app, Mailbox(settings.instance_dir / "outbox"))


@pytest.fixture
def olu(app: Flask) -> Account:
    """An account without a profile."""
    with app.app_context():
        return make_account(db.session(), email=OLU)


@pytest.fixture
def log_in() -> LogIn:
    """Logs in through the page."""

    def do(
        client: PageClient, password: str = PASSWORD, email: str = OLU, path: str = "/login"
    ) -> TestResponse:
        return client.submit(path, {"email": email, "password": password})

    return do


@pytest.fixture
def browser(client: PageClient, olu: Account, log_in: LogIn) -> PageClient:
    """Olu's browser, logged in."""
    client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    assert log_in(client).status_code == 303
    return client


@pytest.fixture
def other(app: Flask) -> PageClient:
    """Another browser, somewhere else."""
    client = new_client(app)
    client.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    return client


def submit(client: PageClient, page: str, data: dict[str, str], to: str | None = None) -> TestResponse:
    """Send a form as that page would."""
    token = client.page(page).select("input[name=csrf_token]")[0]["value"]
    return client.post(to or page, data={"csrf_token": str(token), **data})
