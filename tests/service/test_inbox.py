"""From a delivery in the inbox to a booking: applied once, in any order, with its end in the same commit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp import worker
from bookingapp.bookings.attention import resolve
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Actor, Booking, HistoryEntry, UnattachedInvitee
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.core import services
from bookingapp.core.claims import Batch
from bookingapp.core.db import end_read, transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.core.settings import Settings
from bookingapp.outcomes import Failure
from bookingapp.payments.models import Payment, PaymentStatus
from bookingapp.payments.service import MoneySummary
from bookingapp.webhooks import tasks
from bookingapp.webhooks.handlers import YOUNG, Context
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent, Provider
from tests import fakes
from tests.factories import (
    FIXTURES,
    NOW,
    facts,
    invitee_delivery,
    make_booking,
    make_builder,
    published,
    reread,
    schedule,
    stripe_event,
)
from tests.service.conftest import Checkout
from tests.service.jobs import invitee_created, newest_delivery, store

pytestmark = pytest.mark.any_database

YEAR = timedelta(days=365)
Apply = Callable[..., InboxEvent]


@pytest.fixture
def deliver(session: Session) -> Apply:
    """Stores a delivery, applies what is due at ``now``, and returns its row."""

    def do(provider: Provider, body: bytes, *, now: datetime = NOW) -> InboxEvent:
        store(provider, body, now=now)
        return apply_due(session, now)

    return do


def apply_due(session: Session, now: datetime) -> InboxEvent:
    """Apply what is due; the newest row of the inbox."""
    batch = Batch(InboxEvent)
    while tasks.apply_next(session, services.get(Context), batch, clock=lambda: now):
        pass
    row = newest_delivery(session)
    end_read(session)
    return row


def test_a_scheduled_time(session: Session, deliver: Apply, signer: TrackingSigner) -> None:
    """By our signed reference; the history names the delivery."""
    booking = make_booking(session)
    body, slot = invitee_created(session, booking)
    row = deliver(Provider.CALENDLY, body)
    assert (row.state, row.outcome) == (WorkState.DONE, DeliveryOutcome.SLOT_RECORDED)
    found = reread(session, booking)
    assert row.booking_id == found.id
    assert (found.status, found.starts_at) == (Status.SCHEDULED, slot.starts_at)
    assert found.invitee_uri == slot.invitee_uri
    line = session.scalars(sa.select(HistoryEntry).order_by(HistoryEntry.id.desc()).limit(1)).one()
    assert (line.actor, line.inbox_id) == (Actor.CALENDLY, row.id)


@pytest.mark.parametrize("content", [None, "", "forged", "someone.else"])
def test_a_booking_that_was_not_made_here(session: Session, deliver: Apply, content: str | None) -> None:
    """No reference, or one that we did not sign."""
    booking = make_booking(session)
    row = deliver(Provider.CALENDLY, invitee_delivery("invitee.created", facts(booking), utm_content=content))
    assert (row.outcome, row.booking_id) == (DeliveryOutcome.UNATTACHED, None)
    assert reread(session, booking).status is Status.PENDING


@pytest.mark.parametrize("name", ["invitee.created", "invitee.canceled"])
def test_a_booking_that_is_not_known_yet(
    session: Session, deliver: Apply, signer: TrackingSigner, name: str
) -> None:
    """Its reference is genuine, so it is tried again while it is young, and applied as soon as it is there."""
    booking = make_booking(session)
    session.expunge_all()
    body = invitee_delivery(name, facts(booking), utm_content=signer.sign("of-a-booking-to-come"))
    row = deliver(Provider.CALENDLY, body)
    assert (row.state, row.outcome) == (WorkState.RECEIVED, DeliveryOutcome.BOOKING_UNKNOWN)
    with transaction(session):
        session.execute(sa.update(Booking).values(tracking_id="of-a-booking-to-come"))
    row = apply_due(session, row.run_at)
    assert (row.state, row.booking_id) == (WorkState.DONE, booking.id)


def test_a_booking_that_is_never_known(session: Session, deliver: Apply, signer: TrackingSigner) -> None:
    """As after the restore of an older copy of the database: the builder is told of a time without a booking."""
    body = invitee_delivery(
        "invitee.created", facts(make_booking(session)), utm_content=signer.sign("of-no-booking")
    )
    assert deliver(Provider.CALENDLY, body).state is WorkState.RECEIVED
    assert session.scalars(sa.select(UnattachedInvitee)).all() == []
    end_read(session)
    row = apply_due(session, NOW + YOUNG)
    assert (row.state, row.outcome) == (WorkState.DONE, DeliveryOutcome.UNATTACHED)
    assert len(session.scalars(sa.select(UnattachedInvitee)).all()) == 1


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_lost_booking_that_was_paid(
    session: Session, deliver: Apply, checkout: Checkout, settings: Settings, is_lost: bool
) -> None:
    """Of this site it is an alarm; another site that shares the Stripe account has bookings of its own."""
    _, session_id = checkout.opened()
    site = settings.public_url if is_lost else "https://other.example"
    lost = checkout.stripe.sessions[session_id]
    lost |= {"metadata": {**lost["metadata"], "booking": "of-no-booking"}, "success_url": f"{site}/paid"}
    lost["client_reference_id"] = "of-no-booking"
    with transaction(session):
        session.execute(sa.delete(Payment))
    checkout.stripe.pay(session_id)
    row = deliver(Provider.STRIPE, stripe_event("checkout.session.completed", lost))
    if is_lost:
        assert (row.state, row.outcome) == (WorkState.DEAD, DeliveryOutcome.BOOKING_LOST)
        assert (row.outcome_facts["amount_minor"], row.outcome_facts["currency"]) == (6000, "GBP")
    else:
        assert (row.state, row.outcome) == (WorkState.RECEIVED, DeliveryOutcome.BOOKING_UNKNOWN)


@pytest.mark.parametrize("is_paid", [True, False])
def test_a_checkout_session_that_was_not_asked_for(
    session: Session, deliver: Apply, checkout: Checkout, is_paid: bool
) -> None:
    """It names our booking, and is no attempt of ours: its money confirms nothing, and is flagged."""
    booking, session_id = checkout.opened()
    theirs = {**checkout.stripe.sessions[session_id], "id": "cs_by_hand", "metadata": {}}
    checkout.stripe.sessions["cs_by_hand"] = theirs
    if is_paid:
        checkout.stripe.pay("cs_by_hand")
    row = deliver(Provider.STRIPE, stripe_event("checkout.session.completed", theirs))
    assert (row.state, row.outcome) == (WorkState.RECEIVED, DeliveryOutcome.ATTEMPT_UNKNOWN)
    assert reread(session, booking).attention is None
    row = apply_due(session, NOW + YOUNG)
    assert (row.state, row.booking_id) == (WorkState.IGNORED, booking.id)
    found = reread(session, booking)
    assert found.status is Status.SCHEDULED
    assert found.attention == (FlagCode.PAYMENT_UNEXPECTED if is_paid else None)


def test_a_cancellation_by_the_client(session: Session, deliver: Apply, signer: TrackingSigner) -> None:
    booking = make_booking(session)
    slot = schedule(session, booking)
    body = invitee_delivery("invitee.canceled", slot, utm_content=signer.sign(booking.tracking_id))
    assert deliver(Provider.CALENDLY, body).outcome == DeliveryOutcome.SLOT_CANCELED
    assert reread(session, booking).status is Status.CANCELED


def test_a_paid_checkout_session(session: Session, deliver: Apply, checkout: Checkout) -> None:
    """Read back from Stripe: a body that says paid confirms nothing by itself, and a second report changes nothing."""
    booking, session_id = checkout.opened()
    made = checkout.stripe.sessions[session_id]
    claims = {**made, "status": "complete", "payment_status": "paid"}
    row = deliver(Provider.STRIPE, stripe_event("checkout.session.completed", claims))
    assert row.outcome_facts == {"status": "open", "payment_status": "unpaid"}
    assert reread(session, booking).status is Status.SCHEDULED
    checkout.stripe.pay(session_id)
    row = deliver(Provider.STRIPE, stripe_event("checkout.session.completed", made))
    assert (row.outcome, row.booking_id) == (DeliveryOutcome.CHECKOUT_SESSION_RECORDED, booking.id)
    assert row.outcome_facts == {"status": "complete", "payment_status": "paid"}
    assert reread(session, booking).status is Status.CONFIRMED
    again = deliver(Provider.STRIPE, stripe_event("checkout.session.async_payment_succeeded", made))
    assert again.state is WorkState.DONE
    assert session.scalar(sa.select(sa.func.count()).select_from(HistoryEntry)) == 4
    assert checkout.money(booking) == MoneySummary(PaymentStatus.PAID, 6000, 0)


def test_stripe_that_is_down_delays_it(session: Session, deliver: Apply, checkout: Checkout) -> None:
    booking, event = checkout.paid()
    checkout.stripe.fail = [500, 500, 500]
    row = deliver(Provider.STRIPE, event)
    assert (row.state, row.outcome) == (WorkState.FAILED, Failure.UNAVAILABLE)
    assert row.outcome_facts == {"error": "StripeUnavailable", "try": 1}
    assert row.run_at > NOW
    assert apply_due(session, row.run_at).state is WorkState.DONE
    assert reread(session, booking).status is Status.CONFIRMED


def test_a_refund_that_comes_before_its_payment(
    session: Session, deliver: Apply, stripe_wire: fakes.Stripe
) -> None:
    """It is retried while it is young, and then ignored: it may be of another application."""
    row = deliver(Provider.STRIPE, stripe_event("refund.created", published("stripe/refund.json")))
    assert (row.state, row.attempts) == (WorkState.RECEIVED, 1)
    assert row.run_at > NOW
    assert apply_due(session, NOW + YOUNG).state is WorkState.IGNORED


def test_a_dispute_after_an_inquiry_is_flagged_again(
    session: Session, deliver: Apply, checkout: Checkout
) -> None:
    """An inquiry moves no money, and may be resolved; the dispute that follows has another day to answer by."""
    booking, event = checkout.paid()
    deliver(Provider.STRIPE, event)
    dispute = checkout.stripe.dispute("warning_needs_response", "general")
    deliver(Provider.STRIPE, stripe_event("charge.dispute.created", dispute))
    money = checkout.money(reread(session, booking))
    assert (money.status, money.taken_back_minor) == ("disputed", 0)
    with transaction(session):
        resolve(session.get_one(Booking, booking.id), now=NOW)
    for status, mailed in (("warning_under_review", 1), ("needs_response", 2), ("under_review", 2)):
        dispute["status"] = status
        deliver(Provider.STRIPE, stripe_event("charge.dispute.updated", dispute))
        mails = sa.select(sa.func.count()).where(Job.key.startswith("mail:disputed-builder:"))
        assert session.scalar(mails) == mailed
        end_read(session)
        assert (reread(session, booking).attention == FlagCode.DISPUTE_OPEN) is (mailed > 1)


def test_a_changed_event_type_is_asked_for_again(session: Session, deliver: Apply) -> None:
    """By every process: the version is part of the name under which answers are kept."""
    sample = published("calendly/event_type.created.json")
    builder = make_builder(session, calendly_user_uri=sample["payload"]["profile"]["owner"])
    other = make_builder(session)
    row = deliver(Provider.CALENDLY, (FIXTURES / "calendly/event_type.created.json").read_bytes())
    assert row.state is WorkState.DONE
    versions = {one.id: one.catalog_version for one in session.scalars(sa.select(Builder))}
    assert versions == {builder.id: 1, other.id: 0}


@pytest.mark.parametrize(
    ("name", "read_as"),
    [
        ("invitee_no_show.created", "invitee_no_show.created"),
        ("invitee_no_show.deleted", "invitee_no_show.deleted"),
        ("routing_form_submission.created", "routing_form_submission.created"),
        ("v1.invitee.created", "unreadable"),
    ],
)
def test_an_event_without_effect_is_kept_and_ignored(
    session: Session, deliver: Apply, name: str, read_as: str
) -> None:
    """Without a booking of ours, or a handler; and of a version in which a booking has no identity."""
    booking = make_booking(session)
    row = deliver(Provider.CALENDLY, (FIXTURES / f"calendly/{name}.json").read_bytes())
    assert (row.type, row.state) == (read_as, WorkState.IGNORED)
    assert reread(session, booking).status is Status.PENDING


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"event": 1}', b"\xff\xfe"])
@pytest.mark.parametrize("provider", list(Provider))
def test_an_unreadable_body_is_kept_and_ignored(
    session: Session, deliver: Apply, provider: Provider, body: bytes
) -> None:
    """It never becomes dead work."""
    row = deliver(provider, body)
    assert (row.type, row.state, row.body) == ("unreadable", WorkState.IGNORED, body)
    assert row.outcome == DeliveryOutcome.UNREADABLE


def test_a_handler_that_fails_leaves_nothing_behind(
    session: Session, deliver: Apply, signer: TrackingSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Effects and end are one commit: the second try finds the booking as it was."""
    booking = make_booking(session)
    body, _ = invitee_created(session, booking)

    def failing(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "finish", failing)
        row = deliver(Provider.CALENDLY, body)
    assert (row.state, row.outcome) == (WorkState.FAILED, Failure.UNEXPECTED)
    assert row.outcome_facts == {"error": "ZeroDivisionError", "try": 1}
    assert reread(session, booking).status is Status.PENDING
    assert apply_due(session, row.run_at).state is WorkState.DONE
    assert reread(session, booking).status is Status.SCHEDULED


def test_the_worker_does_all_that_is_due(app: Flask, session: Session, calendly_wire: fakes.Calendly) -> None:
    booking = make_booking(session)
    with transaction(session):
        session.execute(sa.update(Booking).values(hold_expires_at=NOW - YEAR))
        session.execute(sa.update(Job).values(run_at=NOW - YEAR))
    assert worker.run_due(app) == 1
    assert reread(session, booking).status is Status.EXPIRED
    assert worker.run_due(app) == 0
