"""``flask accounts`` and the demo's operator."""

from __future__ import annotations

from urllib.parse import urlsplit

import pyotp
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from bookingapp.accounts.models import Account, TwoStep
from bookingapp.cli.demo import DEMO_OPERATOR, DEMO_PASSWORD
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from tests.accounts.conftest import OLU, LogIn, Post, submit
from tests.pages import PageClient


def test_make_operator(runner: FlaskCliRunner, browser: PageClient, post: Post) -> None:
    """Repeating it changes nothing; the owner gets a mail."""
    for _ in range(2):
        result = runner.invoke(args=["accounts", "make-operator", OLU.upper()])
        assert (result.exit_code, result.output) == (0, "Olu Adeyemi is an operator\n")
    assert browser.get("/operator").location == "/account/two-step"
    assert post.subjects() == ["You are an operator now"]


def test_make_an_operator_who_has_no_account(runner: FlaskCliRunner, browser: PageClient) -> None:
    """The first operator of an installation: no builder; the printed link leads to a password and the set-up."""
    arguments = ["accounts", "make-operator", "mia@example.com", "--name", "Mia Novak"]
    said, link = runner.invoke(args=arguments).stdout.splitlines()
    assert said == "Mia Novak is an operator"
    assert submit(browser, urlsplit(link).path, {"password": "violet-kettle-harbor"}).status_code == 303
    assert browser.get("/operator").location == "/account/two-step"
    assert runner.invoke(args=arguments).stdout.splitlines() == [said]


def test_an_address_without_an_account(runner: FlaskCliRunner, app: Flask) -> None:
    for command, hint in (
        (("make-operator", "nobody@example.com"), "; --name makes one"),
        (("reset", "nobody@example.com"), ""),
        (("change-address", "nobody@example.com", OLU), ""),
    ):
        result = runner.invoke(args=["accounts", *command])
        assert (result.exit_code, result.stderr) == (1, f"Error: no account has that address{hint}\n")


def test_change_address(runner: FlaskCliRunner, browser: PageClient, log_in: LogIn, post: Post) -> None:
    """For an owner who has lost the old mailbox: logged out everywhere, with a mail to both addresses."""
    new = "olu@example.org"
    result = runner.invoke(args=["accounts", "change-address", OLU, new.upper()])
    assert (result.exit_code, result.output) == (0, "Olu Adeyemi logs in with the new address now\n")
    assert browser.get("/account").location.startswith("/login")
    assert [post.subjects(address) for address in (OLU, new)] == [["Your e-mail address was changed"]] * 2
    assert log_in(browser, email=new).status_code == 303
    again = runner.invoke(args=["accounts", "change-address", new, new])
    assert (again.exit_code, again.stderr) == (1, "Error: The account has this address already.\n")


def test_reset(
    app: Flask, runner: FlaskCliRunner, browser: PageClient, other: PageClient, post: Post
) -> None:
    """Ends every log-in, and prints a link that works once. Two-step log-in stays, unless it is named."""
    with app.app_context(), transaction(db.session()) as session:
        account = session.scalars(sa.select(Account)).one()
        account.two_step_since = utcnow()
        session.add(TwoStep(account_id=account.id, secret=pyotp.random_base32(), created_at=utcnow()))
    for options, target in (((), "/login/two-step"), (("--two-step",), "/dashboard")):
        result = runner.invoke(args=["accounts", "reset", OLU, *options])
        assert result.exit_code == 0
        link = urlsplit(result.stdout.splitlines()[-1]).path
        assert browser.get("/account").location.startswith("/login")
        assert submit(other, link, {"password": "violet-kettle-harbor"}).location == target
        assert other.get(link).status_code == 410
    assert post.subjects().count("Your account was reset") == 2
    assert post.subjects().count("Two-step log-in is off") == 1


def test_the_demos_operator_logs_in_with_its_code(
    runner: FlaskCliRunner, client: PageClient, log_in: LogIn
) -> None:
    for _ in range(2):
        assert runner.invoke(args=["demo"]).exit_code == 0
    assert log_in(client, DEMO_PASSWORD, DEMO_OPERATOR).location == "/login/two-step"
    code = runner.invoke(args=["demo-code"]).output.strip()
    assert submit(client, "/login/two-step", {"code": code}).status_code == 303
    assert client.get("/operator").status_code == 200
