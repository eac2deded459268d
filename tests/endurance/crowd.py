"""Many clients at once, who try again when the site does not answer."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import sqlalchemy as sa

from bookingapp.bookings.models import Booking
from tests.e2e.stack import Stack
from tests.e2e.visitor import Booking as Errand
from tests.e2e.visitor import Page, Visitor
from tests.waiting import PATIENCE_SECONDS, eventually

BUILDER = "ada-okonkwo"
TYPES = ("ETADACONSULT0060", "ETADACONSULT0030")
FREE = "ETADAGETSTART030"
# A longer run by hand: ENDURANCE_BOOKINGS=500 (see CONTRIBUTING.md).
BOOKINGS = int(os.environ.get("ENDURANCE_BOOKINGS") or 12)
AT_ONCE = 6
# A part of the price goes back, or none, or all of it, by how far away the session is.
AHEAD = (timedelta(hours=6), timedelta(hours=18), timedelta(hours=72))
FATES = ("leave", "cancel", "pay", "pay", "pay", "pay and cancel", "pay and cancel")


@dataclass
class Walked:
    """What one client did, and the refund that the site promised."""

    ref: str
    is_free: bool
    fate: str = "leave"
    invitee_uri: str = ""
    refund_minor: int | None = None


class Patient(Visitor):
    """A client of one of the web processes, who asks again while it is away. Whatever it answers meanwhile has to
    be said in words.
    """

    def __init__(self, stack: Stack, site: str) -> None:
        super().__init__(stack)
        self._site = site
        self.answers: Counter[int] = Counter()

    def get(self, address: str, **options: Any) -> Page:
        return self._insist(lambda: super(Patient, self).get(urljoin(self._site, address), **options))

    def post(self, address: str, fields: dict[str, str] | None = None, **options: Any) -> Page:
        return self._insist(
            lambda: super(Patient, self).post(urljoin(self._site, address), fields, **options)
        )

    def _insist(self, ask: Callable[[], Page]) -> Page:
        def look() -> Page | None:
            try:
                page = ask()
            except requests.RequestException:
                return None
            self.answers[page.status] += 1
            if page.status == 503:
                assert_said_in_words(page)
                return None
            assert page.status < 500, f"{page.status} at {page.response.url}: {page.response.text[:2000]}"
            return page

        page = eventually(look, "an answer")
        assert page is not None
        return page


def assert_said_in_words(page: Page) -> None:
    """A page for people that says what to do, and nothing of what is inside."""
    text = page.soup.get_text(" ")
    assert "Please try again" in text, page.response.text[:2000]
    for inner in ("Traceback", "psycopg", "sqlalchemy", "OperationalError", "SELECT "):
        assert inner not in page.response.text


class Crowd:
    """Clients by number; what each does follows from the seed alone."""

    def __init__(self, stack: Stack, seed: int, *, first: int = 0) -> None:
        self._stack, self._seed, self._first = stack, seed, first
        self._begin = datetime.now(UTC).replace(microsecond=0)
        self._lock = threading.Lock()
        self._newest = max((row.id for row in stack.query(sa.select(Booking.id))), default=0)
        self.answers: Counter[int] = Counter()
        self.walked: list[Walked] = []

    def is_of_this_crowd(self) -> sa.ColumnElement[bool]:
        """The bookings that it made, also those whose client lost the answer and began again."""
        return Booking.id > self._newest

    def walk(self, bookings: int = BOOKINGS) -> None:
        """Let so many clients book, some at the same time; ends with the last of them."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for done in self.begin(threads, bookings):
                done.result()

    def begin(self, threads: ThreadPoolExecutor, bookings: int) -> list[Future[None]]:
        """The same, without waiting."""
        numbers = range(self._first, self._first + bookings)
        return [threads.submit(self._one, number) for number in numbers]

    def _one(self, number: int) -> None:
        rng = random.Random(f"{self._seed}:{number}")
        sites = self._stack.urls
        client = Patient(self._stack, sites[number % len(sites)])
        try:
            walked = _walk(client, rng, self._begin + rng.choice(AHEAD) + timedelta(minutes=number))
        finally:
            client.http.close()
        with self._lock:
            self.answers += client.answers
            self.walked.append(walked)


def _walk(client: Patient, rng: random.Random, start: datetime) -> Walked:
    is_free = rng.random() < 0.1
    booking = client.book(BUILDER, FREE if is_free else rng.choice(TYPES))
    walked = Walked(booking.ref, is_free, rng.choice(("leave", "cancel") if is_free else FATES))
    booking.take_time(start.isoformat().replace("+00:00", "Z"))
    walked.invitee_uri = booking.invitee_uri
    if rng.random() < 0.5:
        booking.report_time()
    booking.wait("confirmed" if is_free else "scheduled", seconds=PATIENCE_SECONDS)
    if walked.fate.startswith("pay"):
        _pay(client, booking, rng)
        booking.wait("confirmed", "paid", seconds=PATIENCE_SECONDS)
    if walked.fate.endswith("cancel"):
        _cancel(client, booking, walked)
    return walked


def _pay(client: Patient, booking: Errand, rng: random.Random) -> None:
    checkout = booking.open_checkout()
    if rng.random() < 0.3:
        # From a second tab, or because the first answer was slow in coming.
        assert booking.open_checkout() == checkout
    if rng.random() < 0.5:
        booking.pay_and_vanish(checkout)
        return
    form = {"method": "card", "card_number": "4242424242424242", "card_expiry": "12 / 34", "card_cvc": "123"}
    form |= {"name": client.name, "email": client.email}
    paid = client.http.post(checkout, data=form, timeout=40, allow_redirects=False)
    assert paid.status_code == 303, paid.text[:2000]
    back = paid.headers["Location"]
    assert urlsplit(back).path == f"/bookings/{booking.ref}/paid"
    client.get(back)


def _cancel(client: Patient, booking: Errand, walked: Walked) -> None:
    address = f"/bookings/{booking.ref}/cancel"
    preview = client.get(address).one("[data-refund-minor]")
    walked.refund_minor = int(str(preview["data-refund-minor"]))
    client.post(address)
    booking.wait("canceled", seconds=PATIENCE_SECONDS)
