"""The dashboard's pages about webhooks: whose they are, what they say, and that a rehearsal changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from bookingapp.accounts.models import Account
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.core import services
from bookingapp.core.claims import Batch
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import WorkState
from bookingapp.outcomes import Failure
from bookingapp.webhooks import deliveries
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent, Provider
from bookingapp.webhooks.tasks import apply_next
from tests import fakes
from tests.factories import facts, inbox_row, invitee_delivery, stripe_event
from tests.live import press
from tests.pages import HTMX, PageClient, parse
from tests.web.conftest import Book, Offer, promote

PAGE = "/dashboard/webhooks"


def arrive(app: Flask, booking: Booking | None = None, **how: Any) -> int:
    """A delivery about a booking (or about none that we know of), dead unless another state is named."""
    now = utcnow()
    with app.app_context():
        body = b"{}"
        if booking is not None:
            slot = facts(
                booking, since=now, starts_at=now + timedelta(days=2), ends_at=now + timedelta(days=2.1)
            )
            content = services.get(TrackingSigner).sign(booking.tracking_id)
            body = invitee_delivery("invitee.created", slot, utm_content=content, status="active")
        values: dict[str, Any] = {
            "provider": Provider.CALENDLY,
            "type": "invitee.created",
            "body": body,
            "signed_at": now - timedelta(seconds=2),
            "received_at": now,
            "run_at": now,
            "state": WorkState.DEAD,
            "attempts": 8,
            "outcome": Failure.UNAVAILABLE,
            "outcome_facts": {"error": "CalendlyUnavailable", "try": 8},
            "booking_id": booking.id if booking else None,
            **how,
        }
        if not values["state"].is_open:
            values.setdefault("finished_at", now)
        with transaction(db.session()) as session:
            event = InboxEvent(**inbox_row(f"key-{now.timestamp()}", **values))
            session.add(event)
            session.flush()
            return event.id


def give_profile_away(app: Flask, offer: Offer) -> None:
    """Give a builder's profile to another account, so that theirs has none."""
    with app.app_context(), transaction(db.session()) as session:
        other = Account(
            email="x@example.com", name="x", password_hash="x", is_operator=False, created_at=utcnow()
        )
        session.add(other)
        session.flush()
        session.get_one(Builder, offer.builder.id).account_id = other.id


def row(app: Flask, event_id: int) -> InboxEvent:
    with app.app_context():
        return db.session().get_one(InboxEvent, event_id)


def test_the_list_shows_states_and_outcomes(app: Flask, browser: PageClient, book: Book) -> None:
    booking = book()
    for state in WorkState:
        arrive(app, booking, state=state)
    page = browser.page(PAGE)
    badges = [badge.text for badge in page.select("main .badge")]
    assert badges == ["Given up", "Nothing to do", "Applied", "Will be retried", "Being applied", "Waiting"]
    assert "8 attempts. No answer" in page.words
    assert {link.text for link in page.select("main .event-row a")} == {"Calendly reports a new time"}
    # German nouns begin with a capital letter, and the line of a delivery's own page with one in every language.
    german = browser.page(f"{page.select('main .event-row a')[0]['href']}?lang=de")
    assert "8 Versuche" in german.words
    browser.get("/dashboard?lang=en")
    only = browser.page(f"{PAGE}?state=dead")
    assert [badge.text for badge in only.select("main .badge")] == ["Given up"]
    assert only.one("option[selected]").text == "Given up"
    # A filter that is none shows everything, as does a page that is none.
    for query in ("?state=x", "?page=0", "?page=-1", "?page=x"):
        assert len(browser.page(PAGE + query).select("main .badge")) == 6


@pytest.mark.any_database
@pytest.mark.parametrize("few", [1000, 0], ids=["of few bookings", "of many"])
def test_pages_of_a_long_list(
    app: Flask,
    browser: PageClient,
    book: Book,
    kenji: Offer,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
) -> None:
    monkeypatch.setattr(deliveries, "FEW_BOOKINGS", few)
    arrive(app, book(offer=kenji))
    booking = book()
    for _ in range(27):
        arrive(app, booking)
    first = browser.page(PAGE)
    assert len(first.select(".event-row")) == 25
    older = first.one("a[rel=next]")["href"]
    assert len(browser.page(str(older)).select(".event-row")) == 2
    assert "There are no older ones" in browser.page(f"{PAGE}?page=3").words


def test_nothing_yet(browser: PageClient) -> None:
    assert "Nothing has arrived yet" in browser.page(PAGE).words
    assert "No delivery has this state" in browser.page(f"{PAGE}?state=dead").words


