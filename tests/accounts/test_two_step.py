"""Two-step log-in: setting it up, logging in, recovery codes, turning it off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pyotp
import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from bookingapp.accounts.models import Account
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from tests.accounts.conftest import OLU, LogIn, Post, submit
from tests.factories import PASSWORD
from tests.pages import Page, PageClient, new_client, parse

HERE = "/account/two-step"
SET_UP = f"{HERE}/set-up"
STEP = "/login/two-step"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """Time that the test moves: a code is good for 30 seconds."""
    with time_machine.travel(utcnow().replace(second=10), tick=False) as traveller:
        yield traveller


def shown_secret(page: Page) -> str:
    """As the person would type it."""
    return page.one(".secret-key").get_text().replace(" ", "").replace("\n", "")


def code(secret: str, *, later: int = 0) -> str:
    """What the app shows so many periods later."""
    return pyotp.TOTP(secret).at(utcnow() + timedelta(seconds=30 * later))


def set_up(client: PageClient, clock: time_machine.Traveller) -> tuple[str, list[str]]:
    """Set it up, and wait for the next code. Returns the secret and the recovery codes."""
    assert submit(client, HERE, {}, f"{HERE}/start").location == SET_UP
    secret = shown_secret(client.page(SET_UP))
    answer = submit(client, SET_UP, {"code": code(secret)})
    assert answer.status_code == 200, answer.text
    clock.shift(timedelta(seconds=30))
    return secret, [str(one.text) for one in parse(answer).select(".recovery-codes code")]


def test_from_set_up_to_the_next_log_in(
    app: Flask,
    browser: PageClient,
    other: PageClient,
    log_in: LogIn,
    post: Post,
    clock: time_machine.Traveller,
) -> None:
    """The password leads to the second step and opens nothing; the code completes the log-in. Others have ended."""
    log_in(other)
    secret, codes = set_up(browser, clock)
    assert len(set(codes)) == 10
    assert other.get("/account").location.startswith("/login")
    assert browser.get("/account").status_code == 200
    assert log_in(other, path="/login?next=/account/log-ins").location == f"{STEP}?next=/account/log-ins"
    assert other.get("/account").location.startswith("/login")
    answer = submit(other, f"{STEP}?next=/account/log-ins", {"code": code(secret)})
    assert answer.location == "/account/log-ins"
    assert other.get("/account").status_code == 200
    assert "Two-step log-in is on" in post.subjects()


def test_a_button_that_is_pressed_twice_shows_codes_that_work(
    browser: PageClient, other: PageClient, log_in: LogIn, post: Post, clock: time_machine.Traveller
) -> None:
    """The browser shows the second answer, so its recovery codes are those that count. It is one change, with one mail;
    a minute later the same code is just wrong.
    """
    assert submit(browser, HERE, {}, f"{HERE}/start").location == SET_UP
    fields = {"code": code(shown_secret(browser.page(SET_UP)))}
    fields["csrf_token"] = str(browser.page(SET_UP).select("[name=csrf_token]")[0]["value"])
    first, second = (parse(browser.post(SET_UP, data=fields)) for _ in range(2))
    assert len(second.select(".recovery-codes code")) == 10
    assert first.one(".recovery-codes").text != second.one(".recovery-codes").text
    log_in(other)
    recovery = str(second.select(".recovery-codes code")[0].text)
    assert submit(other, STEP, {"code": recovery}).location == "/dashboard"
    assert post.subjects().count("Two-step log-in is on") == 1
    clock.shift(timedelta(minutes=2))
    assert browser.post(SET_UP, data=fields).location == HERE


def test_a_code_works_once(
    app: Flask, browser: PageClient, other: PageClient, log_in: LogIn, clock: time_machine.Traveller
) -> None:
    """Also the one that turned it on, and the one before the last that was used."""
    secret, _ = set_up(browser, clock)
    third = new_client(app)
    used = code(secret)
    for client, given, status in (
        (other, code(secret, later=-1), 422),
        (other, used, 303),
        (third, used, 422),
        (third, code(secret, later=1), 303),
    ):
        if not client.page(STEP).select("#code"):
            assert log_in(client).location == STEP
        assert submit(client, STEP, {"code": given}).status_code == status, given


@pytest.mark.parametrize(
    "wrong", ["000000", "12345", "abcdef", "²³¹²³¹", "\uff11\uff12\uff13\uff14\uff15\uff16"]
)
def test_a_wrong_code(
    browser: PageClient, other: PageClient, log_in: LogIn, clock: time_machine.Traveller, wrong: str
) -> None:
    set_up(browser, clock)
    log_in(other)
    answer = submit(other, STEP, {"code": wrong})
    assert (answer.status_code, "This code is wrong" in parse(answer).words) == (422, True)
    assert other.get("/account").location.startswith("/login")


def test_a_recovery_code_works_once(
    app: Flask,
    browser: PageClient,
    other: PageClient,
    log_in: LogIn,
    post: Post,
    clock: time_machine.Traveller,
) -> None:
    """In whatever spelling; the owner gets a mail, and sees how many are left."""
    _, codes = set_up(browser, clock)
    for client, given, status in (
        (other, codes[0].upper().replace("-", " "), 303),
        (new_client(app), codes[0], 422),
    ):
        log_in(client)
        assert submit(client, STEP, {"code": given}).status_code == status
    assert "9 recovery codes are left" in browser.page(HERE).words
    assert "A recovery code was used" in post.subjects()


def test_what_is_stored_opens_nothing(app: Flask, browser: PageClient, clock: time_machine.Traveller) -> None:
    """The secret is encrypted, recovery codes are hashes."""
    secret, codes = set_up(browser, clock)
    for table, hidden in (("two_steps", [secret]), ("recovery_codes", codes)):
        with app.app_context():
            stored = str(db.session().execute(sa.text(f"SELECT * FROM {table}")).all())
        assert not [one for one in hidden if one in stored or one.replace("-", "") in stored]


def test_guessing_codes_is_limited(
    app: Flask, browser: PageClient, other: PageClient, log_in: LogIn, clock: time_machine.Traveller
) -> None:
    """Five in five minutes, for all browsers that are not known together; the owner's own browser still gets in."""
    secret, _ = set_up(browser, clock)
    log_in(other)
    for _ in range(5):
        assert submit(other, STEP, {"code": "000000"}).status_code == 422
    third = new_client(app)
    log_in(third)
    refused = submit(third, STEP, {"code": code(secret)})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    submit(browser, "/account", {}, "/logout")
    assert log_in(browser).location == STEP
    assert submit(browser, STEP, {"code": code(secret)}).status_code == 303


