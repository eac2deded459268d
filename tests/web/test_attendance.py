"""Who came, on every page: the client says so, the builder answers, an operator decides."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings import absence_claims
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.states import Status
from bookingapp.checkout import absence_deadline
from bookingapp.core import quotas
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.payments.models import Refund
from tests.live import press
from tests.pages import PageClient
from tests.web.conftest import Book
from tests.web.test_console import REASON, send

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def booking(app: Flask, book: Book) -> Booking:
    """A free session of Ada's that began a quarter of an hour ago."""
    made = book(Status.CONFIRMED, price_minor=0)
    begin(app, made, ago=15 * MINUTE)
    return made


def begin(app: Flask, booking: Booking, *, ago: timedelta) -> None:
    """Let an hour's session have begun then."""
    start = utcnow() - ago
    with app.app_context(), transaction(db.session()) as session:
        times = {"starts_at": start, "ends_at": start + timedelta(hours=1)}
        session.execute(sa.update(Booking).where(Booking.id == booking.id).values(**times))


def say(client: PageClient, booking: Booking, came: str = "0", *, status: int = 303) -> None:
    assert press(client, f"/bookings/{booking.ref}/absence", {"came": came}).status_code == status


def test_only_when_it_is_time(app: Flask, client: PageClient, booking: Booking) -> None:
    """From ten minutes after the start until a day after the end; the join button is there from before on."""
    path = f"/bookings/{booking.ref}"
    for ago, is_offered in (
        (9 * MINUTE, False),
        (10 * MINUTE, True),
        (DAY, True),
        (DAY + 61 * MINUTE, False),
    ):
        begin(app, booking, ago=ago)
        assert bool(client.page(path).select("#builder-absent-button")) is is_offered, ago
        if not is_offered:
            say(client, booking, status=409)
    begin(app, booking, ago=15 * MINUTE)
    say(client, booking, "perhaps", status=422)


def test_the_client_says_so_and_takes_it_back(client: PageClient, booking: Booking) -> None:
    """The page says until when the builder can answer, and offers to take it back."""
    path = f"/bookings/{booking.ref}"
    say(client, booking)
    page = client.page(path)
    assert "We have asked Ada Okonkwo" in page.words
    assert "They can answer until" in page.words
    assert not page.select("#builder-absent-button")
    assert page.one("#booking-status")["data-attention"] == "absence_claimed"
    assert "checking a detail" not in page.words
    say(client, booking, page.one("#builder-came-button")["value"])  # type: ignore[arg-type]
    assert client.page(path).select("#builder-absent-button")


def test_the_builder_answers(app: Flask, browser: PageClient, booking: Booking) -> None:
    """The question is the first thing on the dashboard, with both answers; it cannot just be marked as resolved."""
    say(browser, booking)
    path = f"/dashboard/bookings/{booking.tracking_id}"
    item = browser.page("/dashboard").one("li.todo[data-attention=absence_claimed]")
    assert "Were you there?" in item.text
    assert not item.select("[name=flag]")
    page = browser.page(path)
    assert page.one("#could-not-come-link")["href"] == f"{path}/absence"
    assert not page.select("#seen-button")
    assert press(browser, f"{path}/was-there").status_code == 303
    page = browser.page(path)
    assert "A person of our team looks at it" in page.words
    assert not page.select("#was-there-button")
    assert "says that they were there" in browser.page(f"/bookings/{booking.ref}").words
    assert press(browser, f"{path}/was-there").status_code == 303, "a second press changes nothing"


def test_the_builder_s_time_to_answer_is_over(app: Flask, browser: PageClient, booking: Booking) -> None:
    """The button is gone as soon as the answer would be refused, also before the worker has decided."""
    say(browser, booking)
    path = f"/dashboard/bookings/{booking.tracking_id}"
    assert browser.page(path).select("#was-there-button")
    with app.app_context(), transaction(db.session()) as session:
        session.get_one(Booking, booking.id).absence_claimed_at = utcnow() - timedelta(hours=25)
    assert not browser.page(path).select("#was-there-button")
    assert press(browser, f"{path}/was-there").status_code == 409


@pytest.mark.parametrize(
    ("act", "status", "sentence"),
    [
        ("builder-was-there", "confirmed", "We decided that your session took place"),
        ("absence", "canceled", "Ada Okonkwo could not come. We're sorry."),
    ],
)
def test_an_operator_decides(
    operator: PageClient, booking: Booking, act: str, status: str, sentence: str
) -> None:
    """Both acts that settle it are in the queue and on the booking's page."""
    say(operator, booking)
    press(operator, f"/dashboard/bookings/{booking.tracking_id}/was-there")
    item = operator.page("/operator").one("[data-attention=absence_denied]")
    page_of = f"/operator/bookings/{booking.tracking_id}"
    assert [urlsplit(str(link["href"])).path for link in item.select(".todo__act a")] == [
        f"{page_of}/absence",
        f"{page_of}/builder-was-there",
    ]
    page = operator.page(page_of)
    assert page.select(f"a[href='{page_of}/{act}']")
    assert send(operator, f"{page_of}/resolve", REASON).status_code == 409
    assert send(operator, f"{page_of}/{act}", REASON).status_code == 303
    truth = operator.page(f"/bookings/{booking.ref}")
    assert truth.one("#booking-status")["data-booking-status"] == status
    assert sentence in truth.words
    assert not operator.page("/operator").select("[data-attention=absence_denied]")
    assert send(operator, f"{page_of}/{act}", REASON).status_code == 409


