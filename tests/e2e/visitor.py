"""A client whose browser runs no script: pages, forms and links over HTTP."""

from __future__ import annotations

import itertools
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
import sqlalchemy as sa
from bs4 import BeautifulSoup, Tag
from requests.adapters import HTTPAdapter

from bookingapp.bookings.models import Booking as BookingRow
from tests.mailbox import Mailbox, link
from tests.waiting import PATIENCE_SECONDS, eventually

from .stack import Stack

CONSULTATION = "ETADACONSULT0060"
PAYS = "4242 4242 4242 4242"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Page:
    """One answer: the last response of a chain of redirects, and its elements."""

    response: requests.Response

    @property
    def soup(self) -> BeautifulSoup:
        return BeautifulSoup(self.response.text, "html.parser")

    @property
    def status(self) -> int:
        return self.response.status_code

    def one(self, selector: str) -> Tag:
        found = self.soup.select_one(selector)
        assert found is not None, f"no {selector} at {self.response.url}:\n{self.response.text[:3000]}"
        return found


@dataclass(frozen=True)
class Truth:
    """What the truth page says to a program."""

    status: str
    payment: str
    attention: str | None


class OwnAddress(HTTPAdapter):
    """Speaks from an address of its own, so that one client's requests do not count against another's limits.

    Every address that begins with 127 is this machine on Linux; elsewhere all clients share the usual one.
    """

    def __init__(self, number: int) -> None:
        self.address = f"127.0.{number // 250}.{number % 250 + 2}" if sys.platform == "linux" else "127.0.0.1"
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, source_address=(self.address, 0), **kwargs)


class Visitor:
    """One browser of one client, with cookies and an address of its own."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http = requests.Session()
        self.http.trust_env = False
        self.number = next(_numbers)
        adapter = OwnAddress(self.number)
        self.address = adapter.address
        for scheme in ("http://", "https://"):
            self.http.mount(scheme, adapter)
        if stack.certificate:
            self.http.verify = stack.certificate
        self.name, self.email = f"Zoë Client {self.number}", f"zoe{self.number}@example.org"
        self.token = ""

    def get(self, address: str, **options: Any) -> Page:
        """A page of the application, or of any absolute address."""
        return Page(self.http.get(urljoin(self.stack.url, address), timeout=20, **options))

    def post(self, address: str, fields: dict[str, str] | None = None, **options: Any) -> Page:
        """A form, sent with this browser's form token."""
        form = {"csrf_token": self.token, **(fields or {})}
        headers = {"Origin": self.stack.url}
        target = urljoin(self.stack.url, address)
        return Page(self.http.post(target, data=form, headers=headers, timeout=20, **options))

    def cards(self, slug: str) -> dict[str, Tag]:
        soup = self.get(f"/builders/{slug}/session-types").soup
        return {str(card["data-session-type"]): card for card in soup.select("[data-session-type]")}

    def book(self, slug: str = "ada-okonkwo", session_type: str = CONSULTATION) -> Booking:
        """From the session type's page to the schedule page of a pending booking."""
        address = f"/builders/{slug}/session-types/{session_type}"
        if self.get(address).soup.select("main form[action='/my-bookings']"):
            self._verify_address(address)
        self.token = str(self.get(address).one("form[action$=book] [name=csrf_token]")["value"])
        fields = {"name": self.name, "email": self.email, "timezone": "America/New_York"}
        page = self.post(f"{address}/book", fields)
        assert page.status == 200, page.response.text[:2000]
        found = re.fullmatch(r"/bookings/([\w-]+)/schedule", urlsplit(page.response.url).path)
        assert found, page.response.url
        link = str(page.one("[data-scheduling-url]")["data-scheduling-url"])
        return Booking(self, found[1], session_type, link)

    def _verify_address(self, address: str) -> None:
        """Follow the link that the session type's page sends."""
        self.token = str(self.get(address).one("main form [name=csrf_token]")["value"])
        self.post("/my-bookings", {"email": self.email, "return_to": address})
        outbox = Mailbox(self.stack.instance / "outbox")
        (mail,) = eventually(lambda: outbox.to(self.email), what="the link")
        page = self.get(link(mail))
        self.token = str(page.one("main form [name=csrf_token]")["value"])
        self.post(link(mail))

    def truth(self, ref: str) -> Truth:
        found = self.get(f"/bookings/{ref}").one("[data-booking-status]")
        attention = found.get("data-attention")
        return Truth(
            str(found["data-booking-status"]),
            str(found["data-payment-status"]),
            str(attention) if attention else None,
        )


