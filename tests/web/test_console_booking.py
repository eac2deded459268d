"""One booking on the console: what is known of it, and each act with its reason and its row of the record."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking, Note
from bookingapp.bookings.states import Status
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import Job
from bookingapp.payments.models import EntryKind, LedgerEntry, Payment, Refund
from bookingapp.worker import run_due
from tests.mailbox import Mailbox, text
from tests.pages import PageClient
from tests.web.conftest import Book, Offer, change, list_rows
from tests.web.test_console import REASON, acts, flag, send


@pytest.fixture
def paid(app: Flask, kenji: Offer, book: Book) -> Booking:
    """A confirmed booking of another builder's, of which £60.00 was paid."""
    booking, now = book(Status.CONFIRMED, offer=kenji), utcnow()
    with app.app_context(), transaction(db.session()) as session:
        payment = Payment(
            booking_id=booking.id,
            attempt=1,
            state="paid",
            amount_minor=6000,
            currency="GBP",
            payment_intent_id="pi_1",
            expires_at=now,
            created_at=now,
            updated_at=now,
        )
        session.add(payment)
        session.flush()
        session.add(
            LedgerEntry(
                booking_id=booking.id,
                payment_id=payment.id,
                kind=EntryKind.CHARGE,
                amount_minor=6000,
                currency="GBP",
                stripe_id="pi_1",
                at=now,
            )
        )
    return booking


def page_of(booking: Booking) -> str:
    return f"/operator/bookings/{booking.tracking_id}"


def begin(app: Flask, booking: Booking) -> None:
    """Let the session have begun an hour ago."""
    at = utcnow() - timedelta(hours=1)
    change(app, booking, starts_at=at, ends_at=at + timedelta(minutes=30))


def reread(app: Flask, booking: Booking) -> Booking:
    with app.app_context():
        return db.session().get_one(Booking, booking.id)


def test_the_page(app: Flask, operator: PageClient, paid: Booking) -> None:
    """Everything that the builder sees, each flag with its button, and never the reference."""
    flag(app, paid, FlagCode.DISPUTE_LOST)
    flag(app, paid, FlagCode.PAID_WITHOUT_TIME)
    page = operator.page(page_of(paid))
    head = page.one("[data-booking-ref]")
    assert (head["data-booking-status"], head["data-payment-status"]) == ("confirmed", "paid")
    assert "Grace Hall with Kenji Mori" in page.words
    assert "grace@example.org" in page.words
    assert [one["data-attention"] for one in page.select("[data-attention]")] == [
        "dispute_lost",
        "paid_without_time",
    ]
    for link in page.select("main a[href^='/operator/bookings/']"):
        assert operator.get(str(link["href"])).status_code == 200, link
    assert paid.ref not in str(page)


def test_cancel_with_full_refund(app: Flask, operator: PageClient, paid: Booking) -> None:
    address = f"{page_of(paid)}/cancel"
    assert "£60.00 goes back to the client" in operator.page(address).words
    assert send(operator, address, {"reason": " "}).status_code == 422
    assert reread(app, paid).status is Status.CONFIRMED
    assert send(operator, address, REASON).location == page_of(paid)
    assert reread(app, paid).status is Status.CANCELED
    assert [one.amount_minor for one in list_rows(app, Refund)] == [6000]
    (act,) = acts(app)
    assert (act.act, act.reason, act.facts) == (
        "booking.canceled",
        REASON["reason"],
        {"amount_minor": 6000, "currency": "GBP"},
    )
    page = operator.page(page_of(paid))
    assert "The client wrote to us." in page.one("[data-act]").text
    assert send(operator, address, REASON).status_code == 409
    assert len(acts(app)) == 1


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_the_form_of_a_refund_begins_with_the_amount(
    operator: PageClient, paid: Booking, language: str
) -> None:
    """The reason that the client reads and the one for the record have different names, in each language."""
    page = operator.page(f"{page_of(paid)}/refund?lang={language}")
    assert [one["name"] for one in page.select("main [autofocus]")] == ["amount"]
    labels = [one.text.strip() for one in page.select("main label")]
    assert len(set(labels)) == 3
    assert len(page.select("main .field__help")) == 3


