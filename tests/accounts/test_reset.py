"""A forgotten password."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from bookingapp.accounts.models import Account, AccountLink
from bookingapp.core.db import db
from tests.accounts.conftest import OLU, LogIn, Post, submit
from tests.factories import PASSWORD
from tests.mailbox import text
from tests.pages import PageClient, new_client, parse

ANOTHER = {"password": "violet-kettle-harbor"}
FORGOT = "/forgot-password"


def ask(client: PageClient, email: str = OLU) -> None:
    assert client.submit(FORGOT, {"email": email}).location == "/forgot-password/sent"


def test_from_the_link_to_another_password(
    client: PageClient, other: PageClient, olu: Account, log_in: LogIn, post: Post
) -> None:
    """The browser that used it is logged in, every other one is logged out, and the owner gets a mail."""
    log_in(other)
    assert client.page("/login").select(f"a[href='{FORGOT}']")
    ask(client)
    path = post.link()
    assert client.submit(path, ANOTHER).location == "/dashboard"
    assert client.get("/account").status_code == 200
    assert other.get("/account").location.startswith("/login")
    assert log_in(other, ANOTHER["password"]).status_code == 303
    assert "Your password was reset" in post.subjects()


def test_opening_the_link_does_not_use_it(client: PageClient, olu: Account, post: Post) -> None:
    """Mail programs do. Using it does, and then it is gone."""
    ask(client)
    path = post.link()
    for _ in range(3):
        assert OLU in client.page(path).words
    assert client.submit(path, ANOTHER).status_code == 303
    assert client.page(path, status=410).one("h1").text == "This link has expired"
    assert client.post(path, data=ANOTHER | {"csrf_token": client.token("/my-bookings")}).status_code == 410


def test_a_weak_password_leaves_the_link(client: PageClient, olu: Account, post: Post) -> None:
    ask(client)
    path = post.link()
    answer = client.submit(path, {"password": "password1234"})
    assert (answer.status_code, "easy to guess" in parse(answer).words) == (422, True)
    assert client.submit(path, ANOTHER).status_code == 303


def test_what_ends_a_link(browser: PageClient, other: PageClient, post: Post) -> None:
    """A newer one, a change of the password, an hour."""
    ask(other)
    first = post.link()
    ask(other)
    second = post.link()
    assert other.get(first).status_code == 410
    assert other.get(second).status_code == 200
    submit(browser, "/account/password", {"present": PASSWORD, **ANOTHER})
    assert other.get(second).status_code == 410
    ask(other)
    third = post.link()
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1, seconds=5), tick=False):
        assert other.get(third).status_code == 410


@pytest.mark.any_database
def test_the_answer_does_not_say_whether_there_is_an_account(
    app: Flask, client: PageClient, olu: Account, post: Post, statements: list[str]
) -> None:
    """The same page, after the same statements; only the mail differs, and a job sends that."""
    pages, work = [], []
    for email in (OLU, "nobody@example.com"):
        before = len(statements)
        ask(client, email)
        work.append(statements[before:])
        pages.append(client.page("/forgot-password/sent").words.replace(email, ""))
    assert pages[0] == pages[1]
    assert work[0] == work[1]
    assert post.subjects() == ["Choose another password"]
    assert post.subjects("nobody@example.com") == []


def test_links_to_one_mailbox_are_limited(app: Flask, olu: Account) -> None:
    """Whether it has an account or not."""
    for number, email in enumerate((OLU, "nobody@example.com")):
        browsers = [new_client(app) for _ in range(4)]
        for browser in browsers:
            browser.environ_base["REMOTE_ADDR"] = f"198.51.100.{number}"
        for browser in browsers[:3]:
            ask(browser, email)
        assert browsers[3].submit(FORGOT, {"email": email}).status_code == 429


def test_strangers_cannot_use_up_the_owners_links(browser: PageClient, other: PageClient) -> None:
    """A browser that has logged in to the account has links of its own."""
    for status in (303, 303, 303, 429):
        assert other.submit(FORGOT, {"email": OLU}).status_code == status
    for status in (303, 303, 303, 429):
        assert submit(browser, FORGOT, {"email": OLU}).status_code == status


def test_the_token_is_nowhere_else(
    app: Flask, client: PageClient, olu: Account, post: Post, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in the log, nor a Referer, nor in a cache; in the database neither."""
    ask(client)
    path = post.link()
    token = path.rsplit("/", 1)[-1]
    answer = client.get(path)
    assert answer.headers["Referrer-Policy"] == "strict-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    client.submit(path, ANOTHER)
    assert token not in capfd.readouterr().err
    with app.app_context():
        for table in ("account_links", "jobs", "security_events"):
            assert token not in str(db.session().execute(sa.text(f"SELECT * FROM {table}")).all())
        assert db.session().scalars(sa.select(AccountLink.token)).all() == [None]


def test_the_mail_says_who_asked(client: PageClient, olu: Account, post: Post) -> None:
    client.environ_base["HTTP_USER_AGENT"] = (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    )
    ask(client)
    post.link()
    mail = text(post.mailbox.one(OLU))
    assert "Hello Olu Adeyemi," in mail
    assert "Firefox on Linux" in mail
    assert "127.0.0.x" in mail
