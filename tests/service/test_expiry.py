"""The end of a hold: first Stripe, then Calendly, then our own row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking, HistoryEntry, Slot
from bookingapp.bookings.service import EXPIRE_JOB
from bookingapp.bookings.slot import SlotFacts
from bookingapp.bookings.states import Status
from bookingapp.checkout import cancellation, completion, expiry
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments.models import Payment, PaymentState
from tests import fakes
from tests.factories import API, END, HOLD, NOW, PAID, WEBHOOK, make_booking, reread, schedule
from tests.service.conftest import SECOND, TIMERS, Checkout

pytestmark = pytest.mark.any_database

OVER = NOW + HOLD


@dataclass
class Hold:
    """A booking with a time that Calendly has too, and the timer at its end."""

    session: Session
    gateway: StripeGateway
    client: CalendlyClient
    calendly: fakes.Calendly
    booking: Booking
    slot: SlotFacts

    @property
    def event(self) -> dict[str, Any]:
        """Calendly's event."""
        (event,) = self.calendly.events.values()
        return event

    def end(self, *, now: datetime = OVER) -> Booking:
        """The timer fires; the booking afterwards."""
        expiry.expire_booking(
            self.session, self.gateway, self.client, booking_id=self.booking.id, timers=TIMERS, now=now
        )
        return reread(self.session, self.booking)


@pytest.fixture
def hold(
    session: Session, stripe: StripeGateway, calendly: CalendlyClient, calendly_wire: fakes.Calendly
) -> Hold:
    """Of a booking that is not paid."""
    booking = make_booking(session)
    slot = schedule(session, booking)
    calendly_wire.add_invitee(slot.event_uri, slot.invitee_uri, event_type=slot.event_type_uri)
    return Hold(session, stripe, calendly, calendly_wire, booking, slot)