def test_refund_an_amount(app: Flask, operator: PageClient, paid: Booking, mails: Mailbox) -> None:
    """At most what is left; the same form makes one refund, of which the builder gets a mail."""
    address = f"{page_of(paid)}/refund"
    form = {"amount": "12.50", "reason": "goodwill", "edition": "0", "act-reason": "Late by half an hour."}
    page = operator.page(address)
    reasons = [str(one["value"]) for one in page.select("select[name=reason] option") if one["value"]]
    form["reason"] = reasons[0]
    assert send(operator, address, {**form, "amount": "60.01"}).status_code == 422
    assert send(operator, address, {**form, "act-reason": ""}).status_code == 422
    assert list_rows(app, Refund) == []
    assert send(operator, address, form).status_code == 303
    assert [one.amount_minor for one in list_rows(app, Refund)] == [1250]
    (act,) = acts(app)
    assert (act.act, act.facts["amount_minor"], act.reason) == (
        "booking.amount_refunded",
        1250,
        "Late by half an hour.",
    )
    assert send(operator, address, form).status_code == 409
    assert len(list_rows(app, Refund)) == len(acts(app)) == 1
    run_due(app)
    mail = text(mails.one("kenji-mori@example.com", "We refunded"))
    assert "decided to refund £12.50 to Grace Hall" in mail
    assert "The session stays booked" in mail


def test_who_came_and_who_did_not(app: Flask, operator: PageClient, paid: Booking) -> None:
    begin(app, paid)
    assert send(operator, f"{page_of(paid)}/no-show", REASON).status_code == 303
    assert reread(app, paid).no_show_at is not None
    assert send(operator, f"{page_of(paid)}/no-show", REASON).status_code == 409
    assert send(operator, f"{page_of(paid)}/came", REASON).status_code == 303
    assert reread(app, paid).no_show_at is None
    assert send(operator, f"{page_of(paid)}/absence", REASON).status_code == 303
    assert [one.amount_minor for one in list_rows(app, Refund)] == [6000]
    assert [act.act for act in acts(app)] == [
        "booking.no_show_marked",
        "booking.came_marked",
        "booking.absence_reported",
    ]


def test_asking_both_providers(app: Flask, operator: PageClient, paid: Booking) -> None:
    """A job does it; while it runs, it is not asked for twice."""
    assert send(operator, f"{page_of(paid)}/ask-providers", REASON).status_code == 303
    assert [job.booking_id for job in list_rows(app, Job) if job.name == "providers.check_booking"] == [
        paid.id
    ]
    assert "We are asking Stripe and Calendly." in operator.page(page_of(paid)).words
    assert send(operator, f"{page_of(paid)}/ask-providers", REASON).status_code == 409
    assert [act.act for act in acts(app)] == ["booking.providers_asked"]
    # As often as the builder may, because both are asked for the same booking.
    answers = [send(operator, f"{page_of(paid)}/ask-providers", REASON).status_code for _ in range(3)]
    assert answers[-1] == 429


def test_a_note(app: Flask, operator: PageClient, paid: Booking) -> None:
    """Which the builder may read, or not."""
    address = f"{page_of(paid)}/note"
    assert send(operator, address, {"text": " ", **REASON}).status_code == 422
    assert send(operator, address, {"text": "Called Kenji.", "is_shared": "y", **REASON}).status_code == 303
    assert [(one.text, one.by, one.is_shared) for one in list_rows(app, Note)] == [
        ("Called Kenji.", "operator", True)
    ]
    assert "Called Kenji." in operator.page(page_of(paid)).words


def test_an_act_that_does_not_exist(operator: PageClient, paid: Booking) -> None:
    assert operator.get(f"{page_of(paid)}/burn").status_code == 404
    assert operator.get("/operator/bookings/nothing/cancel").status_code == 404
