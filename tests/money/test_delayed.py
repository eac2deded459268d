"""Scenario 32: a method that pays days later; and scenario 33 where nobody looks at the page."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from bookingapp.bookings.codes import FlagCode
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from bookingapp.payments.models import PaymentState
from tests.live import Live
from tests.mailbox import Mailbox, text
from tests.money.deals import CLIENT, Deal

pytestmark = pytest.mark.any_database


def two_days_go_by(deal: Deal) -> None:
    """The time for which an unpaid booking is held is long over."""
    with deal.live.database() as session, transaction(session):
        due = Job.run_at > utcnow()
        earlier = utcnow() - timedelta(seconds=1)
        soon = Job.run_at < utcnow() + timedelta(days=2)
        session.execute(
            sa.update(Job).where(due, soon, Job.name != "bookings.complete").values(run_at=earlier)
        )
    deal.live.work()


def test_scenario_32_delayed_payment_that_arrives(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """Complete is not paid: the time is kept for days, and confirmed when the money is there."""
    deal.pay(method="delayed")
    assert deal.truth() == ("scheduled", "processing", None)
    assert "Your payment is processing" in deal.page().words
    assert deal.booking.hold_expires_at is not None
    assert deal.booking.hold_expires_at > utcnow() + timedelta(days=2)
    assert deal.press("pay").status_code == 409
    two_days_go_by(deal)
    assert deal.truth() == ("scheduled", "processing", None)
    assert [str(mail["Subject"]) for mail in mailbox.to(CLIENT)] == []

    live.hands.control(f"stripe/payments/{deal.intent()}/settle", outcome="succeeded")
    live.work()
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.ledger() == [("charge", 6000, "GBP")]
    assert deal.history() == [">pending", "pending>scheduled", "scheduled>paid", "paid>confirmed"]


def test_scenario_32_delayed_payment_that_fails(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """The client is told, has one more hold to pay in another way, and then the time is freed."""
    deal.pay(method="delayed")
    two_days_go_by(deal)
    live.hands.control(f"stripe/payments/{deal.intent()}/settle", outcome="failed")
    live.work()
    assert deal.truth() == ("scheduled", "failed", None)
    assert deal.attempts() == [PaymentState.FAILED]
    until = deal.booking.hold_expires_at
    assert until is not None
    assert utcnow() < until <= utcnow() + timedelta(minutes=30)
    letter = text(mailbox.one(CLIENT, "Your payment did not go through"))
    assert "nothing was charged" in letter
    assert "you can pay in another way until then" in letter

    deal.let_the_hold_end()
    assert deal.truth() == ("expired", "failed", None)
    assert deal.ledger() == []
    (event,) = [row for row in live.state()["events"] if row["id"] in (deal.booking.event_uri or "")]
    assert event["status"] == "canceled"
    assert str(mailbox.one(CLIENT, "Your hold has ended")["Subject"])


def test_scenario_32_failed_and_paid_in_another_way(live: Live, deal: Deal) -> None:
    """One charge."""
    deal.pay(method="delayed")
    live.hands.control(f"stripe/payments/{deal.intent()}/settle", outcome="failed")
    live.work()
    deal.pay()
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.ledger() == [("charge", 6000, "GBP")]
    assert deal.attempts() == [PaymentState.FAILED, PaymentState.PAID]


def test_scenario_32_failure_that_no_webhook_tells_of(live: Live, deal: Deal) -> None:
    """Asked for how it stands, Stripe shows the session complete and unpaid for ever: its payment intent tells."""
    deal.pay(method="delayed")
    live.hands.control("faults", provider="stripe", kind="drop")
    live.hands.control(f"stripe/payments/{deal.intent()}/settle", outcome="failed")
    live.work()
    assert deal.truth()[:2] == ("scheduled", "processing")
    deal.hurry("check:")
    assert deal.truth()[:2] == ("scheduled", "failed")


def test_scenario_32_no_hold_outlives_the_session_it_is_for(live: Live, deal: Deal) -> None:
    """The bank says no ten minutes before the start: the time is held for ten minutes and not for thirty."""
    deal.pay(method="delayed")
    deal.begins_in(1 / 6)
    live.hands.control(f"stripe/payments/{deal.intent()}/settle", outcome="failed")
    live.work()
    assert deal.booking.hold_expires_at == deal.booking.starts_at


def test_scenario_33_declined_thrice_and_then_paid_is_one_payment(live: Live, deal: Deal) -> None:
    """The session stays open, and so does the booking; one charge at the end."""
    checkout = deal.open_checkout()
    for _ in range(3):
        deal.pay(checkout, card_number="4000000000000002")
        assert deal.truth() == ("scheduled", "open", None)
        assert deal.ledger() == []
    deal.pay(checkout)
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.ledger() == [("charge", 6000, "GBP")]
    assert deal.attempts() == [PaymentState.PAID]
    assert len(deal.sessions()) == 1


def test_scenario_32_a_bank_that_says_nothing_at_all(live: Live, deal: Deal) -> None:
    """After two weeks a person is told; the time is kept, and the bank's word counts whenever it comes."""
    deal.pay(method="delayed")
    deal.let_the_hold_end()
    assert deal.truth() == ("scheduled", "processing", FlagCode.PAYMENT_PROCESSING)
    until = deal.booking.hold_expires_at
    assert until is not None and until > utcnow()
    live.hands.control(f"stripe/payments/{deal.intent()}/settle", outcome="failed")
    live.work()
    assert deal.truth() == ("scheduled", "failed", None)
    deal.let_the_hold_end()
    assert deal.truth() == ("expired", "failed", None)
