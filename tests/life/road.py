"""What people and time do to a booking: each step is a form, a provider's own doing, or the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from werkzeug.test import TestResponse

from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from bookingapp.core.settings import Settings
from bookingapp.integrations.stripe_gateway import CheckoutRequest, StripeGateway
from bookingapp.payments.models import LedgerEntry
from tests.live import HOUR, Live
from tests.mailbox import Mailbox
from tests.pages import Page, PageClient

CLIENT, BUILDER = "grace@example.org", "ada@example.com"


def name_of(uri: str | None) -> str:
    """The id at the end of a URI."""
    return (uri or "").rpartition("/")[2]


def create_checkout(live: Live, name: str, key: str, metadata: dict[str, str] | None = None) -> str:
    """The id of a new Checkout Session for a booking of £60.00, which no page of ours leads to."""
    request = CheckoutRequest(
        client_reference_id=name,
        amount_minor=6000,
        currency="GBP",
        product_name="An hour",
        description=None,
        customer_email=CLIENT,
        success_url="https://hours.example/paid",
        cancel_url="https://hours.example/",
        expires_at=utcnow() + timedelta(hours=1),
        metadata=metadata or {"booking": name, "attempt": "1"},
    )
    with live.database():
        return services.get(StripeGateway).create_checkout_session(request, idempotency_key=key).id


@dataclass
class ClientsBooking:
    """One booking in its client's browser."""

    live: Live
    browser: PageClient
    ref: str

    @property
    def row(self) -> Booking:
        """The booking as the database has it."""
        return self.live.booking(self.ref)

    @property
    def dashboard(self) -> str:
        """The path of its page on the builder's dashboard."""
        return f"/dashboard/bookings/{self.row.tracking_id}"

    @property
    def page(self) -> Page:
        """The truth page."""
        return self.browser.page(f"/bookings/{self.ref}")

    def change(self, **values: Any) -> None:
        """Set columns of the booking: time goes by."""
        with self.live.database() as session, transaction(session):
            session.execute(sa.update(Booking).where(Booking.ref == self.ref).values(**values))

    def press(self, what: str, **how: Any) -> TestResponse:
        """Send one of the booking's forms."""
        return self.browser.submit(f"/bookings/{self.ref}/{what}", **how)

    def open_checkout(self) -> str:
        """Press Pay; the id of the Checkout Session."""
        answer = self.press("pay")
        assert answer.status_code == 303, answer.text
        return urlsplit(answer.headers["Location"]).path.rpartition("/")[2]

    def sessions(self) -> list[dict[str, Any]]:
        """The Checkout Sessions that Stripe has for it, oldest first."""
        found = [
            one for one in self.live.state()["sessions"] if one["client_reference_id"] == self.row.tracking_id
        ]
        return sorted(found, key=lambda one: int(one["metadata"].get("attempt", 0)))

    def history(self) -> list[str]:
        """``from>to`` for each change, oldest first."""
        with self.live.database() as session:
            query = sa.select(HistoryEntry).where(HistoryEntry.booking_id == self.row.id)
            rows = session.scalars(query.order_by(HistoryEntry.id))
            return [f"{one.from_status or ''}>{one.to_status}" for one in rows]


@dataclass
class Trip(ClientsBooking):
    """One client's booking, and what happens to its time."""

    event_type: str = HOUR
    invitee: dict[str, Any] = field(default_factory=dict)

    @property
    def road(self) -> Road:
        """What time and the providers do."""
        return Road(self.live)

    def attention(self) -> str | None:
        """The booking's flags."""
        return self.row.attention

    @property
    def truth(self) -> tuple[str, str]:
        """Status and payment status, as the truth page says them to a program."""
        found = self.page.one("[data-booking-status]")
        return str(found["data-booking-status"]), str(found["data-payment-status"])

    def choose(self, **how: Any) -> Trip:
        """Schedule a time in Calendly; its delivery is not applied yet."""
        self.invitee = self.live.choose(self.browser, self.ref, self.event_type, **how)
        return self

    def order(self, checkout: str) -> str:
        """What an open Checkout page of Stripe's says is bought there."""
        page = self.live.hands.page(f"/stripe-checkout/c/pay/{checkout}")
        return page.select("section.order")[0].get_text(" ")

    def claim(self, invitee: dict[str, Any] | None = None) -> int:
        """Report as the browser does that a time was chosen; the status of the answer."""
        made = invitee or self.invitee
        claimed = {"event_uri": made["event"], "invitee_uri": made["uri"]}
        return self.press("scheduled", data=claimed).status_code

    def pay(self) -> None:
        """Pay on Stripe's page, and apply the deliveries."""
        self.live.hands.control(f"stripe/sessions/{self.open_checkout()}/pay")
        self.live.work()

    def causes(self) -> list[str]:
        """The event behind each change but the first."""
        with self.live.database() as session:
            query = sa.select(HistoryEntry.event).where(HistoryEntry.booking_id == self.row.id)
            return [str(event) for event in session.scalars(query.order_by(HistoryEntry.id)) if event]

    def ledger(self) -> list[int]:
        """What moved, in minor units."""
        with self.live.database() as session:
            query = sa.select(LedgerEntry.amount_minor).where(LedgerEntry.booking_id == self.row.id)
            return list(session.scalars(query.order_by(LedgerEntry.id)))

    def calendly_event(self) -> dict[str, Any]:
        """The event that Calendly has for its newest invitee."""
        events: list[dict[str, Any]] = self.live.state()["events"]
        return next(one for one in events if one["id"] == name_of(self.invitee["event"]))

    def move(self, *, deliver: tuple[str, ...] = ("invitee.canceled", "invitee.created"), **how: Any) -> None:
        """Reschedule in Calendly. The two deliveries arrive in this order, and are applied one by one; what is not
        named is lost.
        """
        road, old = self.road, name_of(self.invitee["uri"])
        with road.silence():
            how = {"by_host": False, **how}
            self.invitee = road.live.hands.control(f"calendly/invitees/{old}/reschedule", **how)
        for event in deliver:
            road.resend(event, old if event == "invitee.canceled" else name_of(self.invitee["uri"]))


