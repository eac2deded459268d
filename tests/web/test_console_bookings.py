"""Finding any booking by whatever a person has in hand: on the console, and by ``flask bookings find``."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import AttentionFlag, Booking
from bookingapp.bookings.states import Status
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.payments.models import Dispute, Payment, Refund, RefundReason, RefundState
from bookingapp.webhooks import lookup
from bookingapp.webhooks.lookup import find_bookings
from bookingapp.webhooks.models import InboxEvent
from tests.factories import inbox_row
from tests.pages import HTMX, PageClient, parse
from tests.web.conftest import Book


@pytest.fixture
def grace(app: Flask, book: Book) -> Booking:
    """A confirmed booking with an id of every kind, between two of other people."""
    book(client_name="Somebody Else", client_email="else@example.org")
    booking = book(Status.CONFIRMED, client_name="Gráce O'Hall-Smith")
    now = utcnow()
    with app.app_context(), transaction(db.session()) as session:
        payment = Payment(
            booking_id=booking.id,
            attempt=1,
            state="paid",
            amount_minor=6000,
            currency="GBP",
            checkout_session_id="cs_test_a1B2",
            payment_intent_id="pi_3Q",
            expires_at=now,
            created_at=now,
            updated_at=now,
        )
        session.add(payment)
        session.flush()
        shared: dict[str, Any] = {
            "booking_id": booking.id,
            "payment_id": payment.id,
            "amount_minor": 6000,
            "currency": "GBP",
            "created_at": now,
            "updated_at": now,
        }
        session.add(
            Refund(
                token="t",
                state=RefundState.FAILED,
                reason=RefundReason.OTHER,
                stripe_id="re_9Z",
                **shared,
            )
        )
        session.add(Dispute(stripe_id="du_7Y", status="won", reason="general", **shared))
        session.add(InboxEvent(**inbox_row("evt_5X", booking_id=booking.id)))
    book(client_name="Another One", client_email="another@example.org")
    return booking


KINDS = {
    "number_of_the_log": "{0.id}",
    "tracking_id": "{0.tracking_id}",
    "reference": "{0.ref}",
    "event": "{0.event_uri}",
    "invitee": "{0.invitee_uri}",
    "name": "gráce",
    "beginnings": "hall gra",
    "half_of_a_name": "SMITH",
    "email": " Grace@Example.org ",
    "checkout_session": "cs_test_a1B2",
    "payment_intent": "pi_3Q",
    "refund": "re_9Z",
    "dispute": "du_7Y",
    "delivered_event": "evt_5X",
}


@pytest.mark.any_database
def test_a_booking_is_found_by_everything(
    app: Flask, operator: PageClient, grace: Booking, runner: FlaskCliRunner
) -> None:
    """Whoever's it is; a reference finds and is not shown."""
    for kind, pattern in KINDS.items():
        typed = pattern.format(grace)
        answer = operator.get("/operator/bookings", query_string={"q": typed}, follow_redirects=True)
        found = [str(row["data-booking-ref"]) for row in parse(answer).select("li[data-booking-ref]")]
        assert found == [grace.tracking_id], kind
        assert grace.ref not in answer.text, kind
    for typed in ("nobody", "cs_test_a1B3", "%", "_", "'", "gráce another"):
        answer = operator.get("/operator/bookings", query_string={"q": typed})
        assert parse(answer).select("li[data-booking-ref]") == [], typed
    for kind, pattern in KINDS.items():
        told = runner.invoke(args=["bookings", "find", pattern.format(grace)])
        assert told.exit_code == 0, (kind, told.output)
        assert f"identifier: {grace.tracking_id}" in told.output
        assert re.search(r"^delivery \d+:", told.output, re.MULTILINE)
        assert "dispute: won" in told.output
    for name in (str(grace.id), grace.tracking_id):
        shown = runner.invoke(args=["bookings", "show", name])
        assert f"identifier: {grace.tracking_id}" in shown.output, name
    assert runner.invoke(args=["bookings", "show", "987654321"]).exit_code == 1
    told = runner.invoke(args=["bookings", "find", "nobody"])
    assert (told.exit_code, told.stderr.strip()) == (1, "Error: no booking is found by nobody")
    assert grace.ref not in told.output


@pytest.mark.any_database
def test_a_word_that_very_many_have_is_found_among_the_newest_first(
    app: Flask, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bookings, in the same order, as where every booking with the word is read."""
    names = ["Ada Hall", "Bo Hall", "Ada Khan", "Ada Hall", "Cy Ito", "Bo Khan", "Bo Hall", "Ada Ito"]
    ids = [book(client_name=name, client_email=f"{name[0]}@x.test").id for name in names]
    searches = ["ada", "hall", "hall ada", "hall cy", "x.test", str(ids[1]), "nobody"]
    every: list[tuple[str, int | None, int]] = [
        (typed, before, limit)
        for typed in searches
        for before in (None, ids[4], ids[0])
        for limit in (1, 2, 9)
    ]
    with app.app_context():
        whole = [
            find_bookings(db.session(), typed, before=before, limit=limit) for typed, before, limit in every
        ]
        monkeypatch.setattr(lookup, "FREQUENT", 0)
        monkeypatch.setattr(lookup, "NEWEST", 3)
        assert [
            find_bookings(db.session(), typed, before=before, limit=limit) for typed, before, limit in every
        ] == whole
    assert whole[every.index(("hall ada", None, 9))] == [ids[3], ids[0]]


def test_a_row_says_how_the_booking_is(app: Flask, operator: PageClient, grace: Booking) -> None:
    with app.app_context(), transaction(db.session()) as session:
        for code in (FlagCode.DISPUTE_LOST, FlagCode.OTHER_HOST):
            session.add(AttentionFlag(booking_id=grace.id, code=code, facts={}, raised_at=utcnow()))
        session.execute(sa.update(Booking).where(Booking.id == grace.id).values(payment_status="paid"))
    row = operator.page("/operator/bookings?q=smith").one("li[data-booking-ref]")
    assert (row["data-booking-status"], row["data-payment-status"]) == ("confirmed", "paid")
    assert row["data-attention"] == "dispute_lost other_host"
    assert "with Ada Okonkwo" in row.text


def test_the_list_goes_on(operator: PageClient, book: Book) -> None:
    """Newest first; the same search on the next page."""
    for number in range(27):
        book(client_name=f"Grace {number}")
    first = operator.page("/operator/bookings?q=grace")
    second = operator.page(str(first.one("a[rel=next]")["href"]))
    rows = [
        row["data-booking-ref"] for page in (first, second) for row in page.select("li[data-booking-ref]")
    ]
    assert (len(rows), len(set(rows))) == (27, 27)
    assert "Grace 26" in first.words
    assert "Grace 0 with" in second.words


def test_the_list_is_refreshed_as_one_types(operator: PageClient, grace: Booking) -> None:
    """The fragment has the address of the page."""
    fragment = operator.get("/operator/bookings?q=smith", headers=HTMX)
    assert fragment.headers["Vary"] and "HX-Request" in fragment.headers["Vary"]
    assert len(parse(fragment).select("li[data-booking-ref]")) == 1
    assert parse(fragment).select("form") == []