def test_a_client_who_was_marked_says_that_they_were_there(
    app: Flask, operator: PageClient, booking: Booking
) -> None:
    """The page says what the mark means; the answer can be given once, and the operator decides."""
    mine, theirs = f"/bookings/{booking.ref}", f"/dashboard/bookings/{booking.tracking_id}"
    assert press(operator, f"{mine}/attendance").status_code == 409
    press(operator, f"{theirs}/no-show", {"came": "0"})
    page = operator.page(mine)
    assert "Ada Okonkwo says that you did not come" in page.words
    assert "no refund for a session that you missed" in page.words
    assert page.select("#was-there-button")
    assert press(operator, f"{mine}/attendance").status_code == 303
    page = operator.page(mine)
    assert "You told us that you were there" in page.words
    assert not page.select("#was-there-button")
    item = operator.page("/operator").one("[data-attention=no_show_denied]")
    settling = [str(link["href"]) for link in item.select(".todo__act a")]
    assert [urlsplit(link).path.rpartition("/")[2] for link in settling] == ["came", "keep-no-show"]
    assert send(operator, settling[1], REASON).status_code == 303
    assert "decided that this stays as it is" in operator.page(mine).words
    assert press(operator, f"{mine}/attendance").status_code == 303
    assert not operator.page("/operator").select("[data-attention=no_show_denied]")
    with app.app_context():
        assert db.session().scalars(sa.select(Refund)).all() == []


def test_saying_it_again_and_again_is_limited(client: PageClient, booking: Booking) -> None:
    """Each time sends the builder a mail."""
    (first, *_) = quotas.ATTENDANCE.limits
    for number in range(first.amount):
        say(client, booking, str(number % 2))
    say(client, booking, status=429)


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (Actor.BUILDER, "Ada Okonkwo had to cancel. We're sorry."),
        (Actor.OPERATOR, "We had to cancel it. We're sorry."),
        (Actor.CLIENT, ""),
        (None, ""),
    ],
)
def test_who_did_not_cancel_gets_an_apology(
    app: Flask, client: PageClient, book: Book, by: Actor | None, words: str
) -> None:
    booking = book(Status.CANCELED)
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(Booking).values(canceled_by=by))
    page = client.page(f"/bookings/{booking.ref}")
    assert words in page.words
    assert ("We're sorry" in page.words) is bool(words)


@pytest.mark.any_database
@pytest.mark.parametrize("answer", ["was-there", "absence", None])
def test_one_who_paid_in_calendly_can_say_so_and_is_promised_no_refund_of_ours(
    app: Flask, browser: PageClient, book: Book, answer: str | None
) -> None:
    """The builder is asked; the money is a matter between them and Calendly's payment, on every page."""
    booking = book(Status.SCHEDULED)
    begin(app, booking, ago=15 * MINUTE)
    with app.app_context(), transaction(db.session()) as session:
        session.get_one(Booking, booking.id).paid_in_calendly = True
    path, theirs = f"/bookings/{booking.ref}", f"/dashboard/bookings/{booking.tracking_id}"
    page = browser.page(path)
    assert "It's time for your session" in page.words
    assert "only Ada Okonkwo can refund you, there" in page.one("#absence-offer").text
    say(browser, booking)
    asked = browser.page(path)
    assert "If they don't, we end your booking. You paid in Calendly" in asked.words
    assert asked.select("#builder-came-button")
    shown = browser.page(theirs)
    assert "Without an answer, we end the booking. Your client paid in Calendly" in shown.words
    if answer is not None:
        assert press(browser, f"{theirs}/{answer}").status_code == 303
    else:
        with app.app_context():
            session = db.session()
            claimed = absence_claims.claim_stamp(session.get_one(Booking, booking.id))
            session.rollback()
            absence_deadline.refund_unanswered(
                session, booking_id=booking.id, claimed=claimed, now=utcnow() + DAY + MINUTE
            )
    page = browser.page(path)
    for promise in ("get everything back", "you get back", "will refund you"):
        assert promise not in page.words + asked.words + shown.words
    if answer == "was-there":
        assert "Ada Okonkwo says that they were there" in page.words
        return
    assert page.one("#booking-status")["data-booking-status"] == "canceled"
    assert "You paid in Calendly, so only Ada Okonkwo can refund you, there." in page.words
    with app.app_context():
        assert db.session().scalars(sa.select(Refund)).all() == []