def test_the_second_step_waits_ten_minutes(
    browser: PageClient, other: PageClient, log_in: LogIn, clock: time_machine.Traveller
) -> None:
    secret, _ = set_up(browser, clock)
    log_in(other)
    clock.shift(timedelta(minutes=11))
    assert "Please enter your password again." in other.page(STEP).words
    assert submit(other, STEP, {"code": code(secret)}).status_code == 409
    assert other.get("/account").location.startswith("/login")


def test_turning_it_off_and_new_codes_need_the_password(
    browser: PageClient, other: PageClient, log_in: LogIn, post: Post, clock: time_machine.Traveller
) -> None:
    _, codes = set_up(browser, clock)
    for action in ("off", "recovery-codes", "start"):
        answer = submit(browser, HERE, {"present": "not-my-password"}, f"{HERE}/{action}")
        assert (answer.status_code, "not your present password" in parse(answer).words) == (422, True)
    clock.shift(timedelta(minutes=1))
    answer = submit(browser, HERE, {"present": PASSWORD}, f"{HERE}/recovery-codes")
    fresh = [str(one.text) for one in parse(answer).select(".recovery-codes code")]
    assert len(fresh) == 10
    assert not set(fresh) & set(codes)
    log_in(other)
    assert submit(other, STEP, {"code": codes[0]}).status_code == 422
    assert submit(browser, HERE, {"present": PASSWORD}, f"{HERE}/off").location == HERE
    assert log_in(other).location == "/dashboard"
    assert {"You have new recovery codes", "Two-step log-in is off"} <= set(post.subjects())


def test_another_app_replaces_the_first_once_it_is_confirmed(
    browser: PageClient, other: PageClient, log_in: LogIn, clock: time_machine.Traveller
) -> None:
    first, _ = set_up(browser, clock)
    submit(browser, HERE, {"present": PASSWORD}, f"{HERE}/start")
    second = shown_secret(browser.page(SET_UP))
    log_in(other)
    assert submit(other, STEP, {"code": code(first)}).status_code == 303
    clock.shift(timedelta(seconds=30))
    assert submit(browser, SET_UP, {"code": code(second)}).status_code == 200
    clock.shift(timedelta(seconds=30))
    log_in(other)
    assert submit(other, STEP, {"code": code(first)}).status_code == 422
    assert submit(other, STEP, {"code": code(second)}).status_code == 303


def test_an_operator_sets_it_up_and_reaches_the_console(
    app: Flask, browser: PageClient, clock: time_machine.Traveller
) -> None:
    """Led there from the console; it cannot be turned off."""
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(Account).where(Account.email == OLU).values(is_operator=True))
    assert browser.get("/operator").location == HERE
    set_up(browser, clock)
    assert browser.get("/operator").status_code == 200
    assert submit(browser, HERE, {"present": PASSWORD}, f"{HERE}/off").status_code == 409


def test_a_second_step_that_was_turned_off_opens_no_console(
    app: Flask, browser: PageClient, clock: time_machine.Traveller
) -> None:
    """Who becomes an operator later has to set it up anew, also in a browser that has passed it once."""
    set_up(browser, clock)
    assert submit(browser, HERE, {"present": PASSWORD}, f"{HERE}/off").location == HERE
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(Account).where(Account.email == OLU).values(is_operator=True))
    assert browser.get("/operator").location == HERE


def test_setting_it_up_later_needs_the_password(browser: PageClient, clock: time_machine.Traveller) -> None:
    """A browser that was left alone for a while sets up nobody else's phone."""
    clock.shift(timedelta(minutes=11))
    assert submit(browser, HERE, {}, f"{HERE}/start").status_code == 422
    assert browser.get(SET_UP).location == HERE
    assert submit(browser, HERE, {"present": PASSWORD}, f"{HERE}/start").location == SET_UP


def test_the_qr_code_is_an_image_of_ours(browser: PageClient) -> None:
    submit(browser, HERE, {}, f"{HERE}/start")
    page = browser.page(SET_UP)
    image = page.one("svg.qr-code")
    assert image["aria-label"]
    assert str(image.select("path")[0]["d"]).startswith("M4 4h7v1h-7z")
    assert shown_secret(page) in str(page.one("a[href^='otpauth://totp/Builder%20Hours:']")["href"])
