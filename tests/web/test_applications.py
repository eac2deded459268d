"""Becoming a builder by an application: the same answer for every address, and no mail to who did not ask."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.accounts.models import Account
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.settings import Settings
from bookingapp.onboarding.applications import accept_application, decline_application, list_waiting
from bookingapp.onboarding.models import Application
from bookingapp.worker import run_due
from tests.mailbox import Mailbox, link, text
from tests.pages import PageClient, new_client, parse
from tests.web.conftest import Offer

MAIL = "noor@example.com"
PAGE = "/become-a-builder"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Applications are taken, but where a test is marked otherwise."""
    return settings.model_copy(update={"builder_signup": getattr(request, "param", "apply")})


def send(client: PageClient, **fields: str) -> Any:
    form = {"name": "Noor Aziz", "email": MAIL, "about": "Small tools.", "link": "example.com/noor", **fields}
    return client.post(PAGE, data={"csrf_token": client.token("/my-bookings"), **form})


def waiting(app: Flask) -> list[Application]:
    with app.app_context():
        return list(list_waiting(db.session()))


def confirm(app: Flask, client: PageClient, mails: Mailbox, email: str = MAIL) -> str:
    """Follow the link of the newest mail; returns its path."""
    run_due(app)
    path = link(mails.to(email)[-1])
    assert client.page(path).one("main form")["action"] == path
    assert client.submit(path).status_code == 200
    return path


@pytest.mark.parametrize("settings", ["invite"], indirect=True)
def test_by_invitation_only(client: PageClient) -> None:
    """The page says how builders come here, and nothing can be sent."""
    page = client.page(PAGE)
    assert "by invitation" in page.words
    assert not page.select("main form")
    assert send(client).status_code == 404


def test_an_application_is_seen_once_its_address_is_confirmed(
    app: Flask, client: PageClient, mails: Mailbox
) -> None:
    """Then operators get a mail."""
    with app.app_context(), transaction(db.session()) as session:
        olu = Account(email="olu@example.com", name="Olu", password_hash="x", is_operator=True)
        olu.created_at = utcnow()
        session.add(olu)
    answer = send(client)
    assert (answer.status_code, answer.location) == (303, f"{PAGE}/sent")
    assert "Check your inbox" in client.page(answer.location).words
    assert waiting(app) == []
    path = confirm(app, client, mails)
    (row,) = waiting(app)
    assert (row.name, row.email, row.about, row.link) == (
        "Noor Aziz",
        MAIL,
        "Small tools.",
        "https://example.com/noor",
    )
    assert client.get(path).status_code == 410
    run_due(app)
    assert "/operator/applications" in text(mails.one("olu@example.com", "Noor Aziz applies"))


def test_a_second_one_takes_the_place_of_the_first(app: Flask, client: PageClient, mails: Mailbox) -> None:
    send(client)
    confirm(app, client, mails)
    send(client, about="Larger tools.")
    confirm(app, client, mails)
    assert [row.about for row in waiting(app)] == ["Larger tools."]


def test_an_account_is_not_given_away(app: Flask, client: PageClient, ada: Offer, mails: Mailbox) -> None:
    """The page answers alike; who reads the mailbox reads that there is one."""
    known = "ada-okonkwo@example.com"
    answers = [send(new_client(app), email=email) for email in (known, MAIL)]
    assert len({(one.status_code, one.location, one.text) for one in answers}) == 1
    run_due(app)
    assert "has an account already" in text(mails.to(known)[0])
    assert "/confirm/" not in text(mails.to(known)[0])
    assert "/confirm/" in text(mails.to(MAIL)[0])


def test_nobody_is_mail_bombed(app: Flask, client: PageClient, mails: Mailbox) -> None:
    """A mailbox gets two mails an hour, in every spelling, whoever asks; and a network sends five."""
    statuses = [
        send(new_client(app), email=email).status_code for email in (MAIL, "noor+x@example.com", MAIL)
    ]
    assert statuses == [303, 303, 429]
    run_due(app)
    assert len(mails.to(MAIL)) + len(mails.to("noor+x@example.com")) == 2
    others = [send(new_client(app), email=f"{n}@example.com").status_code for n in range(4)]
    assert others == [303, 303, 429, 429]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"name": ""}, "name"),
        ({"about": " "}, "about"),
        ({"about": "x" * 1001}, "about"),
        ({"link": "javascript:alert(1)"}, "link"),
        ({"link": "ftp://example.com"}, "link"),
        ({"link": "two words.com"}, "link"),
        ({"link": "https://[bad"}, "link"),
    ],
)
def test_what_cannot_be_used(client: PageClient, fields: dict[str, str], field: str) -> None:
    answer = send(client, **fields)
    assert answer.status_code == 422
    page = parse(answer)
    assert page.one(f"#{field}-error").text
    assert page.one("#email")["value"] == fields.get("email", MAIL)


def test_accepted_is_invited(app: Flask, client: PageClient, mails: Mailbox) -> None:
    send(client)
    confirm(app, client, mails)
    with app.app_context(), transaction(db.session()) as session:
        accept_application(session, session.scalars(sa.select(Application.id)).one(), now=utcnow())
    run_due(app)
    assert client.get(link(mails.to(MAIL)[-1])).status_code == 200
    assert waiting(app) == []


def test_declined_reads_why(app: Flask, client: PageClient, mails: Mailbox) -> None:
    send(client)
    confirm(app, client, mails)
    with app.app_context(), transaction(db.session()) as session:
        one = session.scalars(sa.select(Application.id)).one()
        decline_application(session, one, answer="We have enough builders of tools for now.", now=utcnow())
    run_due(app)
    assert "We have enough builders of tools for now." in text(mails.to(MAIL)[-1])
    assert waiting(app) == []
