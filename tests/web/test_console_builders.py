"""The console's pages of builders, invitations and applications: each act does what it says, and is recorded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder, Tier
from bookingapp.console.models import ActCode, OperatorAct
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.onboarding.models import Application
from bookingapp.worker import run_due
from tests.factories import log_in_at_once, make_builder
from tests.live import press
from tests.mailbox import Mailbox, link, text
from tests.pages import HTMX, PageClient, new_client, parse
from tests.web.conftest import Book, LogInAs, Offer, promote

ADA = "/operator/builders/ada-okonkwo"
WHY = "Two clients say that nobody came."


@pytest.fixture
def operator(app: Flask, kenji: Offer, client: PageClient) -> PageClient:
    """The browser of Kenji, who is an operator too."""
    promote(app, kenji)
    log_in_at_once(app, client, kenji.builder.account_id)
    return client


def reread(app: Flask, offer: Offer) -> Builder:
    with app.app_context():
        return db.session().get_one(Builder, offer.builder.id)


def acts(app: Flask) -> list[tuple[str, str, int | None]]:
    with app.app_context():
        query = sa.select(OperatorAct.act, OperatorAct.reason, OperatorAct.builder_id).order_by(
            OperatorAct.id
        )
        return [(act.value, reason, builder) for act, reason, builder in db.session().execute(query)]


@pytest.mark.parametrize("query", ["okon", "ada-okonkwo@EXAMPLE.com", "ada-oko"])
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_finding_a_builder(operator: PageClient, ada: Offer, query: str, headers: dict[str, str]) -> None:
    """By name, address or slug, in any case."""
    page = parse(operator.get(f"/operator/builders?q={query}", headers=headers))
    assert [row["data-builder"] for row in page.select("[data-builder]")] == ["ada-okonkwo"]
    assert "ada-okonkwo@example.com" in page.words


def test_finding_a_builder_in_any_alphabet(app: Flask, operator: PageClient) -> None:
    with app.app_context():
        make_builder(db.session(), slug="ozge", display_name="Özge Ångström")
    page = operator.page("/operator/builders?q=öZGE åNG")
    assert [row["data-builder"] for row in page.select("[data-builder]")] == ["ozge"]


def test_finding_nobody(operator: PageClient, ada: Offer) -> None:
    """What a pattern means is no pattern here."""
    assert "No builder matches" in operator.page("/operator/builders?q=%25a").words
    assert len(operator.page("/operator/builders").select("[data-builder]")) == 2


def test_suspending_and_back(
    app: Flask, operator: PageClient, ada: Offer, book: Book, mails: Mailbox
) -> None:
    booked = book(Status.CONFIRMED)
    assert press(operator, f"{ADA}/suspend", {"reason": "no"}).status_code == 422
    assert reread(app, ada).suspended_at is None
    answer = press(operator, f"{ADA}/suspend", {"reason": WHY})
    assert (answer.status_code, answer.location) == (303, ADA)
    assert WHY in operator.page(ADA).words
    assert press(operator, f"{ADA}/suspend", {"reason": WHY}).status_code == 409
    run_due(app)
    mail = text(mails.one("ada-okonkwo@example.com", "Your page takes no bookings"))
    assert WHY in mail
    assert "please hold them" in mail
    assert "Ada" not in operator.page("/").words
    assert operator.page(f"/bookings/{booked.ref}").select("[data-booking-status=confirmed]")

    assert press(operator, f"{ADA}/restore", {"reason": "They were ill."}).status_code == 303
    run_due(app)
    again = text(mails.one("ada-okonkwo@example.com", "Clients can book you again"))
    assert "They were ill" not in again
    assert "Ada" in operator.page("/").words
    number = ada.builder.id
    assert acts(app) == [
        ("builder.suspended", WHY, number),
        ("builder.restored", "They were ill.", number),
    ]
    assert WHY in operator.page("/operator/acts").words


def test_a_builder_who_has_lost_the_old_mailbox(
    app: Flask, operator: PageClient, ada: Offer, mails: Mailbox
) -> None:
    """The operator changes the address: log-ins end, both addresses get a mail. Not for operators' accounts."""
    browser, new = new_client(app), "ada@example.org"
    log_in_at_once(app, browser, ada.builder.account_id)
    fields = {"email": " Ada@Example.org", "reason": "She called from her number."}
    assert press(operator, f"{ADA}/address", {**fields, "email": "kenji"}).status_code == 422
    assert press(operator, f"{ADA}/address", fields).location == ADA
    assert new in operator.page(ADA).words
    assert browser.get("/dashboard").location.startswith("/login")
    run_due(app)
    for address in ("ada-okonkwo@example.com", new):
        mail = text(mails.one(address, "Your e-mail address was changed"))
        assert f"log in as {new}" in mail
        assert "please answer this mail" in mail
    assert press(operator, f"{ADA}/address", fields).status_code == 409
    taken = press(operator, "/operator/builders/kenji-mori/address", fields)
    assert taken.status_code == 409
    page = parse(taken)
    assert "This account is an operator's too." in page.one("main form [role=alert]").text
    assert page.one("[name=reason]")["value"] == fields["reason"]
    assert acts(app) == [("builder.address_set", "She called from her number.", ada.builder.id)]


