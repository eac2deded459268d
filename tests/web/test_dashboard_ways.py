"""The builder's side of the two ways: what they choose, and what they read of a booking that went either way."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings.attention import flag
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking, RequestState, SlotRequest
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder, Way
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState
from bookingapp.session_types.models import SessionType, Ways
from tests.live import press
from tests.pages import HTMX, PageClient, parse
from tests.web.conftest import Book, change, price_of
from tests.web.test_dashboard import PROFILE

ANSWERS = [{"question": "What do you build?", "answer": "A shop\nfor bikes", "position": 0}]
DETAILS = {
    "place": {"kind": "outbound_call", "location": "+49 30 123456"},
    "answers": ANSWERS,
    "guests": ["guest@example.org"],
}


def choose(app: Flask, booking: Booking, state: RequestState, refusal: str | None = None) -> None:
    """The client's choice on our list, in a state."""
    now = utcnow()
    with app.app_context(), transaction(db.session()) as session:
        session.add(
            SlotRequest(
                booking_id=booking.id,
                state=state,
                refusal=refusal,
                starts_at=now + timedelta(days=3),
                details=DETAILS,
                chosen_at=now,
                updated_at=now,
            )
        )


@pytest.mark.parametrize(("typed", "kept"), [("times", Way.TIMES), ("widget", Way.WIDGET), ("", None)])
def test_which_way_comes_first(app: Flask, browser: PageClient, typed: str, kept: Way | None) -> None:
    """On the profile; it shows what was chosen."""
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(Builder).values(scheduling_first=Way.WIDGET if kept is None else None))
    assert press(browser, "/dashboard/profile", {**PROFILE, "scheduling_first": typed}).status_code == 303
    with app.app_context():
        assert db.session().scalars(sa.select(Builder.scheduling_first)).one() == kept
    page = browser.page("/dashboard/profile")
    assert [one["value"] for one in page.select("#scheduling_first option[selected]")] == [typed]
    assert press(browser, "/dashboard/profile", {**PROFILE, "scheduling_first": "odd"}).status_code == 422


def test_ways_and_guests_of_a_type(app: Flask, browser: PageClient) -> None:
    """Saving it offers the list again that Calendly had refused."""
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(SessionType).values(list_refusal="forbidden"))
    fields = {"price": "60", "currency": "GBP", "category": "other", "published": "y"}
    typed = {**fields, "sign_in": "", "ways": "times", "allows_guests": "y"}
    data = {f"PAID-{name}": value for name, value in typed.items()}
    answer = press(browser, "/dashboard/session-types/PAID", data, headers=HTMX)
    assert answer.status_code == 200
    row = price_of(app, "PAID")
    assert (row.ways, row.allows_guests, row.list_refusal) == (Ways.TIMES, True, None)
    page = browser.page("/dashboard/session-types")
    assert page.one("#PAID-ways option[selected]")["value"] == "times"
    assert "checked" in page.one("#PAID-allows_guests").attrs
    assert page.one("#FREE-ways option[selected]")["value"] == "both"
    assert "checked" not in page.one("#FREE-allows_guests").attrs
    wrong = {**data, "PAID-ways": "odd"}
    assert press(browser, "/dashboard/session-types/PAID", wrong, headers=HTMX).status_code == 422


@pytest.mark.parametrize(
    ("status", "state", "refusal", "words"),
    [
        (Status.CONFIRMED, None, None, "Chosen in Calendly's calendar."),
        (Status.CONFIRMED, RequestState.DROPPED, None, "Chosen in Calendly's calendar."),
        (Status.CONFIRMED, RequestState.TAKEN, None, "the payment was authorized first"),
        (Status.PENDING, RequestState.CHOSEN, None, "It is not booked yet."),
        (Status.PENDING, RequestState.ASKING, None, "It is not booked yet."),
        (Status.PENDING, RequestState.GONE, None, "but the time was taken by then."),
        (Status.PENDING, RequestState.REFUSED, "forbidden", "Our access does not include this."),
    ],
)
def test_which_way_a_booking_went(
    app: Flask,
    browser: PageClient,
    book: Book,
    status: Status,
    state: RequestState | None,
    refusal: str | None,
    words: str,
) -> None:
    booking = book(status)
    if state:
        choose(app, booking, state, refusal)
    page = browser.page(f"/dashboard/bookings/{booking.tracking_id}")
    assert words in page.words
    if state:
        for chosen in ("What do you build?", "guest@example.org", "Ada Okonkwo calls +49 30 123456"):
            assert chosen in page.words


def test_no_way_before_a_time_is_chosen(browser: PageClient, book: Book) -> None:
    page = browser.page(f"/dashboard/bookings/{book().tracking_id}")
    assert "Chose" not in page.one(".facts").text
    assert page.select("#answers-title") == []


def test_answers_and_place_as_calendly_has_them(app: Flask, browser: PageClient, book: Book) -> None:
    """On the page and in the evidence, where each is one line."""
    booking = book(Status.SCHEDULED)
    change(app, booking, answers=ANSWERS, place_kind="physical", place="Mehringdamm 1, Berlin")
    path = f"/dashboard/bookings/{booking.tracking_id}"
    page = browser.page(path)
    assert page.one(".answer").text.strip() == "A shop\nfor bikes"
    assert "Mehringdamm 1, Berlin" in page.words
    packed = browser.get(f"{path}/evidence").data
    text = zipfile.ZipFile(io.BytesIO(packed)).read("evidence.txt").decode()
    assert "\nWhat do you build?: A shop for bikes\n" in text
    assert "\nWhere: Mehringdamm 1, Berlin\n" in text
    assert "\nChosen in Calendly's calendar.\n" in text


def test_authorized_money(app: Flask, browser: PageClient, book: Book) -> None:
    """It is said to be not charged."""
    booking = book()
    choose(app, booking, RequestState.CHOSEN)
    now = utcnow()
    with app.app_context(), transaction(db.session()) as session:
        made = payments.start_attempt(
            session, session.get_one(Booking, booking.id), captures_later=True, now=now
        )
        session.execute(
            sa.update(Payment)
            .where(Payment.id == made.id)
            .values(state=PaymentState.PROCESSING, authorized_at=now)
        )
    page = browser.page(f"/dashboard/bookings/{booking.tracking_id}")
    assert "Authorized, nothing charged yet" in page.one(".row__badges").text
    assert "£60.00 is authorized and not charged." in page.words


def test_an_overlap_names_the_other_session(app: Flask, browser: PageClient, book: Book) -> None:
    """In lists it is said without the other's details."""
    booking, other = book(Status.SCHEDULED), book(Status.CONFIRMED, client_name="Zoë Client")
    with app.app_context(), transaction(db.session()) as session:
        row = session.get_one(Booking, booking.id)
        flag(row, FlagCode.OVERLAP, now=utcnow(), other=other.tracking_id)
    page = browser.page(f"/dashboard/bookings/{booking.tracking_id}")
    assert "Please move or cancel one of the two" in page.words
    assert page.one("#overlap-link")["href"] == f"/dashboard/bookings/{other.tracking_id}"
    assert "Zoë Client" in page.one("#overlap-link").text
    assert "Another session of yours is at the same time." in browser.page("/dashboard").words
    answer = press(browser, f"/dashboard/bookings/{booking.tracking_id}/seen")
    assert answer.status_code == 303
    assert parse(browser.get(answer.location)).select("#overlap-link") == []