@dataclass
class Booking:
    """One booking in its client's hands."""

    visitor: Visitor
    ref: str
    session_type: str
    link: str
    event_uri: str = ""
    invitee_uri: str = ""

    @property
    def stack(self) -> Stack:
        return self.visitor.stack

    @property
    def event(self) -> dict[str, Any]:
        """The event in Calendly."""
        events: list[dict[str, Any]] = self.stack.control("state")["events"]
        return next(event for event in events if event["id"] in self.event_uri)

    def end_hold(self) -> None:
        """Let the time go by until the hold is over and its timer is due."""
        past = datetime.now(UTC) - timedelta(seconds=1)
        row = sa.update(BookingRow).where(BookingRow.ref == self.ref)
        assert self.stack.change(row.values(hold_expires_at=past)) == 1
        self.stack.hurry_jobs(f"expire:{self.stack.booking_id(self.ref)}:")

    def take_time(self, start_time: str | None = None) -> dict[str, Any]:
        """Pick a time with Calendly: by the link's tracking, the first free time or the one given."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.link).query).items()}
        order: dict[str, Any] = {"event_type": self.session_type, **query}
        if start_time:
            order["start_time"] = start_time
        invitee: dict[str, Any] = self.stack.control("calendly/book", order)
        self.event_uri, self.invitee_uri = invitee["event"], invitee["uri"]
        return invitee

    def report_time(self) -> Page:
        """What the browser posts when the widget says that a time was taken."""
        uris = {"event_uri": self.event_uri, "invitee_uri": self.invitee_uri}
        return self.visitor.post(f"/bookings/{self.ref}/scheduled", uris)

    def open_checkout(self) -> str:
        """Press Pay; the address of Stripe's page."""
        page = self.visitor.post(f"/bookings/{self.ref}/pay", allow_redirects=False)
        assert page.status == 303, page.response.text[:2000]
        return str(page.response.headers["Location"])

    def pay_on_page(self, checkout_url: str, card: str = PAYS) -> Page:
        """Fill in Stripe's page and send it; wherever that leads."""
        fields = {"method": "card", "card_number": card, "card_expiry": "12 / 34", "card_cvc": "123"}
        form = {**fields, "email": self.visitor.email, "name": self.visitor.name}
        return Page(self.visitor.http.post(checkout_url, data=form, timeout=30))

    def pay_and_vanish(self, checkout_url: str) -> None:
        """Pay, and never come back to the application."""
        session = urlsplit(checkout_url).path.rsplit("/", 1)[-1]
        self.stack.control(f"stripe/sessions/{session}/pay", {"method": "card"})

    def wait(self, status: str, payment: str | None = None, seconds: float = PATIENCE_SECONDS) -> Truth:
        return eventually(
            lambda: self.visitor.truth(self.ref),
            what=f"{status}, {payment or 'any payment'}",
            seconds=seconds,
            good=lambda seen: seen.status == status and payment in (None, seen.payment),
        )

    def schedule(self, start_time: str | None = None) -> None:
        """Pick a time and wait for the webhook's effect."""
        self.take_time(start_time)
        eventually(
            lambda: self.visitor.truth(self.ref).status, what="a time", good=lambda seen: seen != "pending"
        )

    def confirm(self) -> None:
        """The whole rest of the road: time, payment, confirmation."""
        self.schedule()
        self.pay_on_page(self.open_checkout())
        self.wait("confirmed", "paid")
