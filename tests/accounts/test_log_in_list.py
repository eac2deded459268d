"""The list of log-ins, ending them, and the mail about a browser that was not seen before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from bookingapp.accounts.models import Account, SecurityEvent
from bookingapp.accounts.models import LogIn as Row
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from tests.accounts.conftest import FIREFOX, OLU, LogIn, Post, submit
from tests.factories import PASSWORD, log_in_at_once, make_account, make_builder
from tests.mailbox import text
from tests.pages import PageClient, new_client, parse

LIST = "/account/log-ins"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)


def test_the_list_says_where_and_when(browser: PageClient, other: PageClient, log_in: LogIn) -> None:
    """The browser in words and the network; ended ones stay, with how they ended."""
    other.environ_base["HTTP_USER_AGENT"] = PHONE
    log_in(other)
    page = browser.page(LIST)
    first, second = (one.get_text(" ", strip=True) for one in page.select("section:first-of-type .log-in"))
    assert "Safari on iPhone" in first
    assert "from 198.51.100.x" in first
    assert "Firefox on Windows" in second
    assert "This browser" in second
    assert "UTC" in second
    submit(other, "/account", {}, "/logout")
    page = browser.page(LIST)
    assert "Safari on iPhone" not in page.select("section")[0].get_text(" ")
    assert "Logged out" in page.select("section")[1].get_text(" ")


def test_times_are_in_the_builders_zone(app: Flask, client: PageClient) -> None:
    """With its name. An account without a profile has none (above: UTC)."""
    with app.app_context():
        builder = make_builder(db.session(), timezone="Asia/Tokyo")
    with time_machine.travel(datetime(2026, 11, 29, 16, 5, tzinfo=UTC), tick=False):
        log_in_at_once(app, client, builder.account_id)
        words = client.page(LIST).words
    assert "Since Monday 30 November 2026, 01:05 JST" in words
    assert "UTC" not in words


def test_ending_one(browser: PageClient, other: PageClient, log_in: LogIn) -> None:
    log_in(other)
    action = str(browser.page(LIST).one(".log-in form")["action"])
    assert submit(browser, LIST, {}, action).location == LIST
    assert other.get("/account").location.startswith("/login")
    assert browser.get("/account").status_code == 200
    assert "Ended by you, from another browser" in browser.page(LIST).words


def test_ending_all_others(app: Flask, browser: PageClient, other: PageClient, log_in: LogIn) -> None:
    third = new_client(app)
    for client in (other, third):
        log_in(client)
    assert submit(browser, LIST, {}, f"{LIST}/end-others").location == LIST
    for client in (other, third):
        assert client.get("/account").location.startswith("/login")
    assert "2 other browsers are logged out." in browser.page(LIST).words


@pytest.mark.parametrize("which", ["one", "others"])
def test_ending_needs_the_password_later(
    browser: PageClient, other: PageClient, log_in: LogIn, which: str
) -> None:
    """Ten minutes after the log-in; a wrong one ends nothing, and is recorded."""
    with time_machine.travel(utcnow() + timedelta(minutes=11), tick=False):
        log_in(other)
        action = str(browser.page(LIST).one(".log-in form")["action"])
        address = action if which == "one" else f"{LIST}/end-others"
        asked = submit(browser, LIST, {}, address)
        assert asked.status_code == 200
        form = parse(asked).one("main form")
        assert form["action"] == address
        assert not form.select(".field__error")
        for password, error in (("", "Please enter your password."), ("wrong", "not your present password")):
            refused = submit(browser, LIST, {"present": password}, address)
            assert refused.status_code == 422
            assert error in parse(refused).one("#present-error").text
        assert other.get("/account").status_code == 200
        assert "Wrong password entered for a change" in browser.page(LIST).words
        assert submit(browser, LIST, {"present": PASSWORD}, address).location == LIST
        assert other.get("/account").location.startswith("/login")


def test_another_accounts_log_in_is_not_found(app: Flask, browser: PageClient) -> None:
    """It is ended by nobody else, and the try is recorded."""
    stranger = new_client(app)
    with app.app_context():
        account = make_account(db.session(), email="eve@example.com")
    log_in_at_once(app, stranger, account.id)
    with app.app_context():
        number = db.session().scalars(sa.select(Row.id).where(Row.account_id == account.id)).one()
    assert submit(browser, LIST, {}, f"{LIST}/{number}/end").status_code == 404
    assert stranger.get("/account").status_code == 200
    with app.app_context():
        assert "denied" in db.session().scalars(sa.select(SecurityEvent.code)).all()


def test_a_new_browser_is_mailed_once(
    app: Flask, browser: PageClient, other: PageClient, log_in: LogIn, post: Post
) -> None:
    """Not the first of all, and not one that has logged in before."""
    assert post.subjects() == []
    other.environ_base["HTTP_USER_AGENT"] = PHONE
    for _ in range(2):
        log_in(other)
        submit(other, "/account", {}, "/logout")
    submit(browser, "/account", {}, "/logout")
    log_in(browser)
    assert post.subjects() == ["A log-in from a new browser"]
    mail = text(post.mailbox.one(OLU))
    for part in (
        "Safari on iPhone",
        "198.51.100.x",
        "It was not you? Choose another password now",
        "/account/log-ins",
    ):
        assert part in mail


def test_a_browser_that_was_ended_is_new_again(
    browser: PageClient, other: PageClient, log_in: LogIn, post: Post
) -> None:
    log_in(other)
    submit(browser, LIST, {}, f"{LIST}/end-others")
    log_in(other)
    assert post.subjects() == ["A log-in from a new browser"] * 2


def test_failed_log_ins_are_counted_for_the_owner(
    browser: PageClient, other: PageClient, log_in: LogIn
) -> None:
    for _ in range(3):
        assert log_in(other, "not-my-password").status_code == 422
    assert "3 log-ins failed in the last 30 days" in browser.page(LIST).words


def test_events_have_no_secrets(app: Flask, browser: PageClient, other: PageClient, log_in: LogIn) -> None:
    """No address, name, password or token."""
    log_in(other, "not-my-password")
    log_in(other, "not-my-password", email="nobody@example.com")
    with app.app_context():
        rows = str(db.session().execute(sa.text("SELECT * FROM security_events")).all())
    for hidden in ("example.com", "Olu", "not-my-password", "127.0.0.1"):
        assert hidden not in rows
    assert FIREFOX in rows


@pytest.mark.any_database
def test_log_ins_of_before_still_work(app: Flask, client: PageClient, olu: Account, log_in: LogIn) -> None:
    """With the account's page on both databases."""
    assert log_in(client).status_code == 303
    for path in ("/account", LIST, "/account/two-step", "/account/address", "/account/password"):
        assert client.get(path).status_code == 200
