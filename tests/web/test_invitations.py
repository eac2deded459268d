"""Becoming a builder by an invitation: a link that works once, for seven days, and the account that it makes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from bookingapp.accounts import service
from bookingapp.accounts.models import Account, AccountLink
from bookingapp.accounts.passwords import PasswordHash
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import Conflict, Invalid
from bookingapp.onboarding import invitations
from bookingapp.onboarding.invitations import InvitationState, invite, list_invitations
from bookingapp.worker import run_due
from tests.mailbox import Mailbox, link, text
from tests.pages import PageClient, new_client, parse
from tests.web.conftest import Offer

MAIL = "noor@example.com"
PASSWORD = "seven quiet lanterns"
Invite = Callable[..., str]


@pytest.fixture
def invited(app: Flask, mails: Mailbox) -> Invite:
    """Invites, lets the mail be sent, and returns the path of its link."""

    def do(email: str = MAIL, name: str = "Noor Aziz") -> str:
        with app.app_context(), transaction(db.session()) as session:
            invite(session, email=email, name=name, now=utcnow())
        run_due(app)
        return link(mails.to(email.strip().lower())[-1])

    return do


def fill(**fields: str) -> dict[str, str]:
    return {"name": "Noor Aziz", "password": PASSWORD, "timezone": "Europe/Berlin", **fields}


def send(client: PageClient, path: str, **fields: str) -> Any:
    token = client.token("/my-bookings")
    return client.post(path, data={"csrf_token": token, **fill(**fields)})


def states(app: Flask) -> list[InvitationState]:
    with app.app_context():
        return [one.state for one in list_invitations(db.session(), now=utcnow())]


def test_an_invitation_makes_a_builder(
    app: Flask, client: PageClient, invited: Invite, mails: Mailbox
) -> None:
    """With an account that is logged in, and a profile that nobody finds or books yet."""
    path = invited()
    assert path.startswith("/invitation/")
    mail = mails.to(MAIL)[0]
    assert "works once, until" in text(mail)
    assert "Hello Noor Aziz" in text(mail)
    page = client.page(path)
    assert page.one("#email")["value"] == MAIL
    assert page.one("#name")["value"] == "Noor Aziz"
    answer = send(client, path)
    assert (answer.status_code, answer.location) == (303, "/dashboard")
    assert client.page("/dashboard").select("[data-step]")
    with app.app_context():
        builder = db.session().scalars(sa.select(Builder)).one()
        account = db.session().scalars(sa.select(Account)).one()
    assert (builder.slug, builder.display_name, builder.timezone) == (
        "noor-aziz",
        "Noor Aziz",
        "Europe/Berlin",
    )
    assert (builder.calendly_user_uri, builder.listed) == (None, False)
    assert (account.email, account.is_operator) == (MAIL, False)
    assert "Noor" not in client.page("/").words
    again = new_client(app).submit("/login", {"email": MAIL, "password": PASSWORD})
    assert again.status_code == 303
    assert states(app) == [InvitationState.USED]


def test_it_works_once(app: Flask, client: PageClient, invited: Invite) -> None:
    path = invited()
    assert send(client, path).status_code == 303
    for answer in (new_client(app).get(path), send(new_client(app), path)):
        assert answer.status_code == 410
        assert "This invitation has expired" in parse(answer).words
    with app.app_context():
        assert db.session().scalar(sa.select(sa.func.count(Account.id))) == 1


def test_it_works_for_seven_days(app: Flask, client: PageClient, invited: Invite) -> None:
    path, start = invited(), utcnow()
    with time_machine.travel(start + timedelta(days=6, hours=23)):
        assert client.get(path).status_code == 200
    with time_machine.travel(start + timedelta(days=7, minutes=1)):
        assert client.get(path).status_code == 410
        assert states(app) == [InvitationState.EXPIRED]


def test_a_newer_one_ends_the_older(app: Flask, client: PageClient, invited: Invite) -> None:
    old, other, new = invited(), invited("kim@example.com", "Kim"), invited(f"  {MAIL.upper()} ")
    assert [client.get(path).status_code for path in (old, other, new)] == [410, 200, 200]
    assert states(app) == [InvitationState.OPEN, InvitationState.OPEN, InvitationState.ENDED]


def test_the_token_is_in_the_mail_alone(app: Flask, invited: Invite) -> None:
    token = invited().rpartition("/")[2]
    with app.app_context():
        assert token not in str(db.session().execute(sa.text("SELECT * FROM account_links")).all())
        row = db.session().scalars(sa.select(AccountLink)).one()
        assert (row.token, row.account_id) == (None, None)


def test_a_builder_is_not_invited(app: Flask, ada: Offer) -> None:
    """The operator reads whose address it is."""
    with app.app_context():
        with (
            pytest.raises(Conflict, match="Ada Okonkwo logs in with this"),
            transaction(db.session()) as session,
        ):
            invite(session, email="ada-okonkwo@example.com", name="Ada", now=utcnow())
        with pytest.raises(Invalid), transaction(db.session()) as session:
            invite(session, email="nobody", name="Ada", now=utcnow())


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"password": "short"}, "password"),
        ({"password": "password123"}, "password"),
        ({"password": ""}, "password"),
        ({"name": " "}, "name"),
        ({"name": "Buy at www.example.com"}, "name"),
        ({"timezone": "Mars/Base"}, "timezone"),
    ],
)
def test_what_cannot_be_used_leaves_the_link_as_it_is(
    client: PageClient, invited: Invite, fields: dict[str, str], field: str
) -> None:
    path = invited()
    answer = send(client, path, **fields)
    assert answer.status_code == 422
    assert parse(answer).one(f"#{field}-error").text
    assert send(client, path).status_code == 303


def test_an_account_that_is_there_becomes_a_builder_too(
    app: Flask, client: PageClient, mails: Mailbox, invited: Invite
) -> None:
    """An operator's, for example: it keeps its password, which alone logs in."""
    with app.app_context(), transaction(db.session()) as session:
        session.add(
            Account(email=MAIL, name="Noor", password_hash="x", is_operator=True, created_at=utcnow())
        )
    path = invited()
    assert "the password that you have" in text(mails.to(MAIL)[-1])
    assert not client.page(path).select("#password")
    assert send(client, path, password="").location == "/login"
    assert "Your page is ready" in client.page("/login").words
    with app.app_context(), transaction(db.session()) as session:
        account = session.scalars(sa.select(Account)).one()
        builder = session.scalars(sa.select(Builder)).one()
        assert (account.password_hash, builder.account_id) == ("x", account.id)
        with pytest.raises(Conflict, match="is a builder already"):
            invite(session, email=MAIL, name="Noor", now=utcnow())


