"""What people and time do to a booking: each step is a form, a provider's own doing, or the clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from bookingapp.core.settings import Settings
from bookingapp.payments.models import LedgerEntry
from tests.live import HOUR, Live
from tests.mailbox import Mailbox
from tests.pages import Page, PageClient

CLIENT, BUILDER = "grace@example.org", "ada@example.com"


def in_hours(hours: float) -> str:
    """A time from now, as Calendly writes it."""
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def name_of(uri: str | None) -> str:
    """The id at the end of a URI."""
    return (uri or "").rpartition("/")[2]


@dataclass
class Trip:
    """One client's booking."""

    road: Road
    browser: PageClient
    ref: str
    event_type: str = HOUR
    invitee: dict[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> Booking:
        """The booking as the database has it."""
        return self.road.live.booking(self.ref)

    def attention(self) -> str | None:
        """Why a person has to look, if one has to."""
        return self.row.attention

    @property
    def page(self) -> Page:
        """The truth page."""
        return self.browser.page(f"/bookings/{self.ref}")

    @property
    def truth(self) -> tuple[str, str]:
        """Status and payment status, as the truth page says them to a program."""
        found = self.page.one("[data-booking-status]")
        return str(found["data-booking-status"]), str(found["data-payment-status"])

    def choose(self, **how: Any) -> Trip:
        """Take a time in Calendly; nobody here has worked on its news yet."""
        self.invitee = self.road.live.choose(self.browser, self.ref, self.event_type, **how)
        return self

    def press_pay(self) -> str:
        """Press Pay; the id of the Checkout Session that it leads to."""
        answer = self.browser.submit(f"/bookings/{self.ref}/pay")
        assert answer.status_code == 303, answer.text
        return urlsplit(answer.headers["Location"]).path.rpartition("/")[2]

    def order(self, checkout: str) -> str:
        """What an open Checkout page of Stripe's says is bought there."""
        page = self.road.live.hands.page(f"/stripe-checkout/c/pay/{checkout}")
        return page.select("section.order")[0].get_text(" ")

    def pay(self) -> None:
        """Pay on Stripe's page, and let the news arrive."""
        self.road.live.hands.control(f"stripe/sessions/{self.press_pay()}/pay")
        self.road.live.work()

    def history(self) -> list[str]:
        """``from>to`` for each change, oldest first."""
        with self.road.live.database() as session:
            query = sa.select(HistoryEntry).where(HistoryEntry.booking_id == self.row.id)
            rows = session.scalars(query.order_by(HistoryEntry.id))
            return [f"{one.from_status or ''}>{one.to_status}" for one in rows]

    def causes(self) -> list[str]:
        """The event behind each change but the first."""
        with self.road.live.database() as session:
            query = sa.select(HistoryEntry.event).where(HistoryEntry.booking_id == self.row.id)
            return [str(event) for event in session.scalars(query.order_by(HistoryEntry.id)) if event]

    def ledger(self) -> list[int]:
        """What moved, in minor units."""
        with self.road.live.database() as session:
            query = sa.select(LedgerEntry.amount_minor).where(LedgerEntry.booking_id == self.row.id)
            return list(session.scalars(query.order_by(LedgerEntry.id)))

    def sessions(self) -> list[dict[str, Any]]:
        """The Checkout Sessions that Stripe has for it, oldest first."""
        found = [one for one in self.road.live.state()["sessions"] if one["client_reference_id"] == self.ref]
        return sorted(found, key=lambda one: int(one["metadata"].get("attempt", 0)))

    def calendly_event(self) -> dict[str, Any]:
        """The event that Calendly has for its newest invitee."""
        events: list[dict[str, Any]] = self.road.live.state()["events"]
        return next(one for one in events if one["id"] == name_of(self.invitee["event"]))

    def move(self, *, tell: tuple[str, ...] = ("invitee.canceled", "invitee.created"), **how: Any) -> None:
        """Reschedule in Calendly. The two deliveries arrive in the order of ``tell``, and are worked on one by one;
        what is not named there is lost.
        """
        road, old = self.road, name_of(self.invitee["uri"])
        with road.silence():
            how = {"by_host": False, **how}
            self.invitee = road.live.hands.control(f"calendly/invitees/{old}/reschedule", **how)
        for event in tell:
            road.resend(event, old if event == "invitee.canceled" else name_of(self.invitee["uri"]))


@dataclass
class Road:
    """The way of bookings, with a hand on Calendly's deliveries and on the clock."""

    live: Live

    def book(self, event_type: str = HOUR, slug: str = "ada", *, timezone: str = "UTC") -> Trip:
        """A pending booking."""
        browser, ref = self.live.book(event_type, slug, timezone=timezone)
        return Trip(self, browser, ref, event_type)

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

    def silence(self) -> Silence:
        """While it lasts, nothing that Calendly sends arrives."""
        return Silence(self.live)

    def resend(self, event: str, about: str) -> None:
        """Let a delivery that was lost arrive after all, and work on it."""
        rows = self.live.hands.server.sandbox.store.all("delivery")
        (row,) = [one for one in rows if one["event"] == event and one["about"] == about][:1]
        self.live.hands.control(f"deliveries/{row['id']}/resend")
        self.live.work()

    def let_pass(self, key: str, *, hold: Trip | None = None, ended: Trip | None = None) -> None:
        """The time goes by until the rows of the outbox whose key begins so are due; and they are done."""
        past = utcnow() - timedelta(seconds=1)
        with self.live.database() as session, transaction(session):
            due = sa.update(Job).where(
                Job.key.startswith(key, autoescape=True), Job.state.in_(("received", "failed"))
            )
            found = session.execute(due.values(run_at=past).returning(Job.id)).all()
            assert found, f"no job {key}"
            if hold is not None:
                row = sa.update(Booking).where(Booking.ref == hold.ref)
                session.execute(row.values(hold_expires_at=past))
            if ended is not None:
                session.execute(sa.update(Booking).where(Booking.ref == ended.ref).values(ends_at=past))
        self.live.work()

    def let_wait(self, trip: Trip, *, minutes: int) -> None:
        """It is so many minutes ago that the money came too late."""
        with self.live.database() as session, transaction(session):
            row = sa.update(Booking).where(Booking.ref == trip.ref)
            session.execute(row.values(restoring_since=utcnow() - timedelta(minutes=minutes)))

    def calendly_returns(self) -> None:
        """It answers again, and so long after its trouble that it is asked again."""
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
        with self.live.database() as session, transaction(session):
            row = sa.update(Booking).where(Booking.ref == trip.ref)
            session.execute(row.values(starts_at=start, ends_at=start + timedelta(hours=1)))

    @property
    def mails(self) -> Mailbox:
        """What was mailed."""
        with self.live.app.app_context():
            return Mailbox(services.get(Settings).instance_dir / "outbox")

    def subjects(self, address: str) -> list[str]:
        """The subjects of the mails for an address, without what comes after the colon; sorted."""
        return sorted(str(mail["Subject"]).partition(":")[0] for mail in self.mails.to(address))


@dataclass
class Silence:
    """Drops Calendly's deliveries; each can be resent."""

    live: Live

    def __enter__(self) -> None:
        self.live.fault("drop")

    def __exit__(self, *_: object) -> None:
        self.live.hands.control("faults/clear")