def test_what_a_suspended_builder_sees(app: Flask, ada: Offer, log_in: LogInAs, client: PageClient) -> None:
    with app.app_context(), transaction(db.session()) as session:
        found = session.get_one(Builder, ada.builder.id)
        found.suspended_at, found.suspension_reason = utcnow(), WHY
    browser = log_in(ada)
    for path in ("", "/bookings", "/profile"):
        words = browser.page(f"/dashboard{path}").words
        assert "You take no bookings at the moment" in words
        assert WHY in words


def test_the_tier_has_its_evidence(
    app: Flask, operator: PageClient, ada: Offer, kenji: Offer, book: Book
) -> None:
    """Counted over this builder's bookings alone."""
    book(Status.COMPLETED)
    late = book(Status.COMPLETED)
    book(Status.CANCELED)
    book(Status.CONFIRMED)
    book(Status.COMPLETED, offer=kenji)
    with app.app_context(), transaction(db.session()) as session:
        values = {"no_show_at": utcnow(), "ends_at": utcnow() + timedelta(days=9)}
        session.execute(sa.update(Booking).where(Booking.id == late.id).values(values))
    page = operator.page(ADA)
    counted = {str(one["data-evidence"]): one.text.split()[0] for one in page.select("[data-evidence]")}
    assert counted == {"completed": "2", "canceled": "1", "missed": "1", "refunded": "0", "disputed": "0"}
    assert "since" in page.one("[data-evidence=completed]").text
    form = {"tier": "expert", "reason": "Many good sessions."}
    assert press(operator, f"{ADA}/tier", form).status_code == 303
    assert reread(app, ada).tier is Tier.EXPERT
    assert "From Entry to Expert" in operator.page(ADA).words
    assert press(operator, f"{ADA}/tier", {**form, "tier": "wizard"}).status_code == 422


def test_featuring(app: Flask, operator: PageClient, ada: Offer) -> None:
    assert press(operator, f"{ADA}/feature", {"reason": "A good example."}).status_code == 303
    assert reread(app, ada).featured_at is not None
    assert press(operator, f"{ADA}/unfeature", {"reason": "Others too."}).status_code == 303
    assert reread(app, ada).featured_at is None
    assert [act for act, *_ in acts(app)] == ["builder.featured", "builder.unfeatured"]


def test_an_unknown_act_or_builder(operator: PageClient, ada: Offer) -> None:
    assert operator.get(f"{ADA}/promote").status_code == 404
    assert operator.get("/operator/builders/nobody/suspend").status_code == 404
    assert operator.get("/operator/invitations/4711/end").status_code == 404
    assert operator.get("/operator/applications/4711/accept").status_code == 404