@dataclass
class Road:
    """Bookings in every state, Calendly's deliveries, and the clock."""

    live: Live

    def book(self, event_type: str = HOUR, slug: str = "ada", *, timezone: str = "UTC") -> Trip:
        """A pending booking."""
        browser, ref = self.live.book(event_type, slug, timezone=timezone)
        return Trip(self.live, browser, ref, event_type)

    def scheduled(self, event_type: str = HOUR, slug: str = "ada", **how: Any) -> Trip:
        """One that has its time."""
        trip = self.book(event_type, slug).choose(**how)
        self.live.work()
        assert trip.row.status == "scheduled"
        return trip

    def confirmed(self, event_type: str = HOUR, slug: str = "ada", **how: Any) -> Trip:
        """One that is paid for."""
        trip = self.scheduled(event_type, slug, **how)
        trip.pay()
        assert trip.truth == ("confirmed", "paid")
        return trip

    @contextmanager
    def silence(self) -> Iterator[None]:
        """While it lasts, nothing that Calendly sends arrives; each delivery can be resent."""
        self.live.fault("drop")
        yield
        self.live.hands.control("faults/clear")

    def resend(self, event: str, about: str) -> None:
        """Let a delivery that was lost arrive, and apply it."""
        rows = self.live.hands.server.sandbox.store.all("delivery")
        (row,) = [one for one in rows if one["event"] == event and one["about"] == about][:1]
        self.live.hands.control(f"deliveries/{row['id']}/resend")
        self.live.work()

    def let_pass(self, key: str, *, hold: Trip | None = None, ended: Trip | None = None) -> None:
        """Make the jobs due whose key begins so, and run them."""
        past = utcnow() - timedelta(seconds=1)
        with self.live.database() as session, transaction(session):
            due = sa.update(Job).where(
                Job.key.startswith(key, autoescape=True), Job.state.in_(("received", "failed"))
            )
            found = session.execute(due.values(run_at=past).returning(Job.id)).all()
            assert found, f"no job {key}"
        if hold is not None:
            hold.change(hold_expires_at=past)
        if ended is not None:
            ended.change(ends_at=past)
        self.live.work()

    def calendly_returns(self) -> None:
        """Calendly answers again, and the breaker's pause is over."""
        self.live.hands.control("faults/clear")
        breaker: Any = self.live.client()._breaker
        breaker._clock = lambda: time.monotonic() + 3600

    def end_hold(self, trip: Trip) -> None:
        """The hold of a booking is over, and its timer fires."""
        self.let_pass(f"expire:{trip.row.id}:", hold=trip)

    def begin_in(self, trip: Trip, hours: float) -> None:
        """So many hours are left until the session begins, here and in Calendly."""
        start = utcnow().replace(microsecond=0) + timedelta(hours=hours)
        event = name_of(trip.row.event_uri)
        self.live.hands.control(
            f"calendly/events/{event}/start", start_time=start.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        trip.change(starts_at=start, ends_at=start + timedelta(hours=1))

    def attention_list(self, slug: str = "ada") -> str:
        """What the dashboard says to a builder that needs their attention."""
        page = self.live.browser(slug).page("/dashboard")
        return page.one("section[aria-labelledby=attention-title]").text

    @property
    def mails(self) -> Mailbox:
        """What was mailed."""
        with self.live.app.app_context():
            return Mailbox(services.get(Settings).instance_dir / "outbox")

    def subjects(self, address: str) -> list[str]:
        """The subjects of the mails for an address, without what comes after the colon; sorted."""
        return sorted(str(mail["Subject"]).partition(":")[0] for mail in self.mails.to(address))
