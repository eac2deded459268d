"""The end of a hold: first Stripe, then Calendly, then our own row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking, HistoryEntry, Slot
from bookingapp.bookings.slot import SlotFacts
from bookingapp.bookings.states import Status
from bookingapp.checkout import cancellation, completion, expiry
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from bookingapp.integrations.calendly import CalendlyClient, CalendlyUnavailable
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments.models import Payment, PaymentState
from tests import fakes
from tests.factories import END, HOLD, NOW, PAID, PENDING, WEBHOOK, make_booking, reread, schedule
from tests.service.conftest import SECOND, TIMERS
from tests.service.test_payments import start

pytestmark = pytest.mark.any_database

OVER = NOW + HOLD


def expire(
    session: Session, stripe: StripeGateway, calendly: CalendlyClient, booking: Booking, *, now: object = OVER
) -> Booking:
    """The timer fires."""
    expiry.expire_booking(session, stripe, calendly, booking_id=booking.id, timers=TIMERS, now=now)  # type: ignore[arg-type]
    return reread(session, booking)


def held(session: Session, calendly_wire: fakes.Calendly, **event: object) -> tuple[Booking, SlotFacts]:
    """A booking with a time that Calendly knows too."""
    booking = make_booking(session)
    slot = schedule(session, booking)
    calendly_wire.add_invitee(
        slot.event_uri, slot.invitee_uri, event_type=slot.event_type_uri, event=dict(event)
    )
    return booking, slot


def test_an_unpaid_time_is_given_back(
    session: Session,
    stripe: StripeGateway,
    calendly: CalendlyClient,
    stripe_wire: fakes.Stripe,
    calendly_wire: fakes.Calendly,
) -> None:
    """Nobody can pay any more when Calendly is told, and only then is the booking expired."""
    booking, slot = held(session, calendly_wire)
    start(session, stripe, booking)
    order: list[str] = []

    def note(who: str, seen: list[tuple[str, str]], ending: str) -> None:
        session.rollback()
        status = session.scalar(sa.select(Booking.status))
        session.rollback()
        order.extend([who, str(status)] if seen[-1][1].endswith(ending) and seen[-1][0] == "POST" else [])

    expire_checkout, cancel_event = StripeGateway.expire_checkout_session, CalendlyClient.cancel_event

    def expiring(*args: Any) -> Any:
        answer = expire_checkout(*args)
        note("stripe", stripe_wire.seen, "/expire")
        return answer

    def canceling(*args: Any) -> Any:
        answer = cancel_event(*args)
        note("calendly", calendly_wire.seen, "/cancellation")
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StripeGateway, "expire_checkout_session", expiring)
        patch.setattr(CalendlyClient, "cancel_event", canceling)
        found = expire(session, stripe, calendly, booking)
    assert order == ["stripe", "scheduled", "calendly", "scheduled"]
    assert (found.status, found.slot) == (Status.EXPIRED, Slot.CANCELED)
    (made,) = stripe_wire.sessions.values()
    assert made["status"] == "expired"
    (event,) = calendly_wire.events.values()
    assert event["status"] == "canceled"
    assert session.scalars(sa.select(Payment.state)).all() == [PaymentState.EXPIRED]
    assert slot.event_uri == event["uri"]


def test_before_its_time_nothing_happens(
    session: Session,
    stripe: StripeGateway,
    calendly: CalendlyClient,
    stripe_wire: fakes.Stripe,
    calendly_wire: fakes.Calendly,
) -> None:
    """And nobody is asked."""
    booking, _ = held(session, calendly_wire)
    assert expire(session, stripe, calendly, booking, now=OVER - SECOND).status is Status.SCHEDULED
    assert (stripe_wire.seen, calendly_wire.seen) == ([], [])


def test_a_booking_without_a_time_just_expires(
    session: Session, stripe: StripeGateway, calendly: CalendlyClient, wire: object
) -> None:
    """There is nothing to give back."""
    booking = make_booking(session)
    assert expire(session, stripe, calendly, booking, now=NOW + PENDING).status is Status.EXPIRED


@pytest.mark.parametrize("told", [True, False])
def test_a_payment_wins_the_race(
    session: Session,
    stripe: StripeGateway,
    calendly: CalendlyClient,
    stripe_wire: fakes.Stripe,
    calendly_wire: fakes.Calendly,
    *,
    told: bool,
) -> None:
    """Paid in the last second: confirmed, whether the webhook was here or not; Calendly is not touched."""
    booking, _ = held(session, calendly_wire)
    start(session, stripe, booking)
    stripe_wire.pay(next(iter(stripe_wire.sessions)))
    if told:
        with transaction(session):
            bookings.record_payment(session, bookings.lock_booking(session, booking.id), PAID, now=NOW)
    found = expire(session, stripe, calendly, booking)
    assert (found.status, found.slot) == (Status.CONFIRMED, Slot.ACTIVE)
    assert calendly_wire.seen == []


def test_a_delayed_payment_is_waited_for(
    session: Session,
    stripe: StripeGateway,
    calendly: CalendlyClient,
    stripe_wire: fakes.Stripe,
    calendly_wire: fakes.Calendly,
) -> None:
    """The client has done their part: the hold is made longer."""
    booking, _ = held(session, calendly_wire)
    start(session, stripe, booking)
    stripe_wire.complete_unpaid(next(iter(stripe_wire.sessions)))
    found = expire(session, stripe, calendly, booking)
    assert found.status is Status.SCHEDULED
    assert found.hold_expires_at is not None
    assert found.hold_expires_at > OVER + timedelta(days=7)
    assert calendly_wire.seen == []


@pytest.mark.parametrize("where", ["stripe", "calendly"])
def test_a_provider_that_is_down_leaves_it_for_later(
    session: Session,
    stripe: StripeGateway,
    calendly: CalendlyClient,
    stripe_wire: fakes.Stripe,
    calendly_wire: fakes.Calendly,
    where: str,
) -> None:
    """Nothing is half done for the client; the next try, from the start, ends it."""
    booking, _ = held(session, calendly_wire)
    start(session, stripe, booking)
    if where == "stripe":
        stripe_wire.fail = [503, 503, 503]
    else:
        calendly_wire.down = True
    with pytest.raises(Exception, match="503"):
        expire(session, stripe, calendly, booking)
    assert reread(session, booking).status is Status.SCHEDULED
    calendly_wire.down = False
    assert expire(session, stripe, calendly, booking).status is Status.EXPIRED
    assert next(iter(calendly_wire.events.values()))["status"] == "canceled"


def test_our_own_cancellation_is_no_news(
    session: Session, stripe: StripeGateway, calendly: CalendlyClient, calendly_wire: fakes.Calendly
) -> None:
    """Calendly tells of it before we have written our row: the booking expires all the same."""
    booking, slot = held(session, calendly_wire)
    cancel_event = CalendlyClient.cancel_event

    def told_at_once(*args: object) -> object:
        answer = cancel_event(*args)  # type: ignore[arg-type]
        with transaction(session):
            locked = bookings.lock_booking(session, booking.id)
            assert not cancellation.record_calendly_cancellation(
                session, locked, slot.invitee_uri, WEBHOOK, by_host=True, at=OVER, now=OVER
            )
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CalendlyClient, "cancel_event", told_at_once)
        found = expire(session, stripe, calendly, booking)
    assert (found.status, found.slot) == (Status.EXPIRED, Slot.CANCELED)
    ends = session.scalars(
        sa.select(HistoryEntry.to_status).where(HistoryEntry.booking_id == booking.id)
    ).all()
    assert ends[-1] is Status.EXPIRED
    assert len(ends) == 3


@pytest.mark.parametrize("state", ["canceled", "gone"])
def test_a_time_that_is_gone_already_is_what_was_wanted(
    session: Session,
    stripe: StripeGateway,
    calendly: CalendlyClient,
    calendly_wire: fakes.Calendly,
    state: str,
) -> None:
    """Nobody is asked to cancel it again."""
    booking, _ = held(session, calendly_wire, status="canceled")
    if state == "gone":
        calendly_wire.events.clear()
    assert expire(session, stripe, calendly, booking).status is Status.EXPIRED
    assert calendly_wire.asked("POST", "/cancellation") == 0


GROUP = {"invitees_counter": {"total": 3, "active": 2, "limit": 8}}


def test_a_group_session_is_not_canceled_for_one_who_did_not_pay(
    session: Session, stripe: StripeGateway, calendly: CalendlyClient, calendly_wire: fakes.Calendly
) -> None:
    """The others stay; a person is asked to release the seat."""
    booking, slot = held(session, calendly_wire, **GROUP)
    other = f"{slot.event_uri}/invitees/SOMEBODYELSE0001"
    calendly_wire.add_invitee(slot.event_uri, other, event_type=slot.event_type_uri, event=GROUP)
    found = expire(session, stripe, calendly, booking)
    assert found.status is Status.EXPIRED
    assert found.attention == FlagCode.SEAT_NOT_RELEASED
    assert calendly_wire.asked("POST", "/cancellation") == 0


def test_the_last_one_in_a_group_is_not_canceled_for_another(
    session: Session, stripe: StripeGateway, calendly: CalendlyClient, calendly_wire: fakes.Calendly
) -> None:
    """Our client has left already and one other sits in it: one active invitee, and not ours."""
    alone = {"invitees_counter": {"total": 2, "active": 1, "limit": 8}}
    booking, slot = held(session, calendly_wire, **alone)
    calendly_wire.invitees[slot.invitee_uri.removeprefix("https://api.calendly.com")]["status"] = "canceled"
    other = f"{slot.event_uri}/invitees/SOMEBODYELSE0001"
    calendly_wire.add_invitee(slot.event_uri, other, event_type=slot.event_type_uri, event=alone)
    assert expire(session, stripe, calendly, booking).status is Status.EXPIRED
    assert calendly_wire.asked("POST", "/cancellation") == 0


def test_a_group_of_one_is_canceled(
    session: Session, stripe: StripeGateway, calendly: CalendlyClient, calendly_wire: fakes.Calendly
) -> None:
    """Where nobody else sits in it, the time goes back."""
    alone = {"invitees_counter": {"total": 1, "active": 1, "limit": 8}}
    booking, _ = held(session, calendly_wire, **alone)
    assert expire(session, stripe, calendly, booking).status is Status.EXPIRED
    assert calendly_wire.asked("POST", "/cancellation") == 1


def test_a_refused_cancellation_is_seen_by_a_person(
    session: Session, stripe: StripeGateway, calendly: CalendlyClient, calendly_wire: fakes.Calendly
) -> None:
    """The booking ends all the same, and it is not taken for done."""
    booking, _ = held(session, calendly_wire)
    calendly_wire.status = 403
    found = expire(session, stripe, calendly, booking)
    assert (found.status, found.attention) == (Status.EXPIRED, FlagCode.RELEASE_REFUSED)


def test_a_long_silence_does_not_keep_the_booking(
    session: Session, stripe: StripeGateway, calendly: CalendlyClient, calendly_wire: fakes.Calendly
) -> None:
    """It is waited for a while; then the booking ends and the cancellation is owed."""
    booking, slot = held(session, calendly_wire)
    calendly_wire.down = True
    with pytest.raises(CalendlyUnavailable):
        expire(session, stripe, calendly, booking)
    found = expire(session, stripe, calendly, booking, now=OVER + expiry.PATIENCE)
    assert found.status is Status.EXPIRED
    (owed,) = session.scalars(sa.select(Job).where(Job.name == bookings.CANCEL_EVENT_JOB)).all()
    assert owed.args["event_uri"] == slot.event_uri


def test_a_session_completes_when_its_end_has_passed(session: Session) -> None:
    """Not a second before, and only a confirmed one."""
    booking = make_booking(session, price_minor=0)
    schedule(session, booking)
    completion._mark_completed(session, booking_id=booking.id, now=END - SECOND)
    assert reread(session, booking).status is Status.CONFIRMED
    completion._mark_completed(session, booking_id=booking.id, now=END)
    completion._mark_completed(session, booking_id=booking.id, now=END)
    assert reread(session, booking).status is Status.COMPLETED
    other = make_booking(session)
    schedule(session, other)
    completion._mark_completed(session, booking_id=other.id, now=END)
    assert reread(session, other).status is Status.SCHEDULED
