"""A builder who is suspended, or has no Calendly user yet: nothing new is booked, and what is booked stands."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask

from bookingapp.bookings.slot_requests import Choice
from bookingapp.bookings.states import Status
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.checkout.take_time import choose_time
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.errors import Conflict
from tests.factories import list_bookings, make_builder
from tests.live import press
from tests.pages import HTMX, PageClient, parse
from tests.web.conftest import Book, LogInAs, Offer, change

NOBODY = {"name": "Grace Hall", "email": "grace@example.org", "timezone": "UTC"}


@pytest.fixture
def suspended(app: Flask, ada: Offer) -> datetime:
    now = utcnow()
    change(app, ada.builder, suspended_at=now, suspension_reason="Two clients say nobody came.")
    return now


@pytest.fixture
def newcomer(app: Flask) -> Offer:
    """A builder without a Calendly user."""
    with app.app_context():
        made = make_builder(db.session(), slug="noor", display_name="Noor Aziz", calendly_user_uri=None)
    return Offer(made)


@pytest.mark.usefixtures("suspended")
class TestSuspended:
    def test_nothing_new_is_booked(self, app: Flask, client: PageClient, ada: Offer) -> None:
        """Neither a card nor a form, and no booking by a form that was open already."""
        for path in (f"{ada.path}/session-types", ada.detail("FREE")):
            assert "takes no bookings" in parse(client.get(path)).words
        assert not client.page(f"{ada.path}/session-types").select("[data-session-type]")
        token = client.token("/my-bookings")
        answer = client.post(f"{ada.detail('PAID')}/book", data={**NOBODY, "csrf_token": token})
        assert answer.status_code == 409
        assert list_bookings(app) == []

    def test_nothing_says_that_they_are_available(
        self, client: PageClient, ada: Offer, log_in: LogInAs
    ) -> None:
        """On the public page, and on their own preview of it."""
        fields = {"display_name": "Ada Okonkwo", "timezone": "UTC", "availability": "available"}
        preview = press(log_in(ada), "/dashboard/profile/preview", fields)
        for page in (client.page(ada.path), parse(preview)):
            assert page.select(".tier")
            assert not page.select(".availability")

    def test_the_directory_does_not_list_them(self, client: PageClient, ada: Offer, kenji: Offer) -> None:
        words = client.page("/").words
        assert "Kenji Mori" in words
        assert "Ada Okonkwo" not in words

    @pytest.mark.parametrize("path", ["schedule", "times"])
    def test_who_has_no_time_yet_gets_none(self, client: PageClient, book: Book, path: str) -> None:
        waiting = book(Status.PENDING)
        answer = client.get(f"/bookings/{waiting.ref}/{path}")
        assert (answer.status_code, answer.location) == (303, f"/bookings/{waiting.ref}")
        page = client.page(answer.location)
        assert "takes no bookings right now" in page.words
        assert "nothing was charged" in page.words
        assert not page.select("a[href$='/schedule']")

    def test_a_time_of_the_list_is_refused(self, app: Flask, book: Book) -> None:
        """Also by a page that was open already."""
        waiting, now = book(Status.PENDING), utcnow()
        choice = Choice(now + timedelta(days=1))
        with app.app_context():
            timers = services.get(Timers)
            with pytest.raises(Conflict, match="takes no bookings"):
                choose_time(db.session(), ref=waiting.ref, choice=choice, timers=timers, now=now)
        assert [one.status for one in list_bookings(app)] == [Status.PENDING]

    def test_what_is_booked_stands(self, client: PageClient, book: Book) -> None:
        """It can be paid, moved and canceled as before."""
        unpaid, booked = book(Status.SCHEDULED), book(Status.CONFIRMED)
        assert client.page(f"/bookings/{unpaid.ref}").select(f"form[action='/bookings/{unpaid.ref}/pay']")
        page = client.page(f"/bookings/{booked.ref}")
        assert "You are booked" in page.words
        assert page.select(f"a[href='/bookings/{booked.ref}/cancel']")


def test_it_is_reversible(app: Flask, client: PageClient, ada: Offer, suspended: datetime) -> None:
    change(app, ada.builder, suspended_at=None)
    assert client.page(f"{ada.path}/session-types").select("[data-bookable=true]")
    assert "Ada Okonkwo" in client.page("/").words


class TestWithoutCalendly:
    def test_they_are_not_listed_and_cannot_be_booked(self, client: PageClient, newcomer: Offer) -> None:
        assert "Noor Aziz" not in client.page("/").words
        assert client.get(newcomer.path).status_code == 200
        for headers in ({}, HTMX):
            answer = client.get(f"{newcomer.path}/session-types", headers=headers)
            assert answer.status_code == 200
            assert "takes no bookings" in parse(answer).words
        assert client.get(newcomer.detail("ANY")).status_code == 409
        assert client.get(f"{newcomer.detail('ANY')}/times").status_code == 409

    @pytest.mark.parametrize(
        "path", ["", "/bookings", "/session-types", "/connection", "/webhooks", "/profile"]
    )
    def test_their_dashboard_works(self, log_in: LogInAs, newcomer: Offer, path: str) -> None:
        """And calls no connection broken that was never made."""
        page = log_in(newcomer).page(f"/dashboard{path}")
        assert "has stopped working" not in page.words
        assert "renewed" not in page.words

    def test_their_connection_is_the_next_step(self, log_in: LogInAs, newcomer: Offer) -> None:
        browser = log_in(newcomer)
        assert browser.page("/dashboard/session-types").one("main a[href='/dashboard/connection'].button")
        page = browser.page("/dashboard/connection")
        assert page.one("[data-connection]")["data-connection"] == "none"
        assert "Not connected yet" in page.words


def test_featured_builders_come_first(app: Flask, client: PageClient, ada: Offer, kenji: Offer) -> None:
    change(app, kenji.builder, featured_at=utcnow())
    words = client.page("/").words
    assert words.index("Kenji Mori") < words.index("Ada Okonkwo")
