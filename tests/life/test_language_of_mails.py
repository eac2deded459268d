"""Each mail of a booking's life is in the language that its client chose last, whoever causes it."""

from __future__ import annotations

from datetime import timedelta
from email.message import EmailMessage

from bookingapp.bookings.reminders import enqueue_reminders
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from tests.life.road import BUILDER, CLIENT, Road, Trip
from tests.live import press
from tests.mailbox import html
from tests.privacy.conftest import sign_in


def choose(trip: Trip, code: str) -> None:
    """The client follows a link of the booking's page."""
    link = trip.page.one(f"footer a[hreflang={code}]")
    assert trip.browser.page(f"/bookings/{trip.ref}{link['href']}").one("html")["lang"] == code


def newest(road: Road, seen: list[int]) -> list[tuple[str, str]]:
    """Language and subject of the client's mails since the last call, in the order in which they were sent."""
    mails: list[EmailMessage] = road.mails.to(CLIENT)
    found = [(html(one).split('lang="')[1][:2], str(one["Subject"])) for one in mails[seen[0] :]]
    seen[0] = len(mails)
    return found


def test_each_mail_is_in_the_language_chosen_last(road: Road) -> None:
    """Confirmed, moved, reminded of, marked as a no-show, canceled; and the builder's stay in theirs."""
    seen = [0]
    trip = road.scheduled()
    choose(trip, "de")
    trip.pay()
    assert [code for code, _ in newest(road, seen)] == ["de"]
    assert "Ihr Termin ist gebucht" in road.mails.to(CLIENT)[-1]["Subject"]

    choose(trip, "es")
    trip.move()
    assert {code for code, _ in newest(road, seen)} == {"es"}
    choose(trip, "de")
    road.begin_in(trip, 23)
    row = trip.row
    with road.live.database() as session, transaction(session):
        enqueue_reminders(session, row, now=utcnow() - timedelta(days=1))
    road.let_pass("remind:")
    assert {code for code, _ in newest(road, seen)} == {"de"}

    choose(trip, "es")
    road.begin_in(trip, -0.5)
    ada = road.live.browser("ada")
    assert press(ada, f"{trip.dashboard}/no-show", {"came": "0"}).status_code == 303
    road.live.work()
    assert {code for code, _ in newest(road, seen)} == {"es"}
    choose(trip, "en")
    assert press(ada, f"{trip.dashboard}/absence").status_code == 303
    road.live.work()
    assert {code for code, _ in newest(road, seen)} == {"en"}
    assert {html(mail).split('lang="')[1][:2] for mail in road.mails.to(BUILDER)} == {"en"}


def test_a_language_chosen_on_my_bookings_is_that_of_each_booking_there(road: Road) -> None:
    """Of those that the address opens, not of another client's."""
    mine, other = road.confirmed(), road.confirmed()
    other.change(client_email="other@example.org")
    grace = sign_in(road.live, road.mails)
    grace.page("/my-bookings?lang=es")
    assert (mine.row.language, other.row.language) == ("es", "en")
    road.live.browser().get("/my-bookings?lang=de")
    assert mine.row.language == "es"