class TestInvitations:
    FORM: ClassVar = {"name": "Noor Aziz", "email": "noor@example.com", "reason": "Her tools are good."}

    def states(self, operator: PageClient) -> list[Any]:
        return [
            row["data-invitation"]
            for row in operator.page("/operator/invitations").select("[data-invitation]")
        ]

    def test_inviting(self, app: Flask, operator: PageClient, mails: Mailbox) -> None:
        answer = press(operator, "/operator/invitations/new", self.FORM)
        assert (answer.status_code, answer.location) == (303, "/operator/invitations")
        assert "The mail is on its way" in operator.page("/operator/invitations").words
        run_due(app)
        page = operator.page("/operator/invitations")
        assert "Works until" in page.words
        first = link(mails.to("noor@example.com")[0])
        again = page.one("a[href$='/again']")["href"]
        assert press(operator, str(again), {"reason": "She lost it."}).status_code == 303
        run_due(app)
        second = link(mails.to("noor@example.com")[1])
        assert [operator.get(path).status_code for path in (first, second)] == [410, 200]
        assert self.states(operator) == ["open", "ended"]
        end = operator.page("/operator/invitations").one("a[href$='/end']")["href"]
        assert press(operator, str(end), {"reason": "A mistake of mine."}).status_code == 303
        assert operator.get(second).status_code == 410
        assert self.states(operator) == ["ended", "ended"]
        assert press(operator, str(end), {"reason": "A mistake of mine."}).status_code == 409
        assert [act for act, *_ in acts(app)] == ["invitation.sent", "invitation.sent", "invitation.ended"]

    def test_an_old_page_does_not_end_a_newer_invitation(
        self, app: Flask, operator: PageClient, mails: Mailbox
    ) -> None:
        """Another operator has sent it again meanwhile: that one is another invitation."""
        press(operator, "/operator/invitations/new", self.FORM)
        end = str(operator.page("/operator/invitations").one("a[href$='/end']")["href"])
        press(operator, end.replace("/end", "/again"), {"reason": "She lost it."})
        answer = press(operator, end, {"reason": "A mistake of mine."})
        assert answer.status_code == 409
        assert "This invitation is not open any more." in parse(answer).words
        assert self.states(operator) == ["open", "ended"]
        assert [act for act, *_ in acts(app)] == ["invitation.sent", "invitation.sent"]

    @pytest.mark.parametrize(
        "wrong", [{"email": "nobody"}, {"name": ""}, {"reason": ""}, {"email": "ada-okonkwo@example.com"}]
    )
    def test_what_cannot_be_used(
        self, app: Flask, operator: PageClient, ada: Offer, wrong: dict[str, str]
    ) -> None:
        """The operator learns that there is an account; what was typed stays."""
        answer = press(operator, "/operator/invitations/new", {**self.FORM, **wrong})
        assert answer.status_code in (409, 422)
        assert parse(answer).one("#email")["value"] == {**self.FORM, **wrong}["email"]
        assert self.states(operator) == []
        assert acts(app) == []


class TestApplications:
    @pytest.fixture
    def waiting(self, app: Flask) -> int:
        row = Application(
            email="noor@example.com",
            name="Noor",
            about="Small <b>tools</b>.",
            link="https://example.com",
            confirmed_at=utcnow(),
        )
        with app.app_context(), transaction(db.session()) as session:
            session.add(row)
            session.flush()
            return row.id

    def test_accepting(self, app: Flask, operator: PageClient, waiting: int, mails: Mailbox) -> None:
        assert "1 application needs an answer" in operator.page("/operator").words
        page = operator.page("/operator/applications")
        assert "Small <b>tools</b>." in page.words
        path = f"/operator/applications/{waiting}/accept"
        assert press(operator, path, {"reason": "Good work."}).status_code == 303
        run_due(app)
        assert operator.get(link(mails.to("noor@example.com")[0])).status_code == 200
        assert press(operator, path, {"reason": "Good work."}).status_code == 409
        assert (
            operator.page("/operator/applications").one("[data-application]")["data-application"]
            == "accepted"
        )
        assert acts(app) == [(ActCode.APPLICATION_ACCEPTED, "Good work.", None)]

    def test_declining(self, app: Flask, operator: PageClient, waiting: int, mails: Mailbox) -> None:
        form = {"reason": "Thank you, but we are full of tools."}
        assert press(operator, f"/operator/applications/{waiting}/decline", form).status_code == 303
        run_due(app)
        assert "Thank you, but we are full of tools." in text(mails.to("noor@example.com")[0])
        assert "Declined" in operator.page("/operator/applications").words
        assert acts(app) == [(ActCode.APPLICATION_DECLINED, form["reason"], None)]
