"""Who may see the console: operators whose log-in has passed the second step."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.accounts.codes import SecondStep, SecurityCode
from bookingapp.accounts.models import SecurityEvent
from tests.factories import log_in_at_once, make_account
from tests.pages import HTMX, PageClient

PAGE = "/operator"


def test_nobody_is_sent_to_the_log_in_page(app: Flask, client: PageClient) -> None:
    assert client.get(PAGE).location.startswith("/login?next=")


def test_a_builder_finds_nothing_there(app: Flask, client: PageClient, session: Session) -> None:
    """The try is recorded."""
    account = make_account(session)
    log_in_at_once(app, client, account.id)
    assert client.get(PAGE).status_code == 404
    event = session.scalars(sa.select(SecurityEvent)).one()
    assert (event.code, event.account_id, event.network) == (SecurityCode.DENIED, account.id, "127.0.0.0/24")


def test_an_operator_sets_up_the_second_step_first(app: Flask, client: PageClient, session: Session) -> None:
    log_in_at_once(app, client, make_account(session, is_operator=True).id, second_step=SecondStep.NOT_NEEDED)
    assert client.get(PAGE).location == "/account/two-step"
    answer = client.get(PAGE, headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/account/two-step")
    assert "Operators log in with a second step." in client.page("/account/two-step").words


def test_a_password_alone_opens_nothing(app: Flask, client: PageClient, session: Session) -> None:
    log_in_at_once(app, client, make_account(session, is_operator=True).id, second_step=SecondStep.DUE)
    for path in (PAGE, "/dashboard", "/account/two-step"):
        assert client.get(path).location.startswith("/login")


def test_an_operator_with_both_steps(app: Flask, client: PageClient, session: Session) -> None:
    log_in_at_once(app, client, make_account(session, is_operator=True).id)
    assert client.get(PAGE).status_code == 200
