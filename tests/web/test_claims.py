"""What browsers report about a time is looked up in Calendly, but not without end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import time_machine
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp.bookings.models import Booking
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.integrations.calendly import CalendlyClient
from tests import fakes
from tests.factories import API
from tests.pages import PageClient, parse
from tests.web.conftest import Book, Offer

SPENT = {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "251", "X-RateLimit-Reset": "60"}


def report(browser: PageClient, booking: Booking, number: int) -> TestResponse:
    """Report well-formed ids of nothing."""
    event = f"{API}/scheduled_events/ABCDEFGH{number:08}"
    return browser.submit(
        f"/bookings/{booking.ref}/scheduled",
        {"event_uri": event, "invitee_uri": f"{event}/invitees/ABCDEFGH{number:08}"},
    )


def claim(browser: PageClient, booking: Booking, number: int) -> tuple[int, str | None]:
    """The answer to a report, and its wait."""
    answer = report(browser, booking, number)
    return answer.status_code, answer.headers.get("Retry-After")


def early_code(browser: PageClient, booking: Booking) -> str:
    """The tracking value that the booking's calendar sends to Calendly."""
    url = str(
        browser.page(f"/bookings/{booking.ref}/schedule").one("[data-scheduling-url]")["data-scheduling-url"]
    )
    return parse_qs(urlsplit(url).query)["utm_content"][0]


def looked_up(calendly_wire: fakes.Calendly) -> int:
    return sum("/scheduled_events/" in path for _, path in calendly_wire.seen)


def test_a_false_claim_is_looked_up_once(
    client: PageClient, book: Book, calendly_wire: fakes.Calendly
) -> None:
    """It is refused again without asking Calendly again; another booking's claim is its own."""
    booking, other = book(), book()
    assert [claim(client, booking, 1)[0] for _ in range(5)] == [409] * 5
    assert looked_up(calendly_wire) == 1
    assert claim(client, other, 1)[0] == 409
    assert looked_up(calendly_wire) == 2


def test_a_claim_that_came_too_early_is_looked_up_again(
    client: PageClient, book: Book, calendly_wire: fakes.Calendly
) -> None:
    """Calendly may not know a time yet that it has just given. Seconds later it does, and the claim is right. One that
    it still does not know is looked up three times in all.
    """
    early, false = book(), book()
    event = f"{API}/scheduled_events/ABCDEFGH00000001"
    with time_machine.travel(utcnow(), tick=False) as clock:
        first = report(client, early, 1)
        assert first.status_code == 409
        assert "Calendly does not know this time yet." in parse(first).words
        code = early_code(client, early)
        calendly_wire.add_invitee(
            event, f"{event}/invitees/ABCDEFGH00000001", event_type=early.event_type_uri, utm_content=code
        )
        again = report(client, early, 1)
        assert again.status_code == 409
        assert "Calendly does not know this time yet." in parse(again).words
        clock.shift(timedelta(seconds=11))
        assert claim(client, early, 1)[0] == 303
        before = looked_up(calendly_wire)
        for _ in range(6):
            assert claim(client, false, 2)[0] == 409
            clock.shift(timedelta(seconds=61))
        assert looked_up(calendly_wire) == before + 3


def test_a_booking_has_a_few_claims_in_a_minute(
    app: Flask, book: Book, calendly_wire: fakes.Calendly
) -> None:
    """From however many addresses and at once; the refusal says when to try again, and other bookings have theirs."""
    booking, other = book(), book()
    all_ready = threading.Barrier(12, timeout=30)

    def from_address(number: int) -> tuple[int, str | None]:
        browser = app.test_client()
        assert isinstance(browser, PageClient)
        browser.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        all_ready.wait()
        return claim(browser, booking, number)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(from_address, range(12)))
    assert sorted(status for status, _ in answers) == [409] * 6 + [429] * 6
    assert all(0 < int(wait or 0) <= 60 for status, wait in answers if status == 429)
    assert looked_up(calendly_wire) == 6
    browser = app.test_client()
    assert isinstance(browser, PageClient)
    assert claim(browser, other, 1)[0] == 409


def test_claims_leave_the_rest_of_the_minute_to_those_who_book(
    app: Flask, client: PageClient, kenji: Offer, book: Book, calendly_wire: fakes.Calendly
) -> None:
    """Half of Calendly's requests is beyond their reach: another builder's cards and booking form still come. What the
    browser reported is not lost: Calendly's webhook reports it as well.
    """
    with app.app_context():
        services.get(CalendlyClient)._transport._limits.record("token-of-the-tests", SPENT)
    bookings = [book() for _ in range(3)]
    answers = [claim(client, booking, number)[0] for number, booking in enumerate(bookings)]
    assert answers == [409, 303, 303]
    assert looked_up(calendly_wire) == 1
    form = {"name": "Grace Hall", "email": "grace@example.org", "timezone": "UTC"}
    assert client.submit(f"{kenji.detail('KENJI')}/book", form).status_code == 303