def test_another_builders_are_not_there(app: Flask, browser: PageClient, kenji: Offer, book: Book) -> None:
    """Nor those that are about no booking: 404 for each address, and nothing is done."""
    theirs, about_none = arrive(app, book(offer=kenji)), arrive(app)
    assert browser.page(PAGE).select(".event-row") == []
    for event_id in (theirs, about_none, 4711):
        for below in ("", "/rehearsal"):
            answer = browser.get(f"{PAGE}/{event_id}{below}")
            assert answer.status_code == 404
            assert "invitee" not in answer.text
        assert press(browser, f"{PAGE}/{event_id}/replay").status_code == 404
    assert {row(app, event_id).state for event_id in (theirs, about_none)} == {WorkState.DEAD}


def test_one_delivery(app: Flask, browser: PageClient, book: Book) -> None:
    """Rehearsed, replayed, applied; the builder reads what it did, and never the body."""
    booking = book()
    event_id = arrive(app, booking)
    page = browser.page(f"{PAGE}/{event_id}")
    assert "This could not be applied" in page.words
    assert "It changed nothing" in page.words
    assert "Signed 2 seconds before" in page.words
    assert "John Doe" not in page.text
    assert page.select("pre") == []

    for headers in ({}, HTMX):
        answer = browser.get(f"{PAGE}/{event_id}/rehearsal", headers=headers)
        said = parse(answer)
        assert answer.headers["Vary"].count("HX-Request") == 1
        assert bool(said.select("html")) is not bool(headers)
        for words in (
            "A replay would do this; nothing has been changed",
            "It would end as “Applied”: Time recorded.",
            "Status: Waiting for a time → Time reserved",
            "Time: nothing → ",
            "In Calendly: no time → scheduled",
            "a mail to the client, due ",
            "expiring the hold, due ",
        ):
            assert words in said.words
    assert row(app, event_id).state is WorkState.DEAD
    with app.app_context():
        assert db.session().get_one(Booking, booking.id).status is Status.PENDING

    answer = press(browser, f"{PAGE}/{event_id}/replay")
    assert (answer.status_code, answer.location) == (303, f"{PAGE}/{event_id}")
    page = browser.page(f"{PAGE}/{event_id}")
    assert "It will be applied again in a moment" in page.words
    assert "It has not ended yet: the worker will apply it." in page.words
    assert page.select("form[action$=replay]") == []
    assert press(browser, f"{PAGE}/{event_id}/replay").status_code == 409

    with app.app_context():
        assert apply_next(db.session(), services.get(Context), Batch(InboxEvent), clock=utcnow)
    page = browser.page(f"{PAGE}/{event_id}")
    assert "Waiting for a time → Time reserved" in page.words
    assert "Led to expiring the hold, due " in page.words
    assert page.select(f"a[href='/dashboard/bookings/{booking.tracking_id}']")
    again = browser.page(f"{PAGE}/{event_id}/rehearsal")
    assert "Nothing would change" in again.words


def test_htmx_is_sent_on(app: Flask, browser: PageClient, book: Book) -> None:
    event_id = arrive(app, book())
    answer = press(browser, f"{PAGE}/{event_id}/replay", headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"{PAGE}/{event_id}")


def test_a_body_that_is_gone(app: Flask, browser: PageClient, book: Book) -> None:
    event_id = arrive(app, book(), body=None)
    page = browser.page(f"{PAGE}/{event_id}")
    assert "Its body has been deleted" in page.words
    assert browser.get(f"{PAGE}/{event_id}/rehearsal").status_code == 409
    assert press(browser, f"{PAGE}/{event_id}/replay").status_code == 409
    assert row(app, event_id).state is WorkState.DEAD


def test_a_rehearsal_that_fails_says_why(
    app: Flask, browser: PageClient, book: Book, stripe_wire: fakes.Stripe
) -> None:
    body = stripe_event("checkout.session.completed", {"id": "cs_test_x", "object": "checkout.session"})
    event_id = arrive(app, book(), provider=Provider.STRIPE, type="checkout.session.completed", body=body)
    stripe_wire.fail = [500] * 5
    page = browser.page(f"{PAGE}/{event_id}/rehearsal")
    assert "A replay would fail now" in page.words
    assert "No answer." in page.words


def test_an_operators_dashboard_has_their_own_deliveries(
    app: Flask, browser: PageClient, ada: Offer, kenji: Offer, book: Book
) -> None:
    """All the others are on the console."""
    theirs, mine = arrive(app, book(offer=kenji)), arrive(app, book())
    promote(app, ada)
    assert len(browser.page(PAGE).select(".event-row")) == 1
    assert browser.get(f"{PAGE}/{theirs}").status_code == 404
    assert browser.page(f"{PAGE}/{mine}").select("pre") == []


def test_without_a_profile(app: Flask, browser: PageClient, ada: Offer, book: Book) -> None:
    number = arrive(app, book())
    promote(app, ada)
    give_profile_away(app, ada)
    assert browser.get("/dashboard").location == "/operator"
    assert browser.get(PAGE).status_code == 404
    assert browser.get(f"{PAGE}/{number}").status_code == 404
