"""The first steps of a new builder: each is done once its facts are there, and the list goes away at the end."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.session_types.models import SessionType
from tests.factories import event_type_uri, make_builder, make_session_type, user_uri
from tests.live import press
from tests.pages import PageClient, parse
from tests.web.conftest import Book, LogInAs, Offer, change

MAIL = "noor@example.com"


@pytest.fixture
def noor(app: Flask) -> Offer:
    """A builder who has just been made: no texts, no Calendly user, not listed."""
    with app.app_context():
        empty = {"headline": "", "bio": "", "calendly_user_uri": None, "listed": False}
        made = make_builder(db.session(), slug="noor", display_name="Noor Aziz", **empty)
    return Offer(made)


@pytest.fixture
def new(noor: Offer, log_in: LogInAs) -> PageClient:
    return log_in(noor)


def add_price(app: Flask, offer: Offer, **columns: Any) -> None:
    with app.app_context():
        make_session_type(db.session(), offer.builder, event_type_uri=event_type_uri("NOOR"), **columns)


def prepare(app: Flask, offer: Offer, **price: Any) -> None:
    """Everything that has to be done before publishing."""
    change(app, offer.builder, headline="Builds", bio="With you.", calendly_user_uri=user_uri("NOOR"))
    add_price(app, offer, **price)


def undone(browser: PageClient) -> list[str]:
    """The steps that the dashboard shows as not done; the first is the next."""
    lines = browser.page("/dashboard").select("[data-step]")
    assert [line["data-step"] for line in lines if line.has_attr("aria-current")] == [
        line["data-step"] for line in lines if line["data-done"] == "false"
    ][:1]
    return [str(line["data-step"]) for line in lines if line["data-done"] == "false"]


def test_each_step_is_a_fact(app: Flask, new: PageClient, noor: Offer, book: Book) -> None:
    assert undone(new) == ["profile", "connection", "price", "publish", "test"]
    change(app, noor.builder, headline="Builds", bio="With you.")
    assert undone(new) == ["connection", "price", "publish", "test"]
    change(app, noor.builder, calendly_user_uri=user_uri("NOOR"))
    assert undone(new) == ["price", "publish", "test"]
    add_price(app, noor)
    assert undone(new) == ["publish", "test"]
    form = new.page("/dashboard").one("form[action='/dashboard/publish']")
    assert form["method"] == "post"
    answer = press(new, str(form["action"]))
    assert (answer.status_code, answer.location) == (303, "/dashboard")
    assert undone(new) == ["test"]
    assert "Noor Aziz" in new.page("/").words

    test = book(Status.CONFIRMED, offer=noor, client_email=MAIL)
    assert undone(new) == ["test"]
    page = new.page("/dashboard")
    assert "goes back to your card in full" in page.words
    assert page.select(f"[data-step=test] a[href='/dashboard/bookings/{test.tracking_id}']")
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(Booking).values(status=Status.CANCELED))
    assert undone(new) == []
    assert not new.page("/dashboard").select("[data-step]")


def test_nothing_is_said_of_bookings_before_there_is_a_calendly_account(
    app: Flask, new: PageClient, noor: Offer
) -> None:
    """Calendly sends us nothing of theirs yet. Nor is there a heading for texts that are not written."""
    change(app, noor.builder, skills=[])
    for path in ("/dashboard", "/dashboard/connection"):
        assert "New bookings from Calendly" not in new.page(path).words
    assert "About Noor" not in new.page(noor.path).words
    prepare(app, noor)
    assert "New bookings from Calendly" in new.page("/dashboard").words
    assert "About Noor" in new.page(noor.path).words
    change(app, noor.builder, disconnected_at=utcnow())
    assert "New bookings from Calendly" not in new.page("/dashboard").words


@pytest.mark.parametrize("missing", ["profile", "connection", "price", "published"])
def test_nobody_publishes_half_a_page(app: Flask, new: PageClient, noor: Offer, missing: str) -> None:
    """Neither by the button nor by the tick in the profile; what was typed there is not lost."""
    prepare(app, noor, published=missing != "published")
    if missing == "profile":
        change(app, noor.builder, bio=" ")
    elif missing == "connection":
        change(app, noor.builder, calendly_user_uri=None)
    elif missing == "price":
        with app.app_context(), transaction(db.session()) as session:
            session.execute(sa.delete(SessionType))
    assert press(new, "/dashboard/publish").status_code == 409
    profile = {"display_name": "Noor Aziz", "headline": "Builds things", "listed": "y"}
    if missing != "profile":
        profile["bio"] = "With you."
    answer = press(new, "/dashboard/profile", {**profile, "timezone": "UTC", "availability": "available"})
    assert answer.status_code == 422
    assert parse(answer).one("#headline")["value"] == "Builds things"
    with app.app_context():
        assert db.session().get_one(Builder, noor.builder.id).listed is False


def test_who_has_unlisted_themselves_is_listed_again(app: Flask, new: PageClient, noor: Offer) -> None:
    prepare(app, noor)
    assert press(new, "/dashboard/publish").status_code == 303
    profile = {"display_name": "Noor", "headline": "Builds", "bio": "With you.", "timezone": "UTC"}
    profile["availability"] = "available"
    assert press(new, "/dashboard/profile", profile).status_code == 303
    assert "Noor" not in new.page("/").words
    assert press(new, "/dashboard/profile", {**profile, "listed": "y"}).status_code == 303
    assert "Noor" in new.page("/").words


@pytest.mark.parametrize(
    ("price", "says"), [(0, "costs nothing"), (6000, "charged, £60.00 for your cheapest session")]
)
def test_what_the_test_booking_costs(app: Flask, new: PageClient, noor: Offer, price: int, says: str) -> None:
    prepare(app, noor, price_minor=price)
    change(app, noor.builder, listed=True)
    words = new.page("/dashboard").words
    assert says in words
    assert MAIL in words


def test_a_client_ends_the_list(app: Flask, new: PageClient, noor: Offer, book: Book) -> None:
    """Whoever has clients needs no first steps, even while hidden or disconnected."""
    assert undone(new)
    book(Status.CONFIRMED, offer=noor)
    assert undone(new) == []


def test_a_booking_that_was_never_confirmed_proves_nothing(new: PageClient, noor: Offer, book: Book) -> None:
    book(Status.SCHEDULED, offer=noor, client_email=MAIL)
    assert "test" in undone(new)


def test_the_other_pages_name_the_next_step(app: Flask, new: PageClient, noor: Offer) -> None:
    assert "Next: Write your profile" in new.page("/dashboard/bookings").words
    assert "Next:" not in new.page("/dashboard/profile").words
    prepare(app, noor)
    assert "Next: Publish your page" in new.page("/dashboard/profile").words
    change(app, noor.builder, listed=True)
    assert "Next:" not in new.page("/dashboard/bookings").words