def test_an_unpaid_time_is_released(
    hold: Hold, checkout: Checkout, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payment page is closed before Calendly is called, and only then is the booking expired."""
    checkout.start(hold.booking)
    order: list[tuple[str, Status | None]] = []

    def noting(call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any) -> Any:
            answer = call(*args)
            order.append((call.__name__, session.scalar(sa.select(Booking.status))))
            session.rollback()
            return answer

        return noted

    for client, name in ((StripeGateway, "expire_checkout_session"), (CalendlyClient, "cancel_event")):
        monkeypatch.setattr(client, name, noting(getattr(client, name)))
    found = hold.end()
    assert order == [("expire_checkout_session", Status.SCHEDULED), ("cancel_event", Status.SCHEDULED)]
    assert (found.status, found.slot) == (Status.EXPIRED, Slot.CANCELED)
    (made,) = checkout.stripe.sessions.values()
    assert made["status"] == "expired"
    assert (hold.event["status"], hold.event["uri"]) == ("canceled", hold.slot.event_uri)
    assert session.scalars(sa.select(Payment.state)).all() == [PaymentState.EXPIRED]


def test_before_its_time_nothing_happens(hold: Hold, checkout: Checkout) -> None:
    assert hold.end(now=OVER - SECOND).status is Status.SCHEDULED
    assert (checkout.stripe.seen, hold.calendly.seen) == ([], [])


def test_a_booking_that_was_paid_keeps_its_time(hold: Hold, checkout: Checkout) -> None:
    with transaction(hold.session):
        booking = bookings.lock_booking(hold.session, hold.booking.id)
        bookings.record_payment(hold.session, booking, PAID, now=NOW)
    found = hold.end()
    assert (found.status, found.slot) == (Status.CONFIRMED, Slot.ACTIVE)
    assert (checkout.stripe.seen, hold.calendly.seen) == ([], [])


def test_a_delayed_payment_extends_the_hold(hold: Hold, checkout: Checkout) -> None:
    """No webhook has reported it yet."""
    checkout.start(hold.booking)
    checkout.stripe.complete_unpaid(next(iter(checkout.stripe.sessions)))
    found = hold.end()
    assert found.status is Status.SCHEDULED
    assert found.hold_expires_at is not None
    assert found.hold_expires_at > OVER + timedelta(days=7)
    assert hold.calendly.seen == []


@pytest.mark.parametrize("where", ["stripe", "calendly"])
def test_a_provider_that_is_down_delays_it(hold: Hold, checkout: Checkout, where: str) -> None:
    checkout.start(hold.booking)
    if where == "stripe":
        checkout.stripe.fail = [503, 503, 503]
    else:
        hold.calendly.down = True
    with pytest.raises(Exception, match="503"):
        hold.end()
    assert reread(hold.session, hold.booking).status is Status.SCHEDULED
    hold.calendly.down = False
    assert hold.end().status is Status.EXPIRED
    assert hold.event["status"] == "canceled"


def test_our_own_cancellation_changes_nothing(hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calendly reports it before we have written our row: the booking expires, and is not canceled."""
    session, cancel_event = hold.session, CalendlyClient.cancel_event

    def reported_at_once(*args: Any) -> Any:
        answer = cancel_event(*args)
        with transaction(session):
            locked = bookings.lock_booking(session, hold.booking.id)
            assert not cancellation.record_calendly_cancellation(
                session, locked, hold.slot.invitee_uri, WEBHOOK, by_host=True, at=OVER, now=OVER
            )
        return answer

    monkeypatch.setattr(CalendlyClient, "cancel_event", reported_at_once)
    found = hold.end()
    assert (found.status, found.slot) == (Status.EXPIRED, Slot.CANCELED)
    query = sa.select(HistoryEntry.to_status).where(HistoryEntry.booking_id == hold.booking.id)
    assert session.scalars(query.order_by(HistoryEntry.id)).all()[2:] == [Status.EXPIRED]


@pytest.mark.parametrize("state", ["canceled", "gone"])
def test_a_time_that_is_gone_is_not_canceled_again(hold: Hold, state: str) -> None:
    hold.event["status"] = "canceled"
    if state == "gone":
        hold.calendly.events.clear()
    assert hold.end().status is Status.EXPIRED
    assert hold.calendly.asked("POST", "/cancellation") == 0


@pytest.mark.parametrize("is_ours", [True, False])
def test_the_last_one_in_a_group(hold: Hold, is_ours: bool) -> None:
    """The event is canceled where our client is the last one in it, and not where that is another."""
    counter = {"total": 1 if is_ours else 2, "active": 1, "limit": 8}
    hold.event["invitees_counter"] = counter
    if not is_ours:
        hold.calendly.invitees[hold.slot.invitee_uri.removeprefix(API)]["status"] = "canceled"
        other = f"{hold.slot.event_uri}/invitees/SOMEBODYELSE0001"
        event = {"invitees_counter": counter}
        hold.calendly.add_invitee(
            hold.slot.event_uri, other, event_type=hold.slot.event_type_uri, event=event
        )
    assert hold.end().status is Status.EXPIRED
    assert hold.calendly.asked("POST", "/cancellation") == is_ours


def test_a_group_whose_seats_cannot_be_read(hold: Hold) -> None:
    """Nobody else loses the session: who is in it is asked for."""
    event = {"invitees_counter": {"total": 2, "active": "some", "limit": 8}}
    hold.event.update(event)
    other = f"{hold.slot.event_uri}/invitees/SOMEBODYELSE0001"
    hold.calendly.add_invitee(hold.slot.event_uri, other, event_type=hold.slot.event_type_uri, event=event)
    found = hold.end()
    assert (found.status, found.attention) == (Status.EXPIRED, FlagCode.SEAT_NOT_RELEASED)
    assert hold.calendly.asked("POST", "/cancellation") == 0


def test_a_refused_cancellation_is_flagged(hold: Hold) -> None:
    hold.calendly.status = 403
    found = hold.end()
    assert (found.status, found.attention) == (Status.EXPIRED, FlagCode.RELEASE_REFUSED)


def test_a_session_completes_when_its_end_has_passed(session: Session) -> None:
    """Not a second before, and only a confirmed one."""
    booking, other = make_booking(session, price_minor=0), make_booking(session)
    for one in (booking, other):
        schedule(session, one)
    completion._mark_completed(session, booking_id=booking.id, now=END - SECOND)
    assert reread(session, booking).status is Status.CONFIRMED
    for one in (booking, booking, other):
        completion._mark_completed(session, booking_id=one.id, now=END)
    assert reread(session, booking).status is Status.COMPLETED
    assert reread(session, other).status is Status.SCHEDULED


def test_two_holds_that_end_in_one_second(session: Session) -> None:
    """Each has a timer: that of the first finds the second still held. Found by seeds 3025 and 3116."""
    booking, until = make_booking(session), NOW.replace(microsecond=200_000) + timedelta(hours=1)
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        for end in (until, until + timedelta(milliseconds=300)):
            bookings.set_hold(session, locked, end, now=NOW)
    ends = session.scalars(sa.select(Job.run_at).where(Job.name == EXPIRE_JOB)).all()
    assert {until, until + timedelta(milliseconds=300)} <= set(ends)
