"""How many unpaid bookings, mails and links one visitor gets, however they spell or hide themselves."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp.bookings import service as bookings
from bookingapp.bookings.holds import AddressUnverified, Booker, limit_unverified
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.visitors import Visitor, mailbox
from tests import fakes
from tests.clients.conftest import Post
from tests.factories import (
    PAID,
    event_type_uri,
    list_bookings,
    make_builder,
    make_session_type,
    schedule,
    user_uri,
)
from tests.pages import PageClient, new_client, parse

OPEN = "/builders/ada/session-types/OPEN"
# One mailbox, as its owner or somebody else may spell it.
SPELLINGS = (
    "grace.hall@gmail.com",
    "gracehall+1@gmail.com",
    "GraceHall+2@GMail.com",
    "g.r.a.c.e.hall@googlemail.com",
)


def book(browser: PageClient, email: str = "grace@example.org", path: str = OPEN) -> TestResponse:
    """Send the booking form."""
    return browser.submit(f"{path}/book", {"name": "Grace Hall", "email": email, "timezone": "UTC"})


def from_address(app: Flask, address: str) -> PageClient:
    """A new browser at that address."""
    browser = new_client(app)
    browser.environ_base["REMOTE_ADDR"] = address
    return browser


def hold(app: Flask) -> None:
    """Every booking without a time gets one, which is not paid."""
    with app.app_context():
        for booking in list_bookings(app):
            if booking.status is Status.PENDING:
                start = utcnow() + timedelta(days=booking.id)
                ends = start + timedelta(hours=1)
                schedule(db.session(), booking, now=utcnow(), starts_at=start, ends_at=ends)


def at_once(send: Callable[[int], int], count: int = 25) -> Counter[int]:
    """The statuses of so many requests that are sent at the same moment."""
    all_ready = threading.Barrier(count, timeout=30)

    def send_one(number: int) -> int:
        all_ready.wait()
        return send(number)

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(send_one, range(count)))


def assert_says_when(answer: TestResponse, *words: str) -> None:
    """The refusal says when it may be tried again, to programs and to people."""
    assert answer.status_code == 429, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    page = parse(answer)
    for part in ("try again in", *words):
        assert part in page.words


def test_above_the_first_unpaid_time_the_address_is_verified(app: Flask, ada: Builder, post: Post) -> None:
    """In every spelling of the mailbox and in every browser; the page says why and sends the link, which leads back.
    Whoever has followed it may hold three times; then only paying or canceling helps.
    """
    assert book(new_client(app), SPELLINGS[0]).status_code == 303
    hold(app)
    for email in SPELLINGS:
        refused = book(new_client(app), email)
        assert_says_when(
            refused, "There is an unpaid booking with Ada Okonkwo already", "confirm your e-mail address"
        )
    browser, email = new_client(app), SPELLINGS[1]
    form = parse(book(browser, email)).one("main form")
    fields = {str(one["name"]): str(one["value"]) for one in form.select("input[name]")}
    assert (form["action"], fields["email"], fields["return_to"]) == ("/my-bookings", email, OPEN)
    assert browser.post(str(form["action"]), data=fields).status_code == 303
    assert browser.submit(post.link(email)).location == OPEN
    assert browser.page(OPEN).one("#email")["value"] == email
    for _ in range(2):
        assert book(browser, email).status_code == 303
        hold(app)
    refused = book(browser, email)
    assert_says_when(refused, "as many unpaid bookings with Ada Okonkwo as one person may have")
    assert not parse(refused).select("form[action='/my-bookings']")
    with app.app_context(), transaction(db.session()) as session:
        bookings.record_payment(session, bookings.lock_booking(session, 1), PAID, now=utcnow())
    assert book(browser, email).status_code == 303


def test_times_taken_with_bookings_made_before_are_held_for_minutes(
    app: Flask, client: PageClient, ada: Builder
) -> None:
    """Three bookings hold nothing yet; of the times that are taken with them, the first has the whole hold."""
    for _ in range(3):
        assert book(client).status_code == 303
    now = utcnow()
    with app.app_context():
        for booking in list_bookings(app):
            start = now + timedelta(days=booking.id)
            schedule(db.session(), booking, now=now, starts_at=start, ends_at=start + timedelta(hours=1))
    holds = [booking.hold_expires_at - now for booking in list_bookings(app) if booking.hold_expires_at]
    assert holds == [timedelta(minutes=30), timedelta(minutes=5), timedelta(minutes=5)]


def test_one_browser_is_one_visitor_whatever_it_enters(app: Flask, client: PageClient, ada: Builder) -> None:
    """Another mailbox is no way around; another person in another browser has nothing to do with it."""
    assert book(client, "a@example.org").status_code == 303
    hold(app)
    assert_says_when(book(client, "b@example.org"))
    assert book(new_client(app), "c@example.org").status_code == 303


def test_a_free_session_is_no_hold(
    app: Flask, client: PageClient, ada: Builder, calendly_wire: fakes.Calendly
) -> None:
    """It may be booked beside an unpaid one, without verifying anything."""
    calendly_wire.add_type(ada.calendly_user, event_type_uri("FREE"), name="Free Session")
    with app.app_context():
        make_session_type(db.session(), ada, event_type_uri=event_type_uri("FREE"), price_minor=0)
    assert book(client).status_code == 303
    hold(app)
    assert book(client, path="/builders/ada/session-types/FREE").status_code == 303


@pytest.mark.any_database
def test_thirty_bookings_at_once_from_one_mailbox(app: Flask, ada: Builder) -> None:
    """Three may be begun, from however many addresses; the others are asked to verify."""
    # What Calendly says is known then: not all of so many readers may wait for it.
    new_client(app).page(OPEN)

    def send(number: int) -> int:
        return book(from_address(app, f"192.0.2.{number}"), f"grace+{number}@example.org").status_code

    assert at_once(send) == {303: 3, 429: 22}
    assert len(list_bookings(app)) == 3


def test_one_address_cannot_hold_a_builders_day(
    app: Flask, ada: Builder, calendly_wire: fakes.Calendly
) -> None:
    """With ever new browsers and mailboxes it gets 12 times, within one network of IPv6 as well. Others, and other
    builders, notice nothing.
    """
    user = user_uri("KENJI00000000002")
    calendly_wire.add_type(user, event_type_uri("KENJI"), name="Review")
    with app.app_context():
        kenji = make_builder(db.session(), slug="kenji", calendly_user_uri=user)
        make_session_type(db.session(), kenji, event_type_uri=event_type_uri("KENJI"))
    answers = []
    for number in range(1, 16):
        answers.append(book(from_address(app, f"2001:db8:1:2::{number:x}"), f"visitor{number}@example.org"))
        hold(app)
    assert Counter(answer.status_code for answer in answers) == {303: 12, 429: 3}
    assert_says_when(answers[-1], "Several people on your internet connection")
    assert book(from_address(app, "2001:db8:1:3::1"), "other@example.org").status_code == 303
    here = from_address(app, "2001:db8:1:2::ff")
    assert book(here, "more@example.org", "/builders/kenji/session-types/KENJI").status_code == 303


def test_a_stranger_gets_few_mails(app: Flask, ada: Builder, calendly_wire: fakes.Calendly) -> None:
    """Each booking sends some, so five an hour may be made for a mailbox that nobody has verified."""
    calendly_wire.add_type(ada.calendly_user, event_type_uri("FREE"), name="Free Session")
    with app.app_context():
        make_session_type(db.session(), ada, event_type_uri=event_type_uri("FREE"), price_minor=0)
    answers = []
    for number in range(12):
        browser = from_address(app, f"192.0.2.{number}")
        answers.append(book(browser, f"victim+{number}@example.org", "/builders/ada/session-types/FREE"))
        hold(app)
    assert [answer.status_code for answer in answers] == [303] * 5 + [429] * 7
    assert_says_when(answers[-1], "You have booked several times in a short time")
    with app.app_context():
        confirmed = sa.select(sa.func.count()).where(Booking.status == Status.CONFIRMED)
        assert db.session().scalar(confirmed) == 5


@pytest.mark.any_database
def test_twenty_five_who_ask_at_once_get_three_links(app: Flask, ada: Builder, post: Post) -> None:
    """Counted for the mailbox, whether it has bookings or not."""

    def send(number: int) -> int:
        browser = from_address(app, f"192.0.2.{number}")
        return browser.submit("/my-bookings", {"email": f"grace+{number}@example.org"}).status_code

    assert at_once(send) == {303: 3, 429: 22}
    post.deliver()
    assert sum("@example.org" in str(mail["To"]) for mail in post.mailbox.all()) <= 3
    again = new_client(app).submit("/my-bookings", {"email": "GRACE@example.org"})
    assert again.status_code == 429
    assert "You can ask for another in 30 minutes." in parse(again).words


def test_what_is_refused_uses_up_nobodys_quota(app: Flask, client: PageClient, ada: Builder) -> None:
    """Somebody whose unpaid time stands cannot book for others, and takes nothing from them by trying."""
    assert book(client, "a@example.org").status_code == 303
    hold(app)
    for _ in range(6):
        assert_says_when(book(client))
    assert book(new_client(app)).status_code == 303


def test_a_browser_without_a_quota_takes_nothing_from_mailboxes(app: Flask) -> None:
    """Nor from its address: either all three are counted, or none."""
    own, grace = (mailbox(f"{name}@example.org") for name in ("own", "grace"))
    visitor, other = Visitor("198.51.100.1", "browser-1"), Visitor("198.51.100.1", "browser-2")
    with app.test_request_context():
        for number in range(10):
            limit_unverified(Booker(f"{number}-{own}", visitor, is_verified=False))
        for _ in range(6):
            with pytest.raises(AddressUnverified):
                limit_unverified(Booker(grace, visitor, is_verified=False))
        for _ in range(5):
            limit_unverified(Booker(grace, other, is_verified=False))
        with pytest.raises(AddressUnverified):
            limit_unverified(Booker(grace, other, is_verified=False))
