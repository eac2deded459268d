"""Who may see the console: operators whose log-in has passed the second step; and builders where it is required."""

from __future__ import annotations

import pyotp
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.accounts.codes import SecondStep, SecurityCode
from bookingapp.accounts.models import SecurityEvent
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.settings import Settings
from tests.factories import PASSWORD, log_in_at_once, make_account, make_builder
from tests.pages import HTMX, PageClient, parse

PAGE = "/operator"

Builders = tuple[bool, int]


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


@pytest.fixture(params=["required", "optional"])
def builders(app: Flask, session: Session, request: pytest.FixtureRequest) -> Builders:
    """Whether the settings require a second step of builders; and the account of one."""
    changed = services.get(Settings).model_copy(update={"builder_two_step": request.param})
    services.provide(app, changed)
    return request.param == "required", make_builder(session).account_id


def test_builders_set_up_the_second_step_first(app: Flask, client: PageClient, builders: Builders) -> None:
    """Where the settings say so. Their account is open to them until then."""
    is_required, account = builders
    log_in_at_once(app, client, account, second_step=SecondStep.NOT_NEEDED)
    answer = client.get("/dashboard/bookings")
    assert (answer.status_code, answer.location) == (
        (303, "/account/two-step") if is_required else (200, None)
    )
    answer = client.get("/dashboard/bookings", headers=HTMX)
    assert answer.headers.get("HX-Redirect") == ("/account/two-step" if is_required else None)
    assert ("This site asks for two-step log-in." in client.page("/account/two-step").words) is is_required
    assert client.get("/account/log-ins").status_code == 200


def test_the_set_up_leads_on_to_the_work(client: PageClient, app: Flask, builders: Builders) -> None:
    """Where builders were sent to it. Who came by themselves returns to their account."""
    is_required, account = builders
    log_in_at_once(app, client, account, second_step=SecondStep.NOT_NEEDED)
    token = client.token("/account/password")
    client.post("/account/two-step/start", data={"csrf_token": token})
    secret = "".join(client.page("/account/two-step/set-up").one(".secret-key").text.split())
    form = {"csrf_token": token, "code": pyotp.TOTP(secret).at(utcnow())}
    page = parse(client.post("/account/two-step/set-up", data=form))
    assert page.one(".actions a")["href"] == ("/dashboard" if is_required else "/account/two-step")


def test_builders_keep_the_second_step(app: Flask, client: PageClient, builders: Builders) -> None:
    """Where they need it, it cannot be turned off."""
    is_required, account = builders
    log_in_at_once(app, client, account)
    assert client.get("/dashboard/bookings").status_code == 200
    token = client.token("/account/password")
    answer = client.post("/account/two-step/off", data={"csrf_token": token, "present": PASSWORD})
    assert answer.status_code == (409 if is_required else 303)