def test_two_who_get_one_address_at_once(
    app: Flask, client: PageClient, ada: Offer, invited: Invite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looked before the first was stored: it is refused with a sentence, and its link still works."""
    path = invited()
    with monkeypatch.context() as at_once:
        at_once.setattr(invitations, "_find_free_slug", lambda _session, _name: ada.builder.slug)
        answer = send(client, path)
        assert answer.status_code == 409
        assert "Please try again" in parse(answer).words
    with monkeypatch.context() as at_once:
        at_once.setattr(service, "find_account", lambda _session, _email: None)
        assert send(client, invited(email="ada-2@example.com")).status_code == 303
        fields: dict[str, Any] = {
            "email": "ada-2@example.com",
            "name": "A",
            "password_hash": PasswordHash("x"),
        }
        with app.app_context(), pytest.raises(Conflict), transaction(db.session()) as session:
            service.create_account(session, **fields, now=utcnow())
    assert send(new_client(app), path).status_code == 303


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Zoë O'Hara-Łukasz", "zoe-o-hara-ukasz"),
        ("李小龙", "builder"),
        ("N" * 120, "n" * 56),
        ("Ada Okonkwo", "ada-okonkwo-2"),
    ],
)
def test_the_address_of_the_page(
    app: Flask, client: PageClient, ada: Offer, invited: Invite, name: str, slug: str
) -> None:
    assert send(client, invited(name="X"), name=name).status_code == 303
    with app.app_context():
        assert db.session().scalars(sa.select(Builder.slug).order_by(Builder.id.desc())).first() == slug
    assert client.get(f"/builders/{slug}").status_code == 200
