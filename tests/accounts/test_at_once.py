"""What happens to an account while its password, second step or address is being changed, on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pyotp
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from bookingapp.accounts import service, two_step
from bookingapp.accounts.addresses import confirm_change, set_address
from bookingapp.accounts.codes import LinkPurpose
from bookingapp.accounts.models import Account, LogIn
from bookingapp.accounts.passwords import PasswordHash
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.worker import run_due
from tests.accounts.conftest import OLU, Post, submit
from tests.factories import PASSWORD, QUICK_HASHER
from tests.mailbox import text
from tests.pages import PageClient, new_client, parse
from tests.waiting import LOCK_AWAITED, eventually

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

ANOTHER = "violet-kettle-harbor"

Change = Callable[[Session, Account], object]
During = Callable[[Change, Callable[[], object]], None]


@pytest.fixture
def during(app: Flask, olu: Account, postgresql_url: str) -> During:
    """Begins something else once a change of the account has been written and is not committed yet."""

    def do(change: Change, other: Callable[[], object]) -> None:
        beside = threading.Thread(target=other)
        with app.app_context(), psycopg.connect(postgresql_url, autocommit=True) as connection:
            with transaction(db.session()) as session:
                change(session, service.lock_account(session, olu.id))
                session.flush()
                beside.start()
                eventually(lambda: connection.execute(LOCK_AWAITED).fetchone(), "the other, which waits")
            beside.join()

    return do


def reset(session: Session, account: Account) -> None:
    """As a link does that was mailed."""
    service.set_password(session, account, PasswordHash(QUICK_HASHER.hash(ANOTHER)), now=utcnow())


def turn_two_step_on(session: Session, account: Account) -> None:
    now, present = utcnow(), session.scalars(sa.select(LogIn)).one()
    two_step.begin_set_up(session, account, now=now)
    secret = two_step.find_new_secret(session, account.id, now=now)
    assert secret
    assert two_step.confirm_set_up(session, account, present, pyotp.TOTP(secret).at(now), now=now)


def log_in(client: PageClient, answers: list[TestResponse]) -> Callable[[], object]:
    form = {"email": OLU, "password": PASSWORD}
    return lambda: answers.append(client.submit("/login", form))


def test_a_log_in_with_the_old_password(app: Flask, during: During) -> None:
    """It is none: the change ends every log-in that the old password opened."""
    client, answers = new_client(app), list[TestResponse]()
    during(reset, log_in(client, answers))
    assert [answer.status_code for answer in answers] == [422]
    assert client.get("/account").location.startswith("/login")


def test_a_log_in_without_the_code(app: Flask, browser: PageClient, during: During) -> None:
    client, answers = new_client(app), list[TestResponse]()
    during(turn_two_step_on, log_in(client, answers))
    assert [answer.location for answer in answers] == ["/login/two-step"]
    assert client.get("/account").location.startswith("/login")


def test_a_change_of_the_password_with_the_old_one(browser: PageClient, during: During, app: Flask) -> None:
    """Whoever knows the old one does not undo the reset that they saw coming."""
    answers = list[TestResponse]()
    form = {"present": PASSWORD, "password": "seven quiet lanterns"}
    during(reset, lambda: answers.append(submit(browser, "/account/password", form)))
    assert "This is not your present password." in parse(answers[0]).words
    again = new_client(app).submit("/login", {"email": OLU, "password": ANOTHER})
    assert again.status_code == 303


def test_a_change_of_address_that_is_stopped_too_late(
    app: Flask, browser: PageClient, during: During, post: Post
) -> None:
    """The page does not say that it was stopped."""
    form = {"email": "new@example.com", "present": PASSWORD}
    assert submit(browser, "/account/address", form).status_code == 303
    new, old = post.link("new@example.com"), post.link()
    client = new_client(app)
    assert client.submit(new).status_code == 200

    def confirm(session: Session, _account: Account) -> None:
        token = old.rpartition("/")[2]
        assert confirm_change(session, LinkPurpose.CONFIRM_OLD_ADDRESS, token, now=utcnow())

    answers = list[TestResponse]()
    during(confirm, lambda: answers.append(client.submit(f"{old}/stop")))
    assert [answer.status_code for answer in answers] == [410]


def test_a_link_for_the_address_before(app: Flask, client: PageClient, during: During, post: Post) -> None:
    """It resets the password of nobody."""
    assert client.submit("/forgot-password", {"email": OLU}).status_code == 303
    during(
        lambda session, account: set_address(session, account.id, "new@example.com", now=utcnow()),
        lambda: run_due(app),
    )
    post.subjects()
    assert not [mail for mail in post.mailbox.to(OLU) if "/reset-password/" in text(mail)]
